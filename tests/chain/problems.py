"""Problems, what the reductions make of them, and their optima by another solver."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from cvxprox.program import ProxProgram
from cvxprox.reductions.assemble import assemble
from cvxprox.reductions.parametric import ParametricProgram

SOLVER = "NABLA_ADMM"
TIGHT: dict[str, Any] = {"eps_abs": 1e-9, "eps_rel": 1e-9}
Build = Callable[[], cp.Problem]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal(shape)


def stuffed(problem: cp.Problem, **options: Any) -> tuple[ProxProgram, ParametricProgram]:
    data = problem.get_problem_data(SOLVER, solver_opts=options)[0]
    return assemble(data["numbers"], data["param_prob"].layout).program, data["param_prob"]


def kinds(problem: cp.Problem, **options: Any) -> list[str]:
    """The functions of the program's blocks."""
    return sorted(type(block.function).__name__ for block in stuffed(problem, **options)[0].blocks)


def terms(problem: cp.Problem, **options: Any) -> list[str]:
    """The functions of the blocks that have weights."""
    blocks = stuffed(problem, **options)[0].blocks
    return sorted(type(b.function).__name__ for b in blocks if b.weight is not None)


def by_clarabel(problem: cp.Problem) -> float:
    """The optimal value, as accurate as it gets; leaves primal and dual values in the problem."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # tried again
        for tol in (1e-11, 1e-10, 1e-9, 1e-8):
            problem.solve(
                solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol, warm_start=False
            )
            if problem.status == cp.OPTIMAL:
                break
    assert problem.status == cp.OPTIMAL
    return float(problem.value)


def distance(x: cp.Variable, target: np.ndarray) -> cp.Expression:
    """Half the squared distance to a point, less a constant, without auxiliary variables."""
    return 0.5 * cp.sum_squares(x) - cp.sum(cp.multiply(target, x))


def assert_same_optimum(build: Build, tol: float = 1e-5, **options: Any) -> cp.Problem:
    """The same problem, built twice, solved by both."""
    expected = by_clarabel(build())
    problem = build()
    problem.solve(solver=SOLVER, **(TIGHT | options))
    assert problem.status == cp.OPTIMAL
    assert problem.value == pytest.approx(expected, rel=tol, abs=tol)
    assert float(problem.objective.value) == pytest.approx(expected, rel=10 * tol, abs=10 * tol)
    return problem


def minimize(term: Callable[[cp.Variable], cp.Expression], *shape: int, **attributes: Any) -> Build:
    """Minimise the term plus a quadratic that makes the minimiser unique and not trivial."""

    def build() -> cp.Problem:
        x = cp.Variable(shape or (5,), name="x", **attributes)
        target = 2 * normal(*x.shape, seed=11)
        return cp.Problem(cp.Minimize(term(x) + distance(x, target)))

    return build


def linear(term: Callable[[cp.Variable], cp.Expression], *shape: int, **attributes: Any) -> Build:
    """Minimise the term plus a linear function over a box: no quadratic objective."""

    def build() -> cp.Problem:
        x = cp.Variable(shape or (5,), name="x", **attributes)
        slope = normal(*x.shape, seed=12)
        return cp.Problem(cp.Minimize(term(x) + cp.sum(cp.multiply(slope, x))), [x >= -2, x <= 2.5])

    return build


A, a = normal(7, 5, seed=1), normal(7, seed=2)
W23 = np.arange(6.0).reshape(2, 3)
