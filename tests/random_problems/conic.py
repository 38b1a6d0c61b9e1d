r"""Problems  minimize |Fx - g|^2 + c'x  subject to  Ax + b in K,  x in X,  with their status known.

* optimal: complementary s, y and reduced costs z, and c = A'y + z - grad |Fx - g|^2 at x, so that x is
  optimal. Half of the time (always for cones other than the orthant) A is corrected by two matrices of rank
  one so that the problem and its dual have strictly feasible points as well.
* infeasible: a Farkas certificate y in K* with A'y = 0 and b'y < 0; the dual problem is feasible.
* unbounded: a direction d with Ad in K, Fd = 0, c'd < 0; the problem is strictly feasible.
"""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from numpy.random import Generator

from tests.random_problems.cases import INFEASIBLE, OPTIMAL, UNBOUNDED, Case, Leaf, flat, joined, leaves
from tests.random_problems.cones import (
    Array,
    Cone,
    Exponential,
    Orthant,
    Power,
    SecondOrder,
    Semidefinite,
    ZeroCone,
    positive,
)


def _linear_cones(rng: Generator, n: int) -> list[Cone]:
    zero, orthant = int(rng.integers(0, max(1, n // 2) + 1)), int(rng.integers(1, 2 * n + 3))
    return [ZeroCone(zero), Orthant(orthant)] if zero else [Orthant(orthant)]


def _second_order_cones(rng: Generator, n: int) -> list[Cone]:
    return [SecondOrder(int(rng.integers(2, 9))) for _ in range(rng.integers(1, 5))]


def _semidefinite_cones(rng: Generator, n: int) -> list[Cone]:
    return [Semidefinite(int(rng.integers(1, 7))) for _ in range(rng.integers(1, 3))]


def _exponential_cones(rng: Generator, n: int) -> list[Cone]:
    return [Exponential(int(rng.integers(1, 6))) for _ in range(rng.integers(1, 3))]


def _power_cones(rng: Generator, n: int) -> list[Cone]:
    exponents = rng.choice([0.5, 0.25, 0.3, 0.9, 2 / 3], rng.integers(1, 3))
    return [Power(int(rng.integers(1, 4)), float(a)) for a in exponents]


SPECIAL: dict[str, Callable[[Generator, int], list[Cone]]] = {
    "lp": _linear_cones,
    "qp": _linear_cones,
    "socp": _second_order_cones,
    "sdp": _semidefinite_cones,
    "exp": _exponential_cones,
    "power": _power_cones,
}
KINDS = {
    "lp": ["free", "nonneg", "bounds"],
    "qp": ["free", "nonneg", "bounds"],
    "sdp": ["free", "psd", "symmetric"],
}


def conic(family: str, seed: int, rng: Generator) -> Case:
    """A problem of one of the families in `SPECIAL`."""
    status = str(rng.choice([OPTIMAL, INFEASIBLE, UNBOUNDED], p=[0.66, 0.2, 0.14]))
    items = leaves(rng, KINDS.get(family, ["free", "free", "nonneg"]))
    n = sum(i.x.size for i in items)
    cones = SPECIAL[family](rng, n)
    if family not in ("lp", "qp") and rng.random() < 0.6:
        cones += _linear_cones(rng, max(1, n // 2))
    m = sum(k.size for k in cones)
    A = rng.standard_normal((m, n))
    notes = [status, f"n={n}", f"m={m}"]
    if rng.random() < 0.4:
        A *= rng.random((m, n)) < 0.4
        notes.append("sparse")
    A = _symmetrized(A, cones)
    F = np.zeros((0, n))
    if family == "qp" or rng.random() < 0.25:
        F = rng.standard_normal((int(rng.integers(1, n + 2)), n))
        notes.append("quadratic")
    strict = family not in ("lp", "qp") or rng.random() < 0.5
    if status == OPTIMAL:
        A, b, c, F, g = _optimal(rng, A, F, cones, items, strict)
    elif status == INFEASIBLE:
        A, b, c, F, g = _infeasible(rng, A, F, cones)
    else:
        recession = joined(items)[3]
        if not np.any(recession):
            return conic(family, seed, rng)
        A, b, c, F, g = _unbounded(rng, A, F, cones, items)
    x = joined(items)[0]
    value = float(np.sum((F @ x - g) ** 2) + c @ x) if status == OPTIMAL else None
    A, b, cones = _redundant(rng, A, b, cones, status, notes)
    rows, cols, weight = _scales(rng, cones, items, notes)
    problem = _write(
        rng,
        rows[:, None] * A * cols,
        rows * b,
        weight * c * cols,
        np.sqrt(weight) * F * cols,
        np.sqrt(weight) * g,
        cones,
        items,
        notes,
    )
    if value is not None:
        value *= weight if isinstance(problem.objective, cp.Minimize) else -weight
    return Case(family, seed, problem, status, value, tuple(notes))


def _symmetrized(A: Array, cones: list[Cone]) -> Array:
    """`A` with the rows of semidefinite blocks made symmetric."""
    A, start = A.copy(), 0
    for cone in cones:
        if isinstance(cone, Semidefinite):
            block = A[start : start + cone.size].reshape(cone.order, cone.order, -1)
            A[start : start + cone.size] = ((block + block.transpose(1, 0, 2)) / 2).reshape(cone.size, -1)
        start += cone.size
    return A


Data = tuple[Array, Array, Array, Array, Array]


def _optimal(rng: Generator, A: Array, F: Array, cones: list[Cone], items: list[Leaf], strict: bool) -> Data:
    x, z, inside, _ = joined(items)
    pairs = [cone.pair(rng) for cone in cones]
    s, y = np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])
    if strict:
        A = _with_interior(rng, A, s, y, inside - x, cones)
    g = F @ x + rng.standard_normal(F.shape[:1])
    return A, s - A @ x, A.T @ y + z - 2 * F.T @ (F @ x - g), F, g


def _with_interior(rng: Generator, A: Array, s: Array, y: Array, d: Array, cones: list[Cone]) -> Array:
    """`A` corrected: s + Ad is in the interior of K, and A'(y1 - y) = 0 for some y1 in the interior of K*."""
    s1 = np.concatenate([cone.interior(rng) for cone in cones])
    y1 = np.concatenate([cone.dual_interior(rng) for cone in cones])
    both, left, right = s1 @ y1, s @ y1, s1 @ y
    if min(both, left, right) <= 1e-3 * both or np.linalg.norm(d) < 1e-3:
        return A
    ds, dy = 2 * left / both * s1 - s, 2 * right / both * y1 - y  # these are orthogonal
    A = A + np.outer(ds - A @ d, d) / (d @ d)
    return np.asarray(A - np.outer(dy, dy @ A) / (dy @ dy))


def _infeasible(rng: Generator, A: Array, F: Array, cones: list[Cone]) -> Data:
    used = rng.random(len(cones)) < 0.6
    used[rng.integers(len(cones))] = True
    parts = [cone.dual_interior(rng) * bool(u) for cone, u in zip(cones, used, strict=True)]
    y = np.concatenate(parts)
    size = np.abs(A).max(initial=0.0)
    A = A - np.outer(y, y @ A) / (y @ y)
    A[np.abs(A) < 1e-12 * size] = 0.0  # what rounding leaves would make the problem feasible far out
    b = (
        np.concatenate([cone.interior(rng) for cone in cones])
        + 0.3 * _symmetrized(rng.standard_normal((len(y), 1)), cones).ravel()
    )
    b -= y * (b @ y / (y @ y) + rng.uniform(0.3, 3) / np.linalg.norm(y))
    other = np.concatenate([cone.dual_interior(rng) for cone in cones])
    return A, b, A.T @ other, F, rng.standard_normal(F.shape[:1])


def _unbounded(rng: Generator, A: Array, F: Array, cones: list[Cone], items: list[Leaf]) -> Data:
    _, _, x, d = joined(items)
    image = np.concatenate([cone.interior(rng) * float(rng.integers(2)) for cone in cones])
    A = A + np.outer(image - A @ d, d) / (d @ d)
    F = F - np.outer(F @ d, d) / (d @ d)
    b = np.concatenate([cone.interior(rng) for cone in cones]) - A @ x
    c = rng.standard_normal(len(d))
    c -= d * (c @ d / (d @ d) + rng.uniform(0.3, 3) / np.linalg.norm(d))
    return A, b, c, F, rng.standard_normal(F.shape[:1])


def _redundant(
    rng: Generator, A: Array, b: Array, cones: list[Cone], status: str, notes: list[str]
) -> tuple[Array, Array, list[Cone]]:
    """Rows that change nothing: combinations of rows, and zero rows (also the impossible one, 0 >= 1)."""
    cones = list(cones)
    blocks_A, blocks_b = [A], [b]
    starts = np.cumsum([0] + [cone.size for cone in cones])
    for cone, start in list(zip(cones, starts, strict=False)):
        if isinstance(cone, ZeroCone | Orthant) and rng.random() < 0.15:
            k = int(rng.integers(1, 4))
            T = rng.standard_normal((k, cone.size))
            T = np.abs(T) if isinstance(cone, Orthant) else T
            slack = positive(rng, k) * rng.integers(0, 2, k) if isinstance(cone, Orthant) else 0
            blocks_A.append(T @ A[start : start + cone.size])
            blocks_b.append(T @ b[start : start + cone.size] + slack)
            cones.append(type(cone)(k))
            notes.append("redundant")
    if rng.random() < 0.1:
        blocks_A.append(np.zeros((2, A.shape[1])))
        right = -positive(rng, 2) if status == INFEASIBLE else np.array([0.0, 1.0])
        blocks_b.append(right)
        cones.append(Orthant(2))
        notes.append("zero rows")
    if rng.random() < 0.05:
        blocks_A.append(np.zeros((1, A.shape[1])))
        blocks_b.append(np.zeros(1))
        cones.append(ZeroCone(1))
        notes.append("zero equality")
    return np.concatenate(blocks_A), np.concatenate(blocks_b), cones


def _scales(
    rng: Generator, cones: list[Cone], items: list[Leaf], notes: list[str]
) -> tuple[Array, Array, float]:
    """Factors for the rows (by cone where the cone is not a product of lines), columns and objective."""
    rows, cols, weight = np.ones(sum(k.size for k in cones)), np.ones(sum(i.x.size for i in items)), 1.0
    if rng.random() < 0.15:
        linear = [isinstance(cone, ZeroCone | Orthant) for cone in cones]
        size = [cone.size if free else 1 for cone, free in zip(cones, linear, strict=True)]
        parts = [10 ** rng.uniform(-3, 3, k) for k in size]
        rows = np.concatenate([p * np.ones(cone.size) for p, cone in zip(parts, cones, strict=True)])
        notes.append("row scales")
    if rng.random() < 0.15:
        fixed = {"psd": 1, "symmetric": 1}
        factors = [10 ** rng.uniform(-1.5, 1.5, fixed.get(i.kind, i.x.size)) for i in items]
        factors = [np.ones(1) if i.kind == "bounds" else f for i, f in zip(items, factors, strict=True)]
        cols = np.concatenate([f * np.ones(i.x.size) for i, f in zip(items, factors, strict=True)])
        notes.append("column scales")
    if rng.random() < 0.15:
        weight = float(10 ** rng.uniform(-3, 3))
        notes.append("objective scale")
    return rows, cols, weight


def _write(
    rng: Generator,
    A: Array,
    b: Array,
    c: Array,
    F: Array,
    g: Array,
    cones: list[Cone],
    items: list[Leaf],
    notes: list[str],
) -> cp.Problem:
    """The problem in CVXPY, in one of many equivalent spellings."""
    x = flat(items)
    starts = np.cumsum([0] + [i.x.size for i in items])
    separate = rng.random() < 0.4

    def image(M: Array) -> cp.Expression:
        M = sp.csr_array(M) if rng.random() < 0.3 else M
        if not separate:
            return M @ x
        return sum((M[:, j:k] @ i.flat for i, j, k in zip(items, starts[:-1], starts[1:], strict=True)), 0)

    constraints, start = [], 0
    for cone in cones:
        part = slice(start, start + cone.size)
        offset = cp.Parameter(cone.size, value=b[part]) if rng.random() < 0.15 else b[part]
        constraints += cone.constraints(image(A[part]) + offset, rng)
        start += cone.size
    rng.shuffle(constraints)
    objective = c @ x
    if F.shape[0]:
        if rng.random() < 0.4:
            square = cp.quad_form(x, cp.psd_wrap(F.T @ F)) - 2 * (F.T @ g) @ x + g @ g
        else:
            square = cp.sum_squares(image(F) - g)
        objective = objective + square
    if rng.random() < 0.3:
        notes.append("maximize")
        return cp.Problem(cp.Maximize(-objective), constraints)
    return cp.Problem(cp.Minimize(objective), constraints)
