"""The suites: which instances belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.instances import dcopf, energy, qp, socp
from benchmarks.program import Program

Task = Literal["solve", "resolve", "compile"]


@dataclass(frozen=True)
class Suite:
    """Instances by name, the ones that run when none is named, and what is timed on them."""

    instances: dict[str, Callable[[], Program]]
    default: tuple[str, ...]
    tasks: tuple[Task, ...] = ("solve",)

    def choose(self, names: list[str] | None) -> list[str]:
        """The names of the instances to run.

        Raises
        ------
        ValueError
            If a name is not one of the suite's.
        """
        unknown = sorted(set(names or ()) - set(self.instances))
        if unknown:
            raise ValueError(f"unknown instances {', '.join(unknown)}; known are {', '.join(self.instances)}")
        return list(names or self.default)


def _bind(build: Callable[..., Program], *arguments: str) -> Callable[[], Program]:
    return lambda: build(*arguments)


_ENERGY = {size: _bind(energy.energy, size) for size in energy.SIZES}
_DCOPF = {case: _bind(dcopf.dcopf, case) for case in dcopf.CASES}
_QP = {size: {f"{name}-{size}": _bind(qp.qp, name, size) for name in qp.FAMILIES} for size in "sm"}
_SOCP = {size: {f"{name}-{size}": _bind(socp.socp, name, size) for name in socp.FAMILIES} for size in "sm"}
_SMALL = _QP["s"] | _SOCP["s"]
_COMPILE = _QP["m"] | _SOCP["m"] | _ENERGY | _DCOPF

SUITES = {
    "energy": Suite(_ENERGY, ("T0", "S1", "P1")),
    "dcopf": Suite(_DCOPF, tuple(_DCOPF)),
    "qp": Suite(_QP["m"], tuple(_QP["m"])),
    "socp": Suite(_SOCP["m"], tuple(_SOCP["m"])),
    "small": Suite(_SMALL, tuple(_SMALL), ("solve", "resolve")),
    "compile": Suite(_COMPILE, tuple(name for name in _COMPILE if name != "P2"), ("compile",)),
}
