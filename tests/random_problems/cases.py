"""What a generated problem is, and the variables that problems are made of."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from numpy.random import Generator

from tests.random_problems.cones import Array, Orthant, Semidefinite, positive

OPTIMAL, INFEASIBLE, UNBOUNDED = cp.OPTIMAL, cp.INFEASIBLE, cp.UNBOUNDED


@dataclass(frozen=True)
class Case:
    """A problem whose status, and often whose optimal value, is known by construction."""

    family: str
    seed: int
    problem: cp.Problem
    status: str
    value: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """A variable with a point `x` of its set, an element `z` of the dual of the tangent cone there
    (the reduced cost), a second point `inside`, and a direction of recession. All are flattened in
    Fortran order."""

    variable: cp.Variable
    x: Array
    z: Array
    inside: Array
    recession: Array
    kind: str

    @property
    def flat(self) -> cp.Expression:
        return cp.vec(self.variable, order="F")


def leaf(rng: Generator, kind: str, size: int) -> Leaf:
    """A variable of about `size` entries."""
    zero = np.zeros(size)
    x, inside, d = (rng.standard_normal(size) for _ in range(3))
    if kind in ("psd", "symmetric"):
        order = max(1, int(np.sqrt(size)))
        cone = Semidefinite(order)
        (x, z), inside, d = cone.pair(rng), cone.interior(rng), cone.interior(rng)
        if kind == "psd":
            return Leaf(cp.Variable((order, order), PSD=True), x, z, inside, d, kind)
        G = rng.standard_normal((order, order))
        x = np.asarray(G + G.T).ravel()
        return Leaf(cp.Variable((order, order), symmetric=True), x, 0 * x, inside, d, kind)
    shape = random_shape(rng, size)
    if kind == "nonneg":
        x, z = Orthant(size).pair(rng)
        d = np.abs(d) * (rng.random(size) < 0.8)
        return Leaf(cp.Variable(shape, nonneg=True), x, z, positive(rng, size), d, kind)
    if kind == "bounds":
        lower, width = rng.standard_normal(size), positive(rng, size)
        where = rng.integers(3, size=size)
        x = lower + width * np.choose(where, [0.0, rng.random(size), 1.0])
        z = positive(rng, size) * np.choose(where, [1.0, 0.0, -1.0])
        bounds = [v.reshape(shape, order="F") for v in (lower, lower + width)]
        return Leaf(cp.Variable(shape, bounds=bounds), x, z, lower + width / 2, zero, kind)
    if rng.random() < 0.3:  # a sparse point: absolute values and the like have kinks there
        x[rng.random(size) < 0.5] = 0
    return Leaf(cp.Variable(shape), x, zero, inside, d, "free")


def random_shape(rng: Generator, size: int) -> tuple[int, ...]:
    """A scalar, vector, row, column or matrix shape with `size` entries."""
    if size == 1 and rng.random() < 0.6:
        return ()
    divisors = [k for k in range(1, size + 1) if size % k == 0]
    rows = int(rng.choice(divisors))
    return (size,) if rng.random() < 0.5 else (rows, size // rows)


def leaves(rng: Generator, kinds: list[str], largest: int = 30) -> list[Leaf]:
    """One to three variables, with at most `largest` entries together."""
    n = int(np.ceil(largest ** rng.random()))
    parts = int(rng.integers(1, min(3, n) + 1))
    cuts = np.sort(rng.choice(np.arange(1, n), parts - 1, replace=False)) if parts > 1 else np.array([], int)
    sizes = np.diff(np.concatenate([[0], cuts, [n]]))
    return [leaf(rng, str(rng.choice(kinds)), int(size)) for size in sizes]


def joined(items: list[Leaf]) -> tuple[Array, Array, Array, Array]:
    """x, z, inside and recession of all the variables together."""
    x, z = np.concatenate([i.x for i in items]), np.concatenate([i.z for i in items])
    return x, z, np.concatenate([i.inside for i in items]), np.concatenate([i.recession for i in items])


def flat(items: list[Leaf]) -> cp.Expression:
    """All the variables in one vector."""
    return items[0].flat if len(items) == 1 else cp.hstack([i.flat for i in items])
