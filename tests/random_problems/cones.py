"""The cones of the conic families: points inside, complementary pairs, and ways to write "in K" in CVXPY."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[Array, Array]


def positive(rng: Generator, *shape: int) -> Array:
    """Numbers well away from zero."""
    return 0.2 + np.abs(rng.standard_normal(shape))


class Cone(abc.ABC):
    """A closed convex cone K in R^size. Matrices are flattened, with the plain inner product."""

    size: int

    @abc.abstractmethod
    def interior(self, rng: Generator) -> Array:
        """A point in the (relative) interior of K."""

    @abc.abstractmethod
    def dual_interior(self, rng: Generator) -> Array:
        """A point in the interior of the dual cone."""

    @abc.abstractmethod
    def pair(self, rng: Generator) -> Pair:
        """Complementary s in K and y in K*: s'y = 0, usually with both on the boundary."""

    @abc.abstractmethod
    def constraints(self, e: cp.Expression, rng: Generator) -> list[cp.Constraint]:
        """`e` in K, written in one of the ways that a user may choose."""


@dataclass(frozen=True)
class ZeroCone(Cone):
    size: int

    def interior(self, rng: Generator) -> Array:
        return np.zeros(self.size)

    def dual_interior(self, rng: Generator) -> Array:
        return rng.standard_normal(self.size)

    def pair(self, rng: Generator) -> Pair:
        return np.zeros(self.size), rng.standard_normal(self.size)

    def constraints(self, e: cp.Expression, rng: Generator) -> list[cp.Constraint]:
        match rng.integers(4):
            case 0:
                return [e == 0]
            case 1:
                return [0 == -e]
            case 2:
                return [cp.Zero(e)]
        return [e[i] == 0 for i in range(self.size)]


@dataclass(frozen=True)
class Orthant(Cone):
    size: int

    def interior(self, rng: Generator) -> Array:
        return positive(rng, self.size)

    def dual_interior(self, rng: Generator) -> Array:
        return positive(rng, self.size)

    def pair(self, rng: Generator) -> Pair:
        v = rng.standard_normal(self.size)
        if rng.random() < 0.25:  # degenerate: neither the slack nor the multiplier is positive
            v[rng.random(self.size) < 0.3] = 0
        return np.maximum(v, 0), np.maximum(-v, 0)

    def constraints(self, e: cp.Expression, rng: Generator) -> list[cp.Constraint]:
        match rng.integers(6):
            case 0:
                return [-e <= 0]
            case 1:
                return [cp.NonNeg(e)]
            case 2:
                return [cp.min(e) >= 0]
            case 3:
                cut = int(rng.integers(self.size + 1))
                return [part for part in (e[:cut] >= 0, 0 <= e[cut:]) if part.size]
            case 4:
                return [cp.NonPos(-e)]
        return [e >= 0]


@dataclass(frozen=True)
class SecondOrder(Cone):
    """(t, u) with |u| <= t."""

    size: int

    def interior(self, rng: Generator) -> Array:
        u = rng.standard_normal(self.size - 1)
        return np.concatenate([np.linalg.norm(u) + positive(rng, 1), u])

    def dual_interior(self, rng: Generator) -> Array:
        return self.interior(rng)

    def pair(self, rng: Generator) -> Pair:
        zero = np.zeros(self.size)
        match rng.integers(6):
            case 0:
                return self.interior(rng), zero
            case 1:
                return zero, self.interior(rng)
        u = rng.standard_normal(self.size - 1)
        t = np.linalg.norm(u)
        return np.concatenate([[t], u]), positive(rng, 1) * np.concatenate([[t], -u])

    def constraints(self, e: cp.Expression, rng: Generator) -> list[cp.Constraint]:
        match rng.integers(4):
            case 0:
                return [cp.SOC(e[0], e[1:])]
            case 1:
                return [cp.SOC(e[:1], cp.reshape(e[1:], (self.size - 1, 1), order="F"), axis=0)]
            case 2:
                return [cp.norm(e[1:]) - e[0] <= 0]
        return [cp.norm(e[1:]) <= e[0]]


@dataclass(frozen=True)
class Semidefinite(Cone):
    """Symmetric positive semidefinite matrices of the given order."""

    order: int

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.order**2

    def _matrix(self, basis: Array, eigenvalues: Array) -> Array:
        return np.asarray((basis * eigenvalues) @ basis.T).ravel()

    def _basis(self, rng: Generator) -> Array:
        return np.linalg.qr(rng.standard_normal((self.order, self.order)))[0]

    def interior(self, rng: Generator) -> Array:
        return self._matrix(self._basis(rng), positive(rng, self.order))

    def dual_interior(self, rng: Generator) -> Array:
        return self.interior(rng)

    def pair(self, rng: Generator) -> Pair:
        rank = int(rng.integers(self.order + 1))
        basis, w = self._basis(rng), positive(rng, self.order)
        in_s = np.arange(self.order) < rank
        return self._matrix(basis, w * in_s), self._matrix(basis, w * ~in_s)

    def constraints(self, e: cp.Expression, rng: Generator) -> list[cp.Constraint]:
        E = cp.reshape(e, (self.order, self.order), order="CF"[rng.integers(2)])
        match rng.integers(4):
            case 0:
                return [-E << 0]
            case 1:
                return [cp.PSD(E)]
            case 2:
                return [cp.lambda_min((E + E.T) / 2) >= 0]
        return [E >> 0]


@dataclass(frozen=True)
class Exponential(Cone):
    """`count` triples (x, y, z) with y exp(x/y) <= z, stored as all x, all y, all z."""

    count: int

    @property
    def size(self) -> int:  # type: ignore[override]
        return 3 * self.count

    def interior(self, rng: Generator) -> Array:
        y, r = positive(rng, self.count), rng.uniform(-2, 1.5, self.count)
        return np.concatenate([r * y, y, y * np.exp(r) + positive(rng, self.count)])

    def dual_interior(self, rng: Generator) -> Array:
        u, r = -positive(rng, self.count), rng.uniform(-1, 2, self.count)
        return np.concatenate([u, r * u, -u * np.exp(r - 1) + positive(rng, self.count)])

    def pair(self, rng: Generator) -> Pair:
        y, r = positive(rng, self.count), rng.uniform(-2, 1.5, self.count)
        active = rng.random(self.count) < 0.8
        slack = np.where(active, 0, positive(rng, self.count))
        weight = np.where(active, positive(rng, self.count), 0)
        s = np.concatenate([r * y, y, y * np.exp(r) + slack])
        normal = np.concatenate([-weight * np.exp(r), weight * np.exp(r) * (r - 1), weight])
        return s, normal

    def constraints(self, e: cp.Expression, rng: Generator) -> list[cp.Constraint]:
        x, y, z = e[: self.count], e[self.count : 2 * self.count], e[2 * self.count :]
        match rng.integers(3):
            case 0:
                return [x + cp.rel_entr(y, z) <= 0]
            case 1:
                return [cp.ExpCone(x[i], y[i], z[i]) for i in range(self.count)]
        return [cp.ExpCone(x, y, z)]


@dataclass(frozen=True)
class Power(Cone):
    """`count` triples (x, y, z) with x^a y^(1-a) >= |z|, stored as all x, all y, all z."""

    count: int
    a: float

    @property
    def size(self) -> int:  # type: ignore[override]
        return 3 * self.count

    def _inside(self, rng: Generator, x: Array, y: Array) -> Array:
        return rng.uniform(-0.8, 0.8, self.count) * x**self.a * y ** (1 - self.a)

    def interior(self, rng: Generator) -> Array:
        x, y = positive(rng, self.count), positive(rng, self.count)
        return np.concatenate([x, y, self._inside(rng, x, y)])

    def dual_interior(self, rng: Generator) -> Array:
        x, y = positive(rng, self.count), positive(rng, self.count)
        return np.concatenate([self.a * x, (1 - self.a) * y, self._inside(rng, x, y)])

    def pair(self, rng: Generator) -> Pair:
        x, y, w = (positive(rng, self.count) for _ in range(3))
        sign = rng.choice([-1.0, 1.0], self.count)
        z = x**self.a * y ** (1 - self.a)
        s = np.concatenate([x, y, sign * z])
        return s, np.concatenate([w * self.a * z / x, w * (1 - self.a) * z / y, -w * sign])

    def constraints(self, e: cp.Expression, rng: Generator) -> list[cp.Constraint]:
        x, y, z = e[: self.count], e[self.count : 2 * self.count], e[2 * self.count :]
        match rng.integers(3):
            case 0 if self.a == 0.5:
                return [cp.geo_mean(cp.hstack([x[i], y[i]])) >= cp.abs(z[i]) for i in range(self.count)]
            case 1:
                weights = np.array([[self.a], [1 - self.a]]) * np.ones(self.count)
                return [cp.PowConeND(cp.vstack([x, y]), z, weights)]
        return [cp.PowCone3D(x, y, z, self.a)]
