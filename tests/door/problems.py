"""Problems, reference answers and assertions that the tests of CVXPY's door share."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

import cvxprox  # noqa: F401, for it registers the solver

SOLVER = "NABLA_ADMM"
TIGHT: dict[str, Any] = {"eps_abs": 1e-9, "eps_rel": 1e-9}
NEVER: dict[str, Any] = {"eps_abs": 1e-15, "eps_rel": 0.0, "polish": False, "max_iter": 10**9}
Build = Callable[[], cp.Problem]


def reference(problem: cp.Problem) -> float:
    """The optimal value by Clarabel, on a copy."""
    return float(by_clarabel(problem).value)


def by_clarabel(problem: cp.Problem, **options: Any) -> cp.Problem:
    """A copy, solved by Clarabel."""
    clone = copy.deepcopy(problem)
    _forget([clone.objective, *clone.constraints])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on problems that are not DPP
        clone.solve(solver=cp.CLARABEL, **options)
    return clone


def _forget(nodes: list[Any]) -> None:
    """Drop the graph forms in a copy, which name the original's variables: CVXPY crashes on them."""
    for node in nodes:
        node.__dict__.pop("_lazy_canonical_form", None)
        _forget(node.args)


def assert_same_duals(problem: cp.Problem, expected: cp.Problem, tol: float = 1e-4) -> None:
    """Of all constraints that have them."""
    for ours, theirs in zip(problem.constraints, expected.constraints, strict=True):
        for mine, other in zip(ours.dual_variables, theirs.dual_variables, strict=True):
            assert (mine.value is None) == (other.value is None)
            if other.value is not None:
                np.testing.assert_allclose(mine.value, other.value, atol=tol, err_msg=str(ours))


def assert_solved(problem: cp.Problem, expected: float, tol: float = 1e-5) -> None:
    """The status, the value and the value of the objective at the point."""
    assert problem.status == cp.OPTIMAL
    assert problem.value == pytest.approx(expected, rel=tol, abs=tol)
    assert float(problem.objective.value) == pytest.approx(expected, rel=10 * tol, abs=10 * tol)


def assert_solved_by(problem: cp.Problem, **how: Any) -> None:
    expected = reference(problem)
    assert problem.solve(**how) == problem.value
    assert_solved(problem, expected)
    assert problem.solver_stats.solver_name == SOLVER


def lasso(seed: int = 0, weight: float = 1.0) -> cp.Problem:
    """Has a parameter "p", a variable "x" and active constraints; the minimiser is unique."""
    rng = np.random.default_rng(seed)
    x, p = cp.Variable(8, name="x"), cp.Parameter(nonneg=True, value=weight, name="p")
    A, b = rng.standard_normal((12, 8)), rng.standard_normal(12)
    return cp.Problem(
        cp.Minimize(cp.sum_squares(A @ x - b) + p * cp.norm1(x)),
        [cp.sum(x) == 1, x <= 0.4, cp.norm(x[:4]) <= 0.6],
    )


def sdp(order: int = 30) -> cp.Problem:
    """Takes many iterations."""
    rng = np.random.default_rng(1)
    X, C = cp.Variable((order, order), symmetric=True), rng.standard_normal((order, order))
    return cp.Problem(cp.Minimize(cp.trace((C + C.T) @ X)), [X >> 0, cp.trace(X) == 1, X >= -0.01])


def mixed() -> cp.Problem:
    """Separable and non-separable terms, cones, a quadratic objective; a unique minimiser."""
    rng = np.random.default_rng(5)
    x, T = cp.Variable(5, name="x"), cp.Variable((3, 3), symmetric=True)
    A, b = rng.standard_normal((7, 5)), rng.standard_normal(7)
    S = rng.standard_normal((3, 3))
    return cp.Problem(
        cp.Minimize(cp.sum_squares(A @ x - b) + 0.5 * cp.norm1(x) + cp.sum_squares(T - S - S.T)),
        [cp.norm(A[:3] @ x) <= x[0] + 1, T >> 0, cp.trace(T) == x[1] + 2, x >= -0.4],
    )


def parameter(problem: cp.Problem) -> cp.Parameter:
    return problem.param_dict["p"]


def variable(problem: cp.Problem) -> cp.Variable:
    return problem.var_dict["x"]
