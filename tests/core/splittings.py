"""Small convex programs for all algorithms, each with the same in CVXPY, solved by Clarabel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np
import torch

from cvxprox import prox
from cvxprox.operators import as_dense
from cvxprox.program import ProxProgram

from .programs import F64, INF, Rows, box, build

Terms = Callable[[cp.Expression], tuple[Any, list[Any]]]


@dataclass(frozen=True)
class Case:
    """A program, its functions in CVXPY, and whether one prox suffices for it."""

    program: ProxProgram
    terms: Terms  # of z
    single: bool

    @cache  # noqa: B019
    def solution(self) -> tuple[float, np.ndarray, np.ndarray]:
        """The optimal value, x and y, by Clarabel."""
        p = self.program
        x, z = cp.Variable(p.variables), cp.Variable(p.rows)
        objective, constraints = self.terms(z)
        objective = objective + p.q.numpy() @ x + p.offset
        if p.P is not None:
            objective += 0.5 * cp.quad_form(x, cp.psd_wrap(as_dense(p.P).numpy()))
        coupling = as_dense(p.K).numpy() @ x + p.b.numpy() == z
        value = cp.Problem(cp.Minimize(objective), [coupling, *constraints]).solve(
            solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11
        )
        return value, x.value, coupling.dual_value


def least_squares(seed: int, rows: int, n: int) -> tuple[np.ndarray, torch.Tensor, float]:
    """P, q and the offset of ``|Ax - b|^2``."""
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((rows, n)), rng.standard_normal(rows)
    return 2 * A.T @ A, torch.from_numpy(-2 * A.T @ b), float(b @ b)


def weights(value: float, count: int) -> torch.Tensor:
    return torch.full((count,), value, dtype=F64)


def zeros(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=F64)


def lasso() -> Case:
    P, q, offset = least_squares(0, 20, 10)
    rows: list[Rows] = [(prox.Abs(), (10,), weights(3.0, 10))]
    program = build(2 * np.eye(10), zeros(10), rows, q, P, offset)
    return Case(program, lambda z: (3 * cp.norm1(z), []), True)


def nonnegative_least_squares() -> Case:
    P, q, offset = least_squares(1, 20, 10)
    program = build(np.eye(10), zeros(10), [box(np.zeros(10), np.full(10, INF))], q, P, offset)
    return Case(program, lambda z: (0, [z >= 0]), True)


def two_parts() -> Case:
    """A box on some variables, shifted norms of pairs of others, nothing on the last."""
    P, q, offset = least_squares(2, 20, 10)
    K = np.eye(10)[[3, 1, 0, 4, 5, 6, 7]] * np.array([1, 2, 0.5, -3, -3, -3, -3])[:, None]
    rows: list[Rows] = [box([-0.1] * 3, [0.1] * 3), (prox.Norm2(), (2, 2), weights(0.7, 2))]
    b = torch.linspace(-0.5, 0.5, 7, dtype=F64)

    def terms(z: cp.Expression) -> tuple[Any, list[Any]]:
        return 0.7 * (cp.norm(z[3:5]) + cp.norm(z[5:7])), [cp.abs(z[:3]) <= 0.1]

    return Case(build(K, b, rows, q, P, offset), terms, True)


def transform() -> Case:
    P, q, offset = least_squares(3, 12, 8)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0][:5]
    rows: list[Rows] = [(prox.Abs(), (5,), weights(1.5, 5))]
    return Case(build(Q, zeros(5), rows, q, P, offset), lambda z: (1.5 * cp.norm1(z), []), True)


def total_variation() -> Case:
    rng = np.random.default_rng(4)
    signal = np.repeat([0, 1.0, -1], 10) + 0.2 * rng.standard_normal(30)
    D = np.diff(np.eye(30), axis=0)
    rows: list[Rows] = [(prox.Abs(), (29,), weights(0.5, 29))]
    q = torch.from_numpy(-2 * signal)
    program = build(D, zeros(29), rows, q, 2 * np.eye(30), float(signal @ signal))
    return Case(program, lambda z: (0.5 * cp.norm1(z), []), False)


def cone() -> Case:
    """No quadratic: norms, a second-order cone and an equality."""
    rng = np.random.default_rng(5)
    K = np.vstack([rng.standard_normal((5, 4)), np.eye(4)[:2], np.zeros((1, 4)), np.eye(4), np.ones((1, 4))])
    b = torch.from_numpy(np.concatenate([rng.standard_normal(5), np.zeros(2), [1.0], np.zeros(4), [-0.3]]))
    rows: list[Rows] = [
        (prox.Norm2(), (1, 5), weights(1.0, 1)),
        (prox.Norm2(), (1, 2), weights(0.5, 1)),
        (prox.SecondOrderCone(), (1, 5), None),
        box([0.0], [0.0]),
    ]

    def terms(z: cp.Expression) -> tuple[Any, list[Any]]:
        return cp.norm(z[:5]) + 0.5 * cp.norm(z[5:7]), [cp.SOC(z[7], z[8:12]), z[12] == 0]

    return Case(build(K, b, rows), terms, False)


def huber() -> Case:
    rng = np.random.default_rng(6)
    K = np.vstack([rng.standard_normal((20, 8)), np.eye(8)])
    b = torch.from_numpy(np.concatenate([3 * rng.standard_normal(20), np.zeros(8)]))
    rows: list[Rows] = [
        (prox.Huber(weights(1.0, 20)), (20,), weights(1.0, 20)),
        (prox.Abs(), (8,), weights(1.0, 8)),
    ]
    return Case(build(K, b, rows), lambda z: (cp.sum(cp.huber(z[:20])) + cp.norm1(z[20:]), []), False)


CASES: dict[str, Case] = {
    make.__name__: make()
    for make in (
        lasso, nonnegative_least_squares, two_parts, transform, total_variation, cone, huber,
    )
}  # fmt: skip
