"""The solvers: each makes a layer of an instance, a function of its tensors that returns x."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from benchmarks.layers.instances import FAMILIES, Instance

OURS = "OURS"
Layer = Callable[..., Tensor]
CONIC = frozenset({"qp", "lasso", "socp", "parameter"})
"""The families that a cone program is: all that have no operators."""


@dataclass(frozen=True)
class Solver:
    """A solver.

    Attributes
    ----------
    name : str
        The name in the tables.
    needs : sequence of str
        Modules, or names in modules as ``module:name``, without which it is not available.
    make : callable
        Makes the layer of an instance.
    families : frozenset of str
        The families that it can solve.
    """

    name: str
    needs: Sequence[str]
    make: Callable[[Instance], Layer]
    families: frozenset[str] = frozenset(FAMILIES)

    @property
    def missing(self) -> str:
        """What is not installed or not there, or nothing."""
        return ", ".join(name for name in self.needs if not _there(name))


def _there(name: str) -> bool:
    module, _, member = name.partition(":")
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
    return found and (not member or hasattr(importlib.import_module(module), member))


class Ours:
    """`cvxprox.ProxLayer` with its defaults; `info` is what it reports of the last call."""

    def __init__(self, instance: Instance) -> None:
        model = instance.build()
        layer: Any = importlib.import_module("cvxprox").ProxLayer
        self.layer = layer(model.problem, parameters=model.parameters, variables=[model.x])

    def __call__(self, *tensors: Tensor) -> Tensor:
        return self.layer(*tensors)[0]

    @property
    def info(self) -> dict[str, Any]:
        """Accuracies of the forward and the backward pass, and their iterations."""
        return dict(self.layer.info)


def _cvxpylayer(solver: str, options: dict[str, Any], instance: Instance) -> Layer:
    model = instance.build()
    layer: Any = importlib.import_module("cvxpylayers.torch").CvxpyLayer
    made = layer(model.problem, parameters=model.parameters, variables=[model.x], solver=solver)
    return _first(partial(made, solver_args=options) if options else made)


def _first(layer: Callable[..., tuple[Tensor, ...]]) -> Layer:
    return lambda *tensors: layer(*tensors)[0]


def _qpth(instance: Instance) -> Layer:
    solve: Any = importlib.import_module("qpth.qp").QPFunction(verbose=-1)

    def layer(L: Tensor, q: Tensor, G: Tensor, h: Tensor, A: Tensor, b: Tensor) -> Tensor:
        return solve(L.mT @ L, q, G, h, A, b)

    return layer


ONE_JOB = dict(n_jobs_forward=1, n_jobs_backward=1)
"""diffcp's thread pools have a thread for every core otherwise."""

SOLVERS = {
    solver.name: solver
    for solver in (
        Solver(OURS, ["cvxprox:ProxLayer"], Ours),
        Solver("DIFFCP", ["cvxpylayers", "diffcp"], partial(_cvxpylayer, "DIFFCP", ONE_JOB), CONIC),
        Solver(
            "DIFFCP-dense",
            ["cvxpylayers", "diffcp"],
            partial(_cvxpylayer, "DIFFCP", ONE_JOB | dict(mode="dense")),
            frozenset({"qp", "socp"}),
        ),
        Solver("QPTH", ["qpth"], _qpth, frozenset({"qp"})),
        Solver("MOREAU", ["cvxpylayers", "moreau"], partial(_cvxpylayer, "MOREAU", {}), CONIC),
    )
}


def choose(names: Sequence[str]) -> list[Solver]:
    """The solvers of these names.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    unknown = sorted(set(names) - set(SOLVERS))
    if unknown:
        raise ValueError(f"unknown solvers {', '.join(unknown)}; known are {', '.join(SOLVERS)}")
    return [SOLVERS[name] for name in names]
