"""Functions with a proximal operator, each by its definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cvxpy as cp
import numpy as np

from cvxprox import atoms
from cvxprox.atoms.function import ConvexAtom, FunctionAtom
from cvxprox.atoms.total_variation import PairedTotalVariation
from tests.atoms.linear_cases import differences, values

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Convex:
    """A convex atom, what it computes, and the same in CVXPY's own atoms."""

    name: str
    build: Callable[..., FunctionAtom]
    definition: Callable[..., Any]
    written_out: Callable[..., cp.Expression]
    shape: Shape
    data: tuple[Any, ...] = ()
    positive: bool = False
    complex_: bool = False
    kind: type = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.of(self.variable())))

    def of(self, x: cp.Expression) -> FunctionAtom:
        return self.build(x, *self.data)

    def variable(self, name: str | None = None) -> cp.Variable:
        return cp.Variable(self.shape, name=name, complex=self.complex_)

    def point(self, seed: int = 0) -> np.ndarray:
        v = values(self.shape, seed, self.complex_)
        return np.abs(v) + 0.1 if self.positive else v

    def __str__(self) -> str:
        return self.name


def slopes(x: cp.Expression, axes: Shape, boundary: str = "reflect") -> list[cp.Expression]:
    """Differences of a matrix or a vector along the axes, as vectors."""
    found = []
    for axis in axes:
        first = x[:1] if axis == 0 else x[:, :1]
        last = x[-1:] if axis == 0 else x[:, -1:]
        beyond = {"reflect": last, "circular": first}[boundary]
        found.append(cp.vec(cp.diff(cp.concatenate([x, beyond], axis=axis), axis=axis), order="C"))
    return found


def lengths(parts: list[cp.Expression]) -> cp.Expression:
    return cp.sum(cp.norm(cp.vstack(parts), 2, axis=0))


def halves(parts: list[cp.Expression]) -> list[cp.Expression]:
    return [half(part) for part in parts for half in (cp.real, cp.imag)]


COUNTS = np.array([[0.0, 1.0, 4.0], [2.0, 0.0, 7.0]])
LEVELS = np.array([[0.1, 0.5, 0.9], [0.0, 1.0, 0.3]])
WEIGHTS = np.array([0.0, 1.0, 2.5])

CONVEX = [
    Convex("tv reflecting", lambda x: atoms.tv(x, "reflect"),
           lambda x: np.linalg.norm(differences(x, "reflect", (0, 1)), axis=0).sum(),
           lambda x: lengths(slopes(x, (0, 1))), (4, 5)),
    Convex("tv circular", lambda x: atoms.tv(x),
           lambda x: np.linalg.norm(differences(x, "circular", (0, 1)), axis=0).sum(),
           lambda x: lengths(slopes(x, (0, 1), "circular")), (4, 5)),
    Convex("tv anisotropic", lambda x: atoms.tv(x, "reflect", isotropic=False),
           lambda x: np.abs(differences(x, "reflect", (0, 1))).sum(),
           lambda x: sum(cp.norm1(part) for part in slopes(x, (0, 1))), (4, 5)),
    Convex("tv of an axis", lambda x: atoms.tv(x, "reflect", axes=1),
           lambda x: np.abs(np.diff(x, axis=1)).sum(),
           lambda x: cp.norm1(cp.diff(x, axis=1)), (3, 4)),
    Convex("tv of a signal", lambda x: atoms.tv(x, "reflect"),
           lambda x: np.abs(np.diff(x)).sum(),
           lambda x: cp.norm1(cp.diff(x)), (8,)),
    Convex("tv of a colour image", lambda x: atoms.tv(x, "reflect", axes=(0, 1)),
           lambda x: np.linalg.norm(differences(x, "reflect", (0, 1)), axis=0).sum(),
           lambda x: sum(lengths(slopes(x[:, :, c], (0, 1))) for c in range(2)), (3, 4, 2)),
    Convex("poisson", atoms.poisson, lambda x, b: (x - b * np.log(x)).sum(),
           lambda x, b: cp.sum(x - cp.multiply(b, cp.log(x))), (2, 3), (COUNTS,), True),
    Convex("poisson of one number", atoms.poisson, lambda x, b: (x - b * np.log(x)).sum(),
           lambda x, b: cp.sum(x - b * cp.log(x)), (3,), (2.0,), True),
    Convex("hinge", atoms.hinge, lambda x: np.maximum(1 - x, 0).sum(),
           lambda x: cp.sum(cp.pos(1 - x)), (2, 3)),
    Convex("quantile", atoms.quantile, lambda x, q: np.maximum(q * x, (q - 1) * x).sum(),
           lambda x, q: cp.sum(cp.maximum(q * x, (q - 1) * x)), (2, 3), (0.3,)),
    Convex("quantiles", atoms.quantile, lambda x, q: np.maximum(q * x, (q - 1) * x).sum(),
           lambda x, q: cp.sum(cp.maximum(cp.multiply(q, x), cp.multiply(q - 1, x))), (2, 3), (LEVELS,)),
    Convex("group_norm of rows", lambda x: atoms.group_norm(x, 1), lambda x: np.linalg.norm(x, axis=1).sum(),
           lambda x: cp.sum(cp.norm(x, 2, axis=1)), (3, 4)),
    Convex("group_norm of columns", lambda x: atoms.group_norm(x, 0),
           lambda x: np.linalg.norm(x, axis=0).sum(),
           lambda x: cp.sum(cp.norm(x, 2, axis=0)), (3, 4)),
    Convex("group_norm weighted", lambda x, w: atoms.group_norm(x, -1, w),
           lambda x, w: w @ np.linalg.norm(x, axis=1), lambda x, w: w @ cp.norm(x, 2, axis=1), (3, 4),
           (WEIGHTS,)),
    Convex("group_norm in the middle", lambda x, w: atoms.group_norm(x, 1, w),
           lambda x, w: (w * np.linalg.norm(x, axis=1)).sum(),
           lambda x, w: sum(w[i] @ cp.norm(x[i], 2, axis=0) for i in range(2)), (2, 4, 3), (LEVELS,)),
    Convex("group_norm of two axes", lambda x: atoms.group_norm(x, (0, 2)),
           lambda x: np.sqrt((x**2).sum((0, 2))).sum(),
           lambda x: sum(cp.norm(cp.vec(x[:, i], order="F")) for i in range(3)), (2, 3, 2)),
    Convex("group_norm of all", lambda x: atoms.group_norm(x, None, 2.0), lambda x: 2 * np.linalg.norm(x),
           lambda x: 2 * cp.pnorm(x, 2), (2, 3)),
    Convex("tv complex", lambda x: atoms.tv(x, "reflect"),
           lambda x: np.linalg.norm(differences(x, "reflect", (0, 1)), axis=0).sum(),
           lambda x: cp.sum(cp.norm(cp.vstack(halves(slopes(x, (0, 1)))), 2, axis=0)), (3, 4), complex_=True),
    Convex("tv complex anisotropic", lambda x: atoms.tv(x, "circular", False, 1),
           lambda x: np.abs(differences(x, "circular", (1,))).sum(),
           lambda x: sum(cp.norm1(part) for part in slopes(x, (1,), "circular")), (3, 4), complex_=True),
    Convex("group_norm complex", lambda x, w: atoms.group_norm(x, 1, w),
           lambda x, w: w @ np.linalg.norm(x, axis=1),
           lambda x, w: w @ cp.norm(cp.hstack(halves([x])), 2, axis=1), (3, 4), (WEIGHTS,), complex_=True),
]  # fmt: skip


def below(kind: type) -> set[type]:
    return set().union(*({sub} | below(sub) for sub in kind.__subclasses__()))


def convex_atoms() -> set[type]:
    """Every convex function of the library with a cone form."""
    inside = {PairedTotalVariation}
    return {atom for atom in below(ConvexAtom) if atom.__module__.startswith("cvxprox.")} - inside
