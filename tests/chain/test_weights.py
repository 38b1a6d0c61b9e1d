"""The weights of terms, from the constants and parameters around their atoms."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from .problems import SOLVER, W23, A, by_clarabel, stuffed


def weights(problem: cp.Problem) -> np.ndarray:
    """Of the only term."""
    (block,) = (b for b in stuffed(problem)[0].blocks if b.weight is not None)
    assert block.weight is not None
    return block.weight.numpy()


x5, X23 = cp.Variable(5), cp.Variable((2, 3))
p3 = cp.Parameter(nonneg=True, value=3.0)
w5 = cp.Parameter(5, nonneg=True, value=np.arange(5.0))
u = cp.abs(x5)
WEIGHTS: dict[str, tuple[cp.Minimize | cp.Maximize, Any]] = {
    "sum": (cp.Minimize(cp.sum(u)), np.ones(5)),
    "mean": (cp.Minimize(cp.mean(u)), np.full(5, 0.2)),
    "scalar": (cp.Minimize(2 * cp.sum(u) / 8), np.full(5, 0.25)),
    "vector @": (cp.Minimize(np.arange(5.0) @ u), np.arange(5)),
    "@ vector": (cp.Minimize(u @ np.arange(5.0)), np.arange(5)),
    "matrix @": (cp.Minimize(cp.sum(np.abs(A) @ u)), np.abs(A).sum(axis=0)),
    "multiply": (cp.Minimize(cp.sum(cp.multiply(np.arange(5.0), u))), np.arange(5)),
    "in Fortran order": (cp.Minimize(cp.sum(cp.multiply(W23, cp.abs(X23)))), W23.ravel(order="F")),
    "item": (cp.Minimize(u[3]), [0, 0, 0, 1, 0]),
    "slice": (cp.Minimize(cp.sum(u[1::2])), [0, 1, 0, 1, 0]),
    "fancy index": (cp.Minimize(cp.sum(u[[0, 0, 4]])), [2, 0, 0, 0, 1]),
    "sum of two": (cp.Minimize(cp.sum(u) + u[0]), [2, 1, 1, 1, 1]),
    "negated": (cp.Minimize(-1 * (-cp.sum(u))), np.ones(5)),
    "Maximize": (cp.Maximize(-3 * cp.sum(u)), np.full(5, 3)),
    "parameter": (cp.Minimize(p3 * cp.sum(u)), np.full(5, 3)),
    "parameter and scalar": (cp.Minimize(p3 / 2 * cp.sum(u)), np.full(5, 1.5)),
    "parameter vector": (cp.Minimize(w5 @ u), np.arange(5)),
    "hstack": (cp.Minimize(cp.sum(cp.hstack([u, 2 * u]))), np.full(5, 3)),
    "reshape": (cp.Minimize(cp.sum(cp.reshape(cp.abs(X23), (3, 2), order="C")[0])), [1, 0, 1, 0, 0, 0]),
    "convolve": (cp.Minimize(cp.sum(cp.convolve([1.0, 2.0], u))), np.full(5, 3)),
    "diagonal": (cp.Minimize(cp.trace(cp.abs(X23)[:, :2])), [1, 0, 0, 1, 0, 0]),
    "norm": (cp.Minimize(4 * cp.norm(x5)), [4]),
    "norms": (cp.Minimize(np.array([1.0, 2, 3]) @ cp.norm(X23, axis=0)), [1, 2, 3]),
    "log": (cp.Maximize(np.arange(5.0) @ cp.log(x5)), np.arange(5)),
    "entropy": (cp.Minimize(-2 * cp.sum(cp.entr(x5))), np.full(5, 2)),
    "min": (cp.Maximize(2 * cp.min(x5)), [2]),
    "zero": (cp.Minimize(0 * cp.norm(x5) + cp.sum(x5)), [0]),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str) -> None:
    objective, expected = WEIGHTS[name]
    np.testing.assert_allclose(weights(cp.Problem(objective, [x5 <= 3])), expected, atol=1e-15)


def test_weights_follow_parameters() -> None:
    problem = cp.Problem(cp.Minimize(p3 * cp.sum(u) + cp.sum_squares(x5 - 2)), [x5[0] == 1])
    for value in (0.0, 1.0, 2.5):
        p3.value = value
        assert problem.solve(solver=SOLVER) == pytest.approx(by_clarabel(problem), abs=1e-5)
        np.testing.assert_allclose(weights(problem), value)
    p3.value = 3.0


def test_a_weight_of_zero_keeps_the_domain() -> None:
    x, p = cp.Variable(3), cp.Parameter(nonneg=True, value=0.0)
    problem = cp.Problem(cp.Maximize(p * cp.sum(cp.log(x)) - cp.sum(x)), [x >= -5])
    assert problem.solve(solver=SOLVER) == pytest.approx(0, abs=1e-5)
    p.value = 2.0
    assert problem.solve(solver=SOLVER) == pytest.approx(3 * (2 * np.log(2) - 2), rel=1e-5)
