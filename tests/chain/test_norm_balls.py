"""Bounds on norms are projections onto balls."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from .constraints import BALLS, DUALS
from .problems import SOLVER, TIGHT, by_clarabel, kinds


@pytest.mark.parametrize("name", BALLS)
def test_norm_balls_are_projections(name: str) -> None:
    assert kinds(DUALS[name]()) == [BALLS[name]]


@pytest.mark.parametrize("name", BALLS)
def test_norm_balls_have_shaped_duals(name: str) -> None:
    problem = DUALS[name]()
    problem.solve(solver=SOLVER)
    (con,) = problem.constraints
    assert np.shape(con.dual_value) == con.shape


def test_norms_that_are_no_balls() -> None:
    x, r = cp.Variable(3), cp.Parameter(value=1.0)
    for constraint in (cp.norm(x) <= x[0] + 1, cp.norm(x) <= r, cp.pnorm(x, 3) <= 1):
        problem = cp.Problem(cp.Minimize(cp.sum(x)), [constraint])
        assert not {"Norm2Ball", "Norm1Ball"} & set(kinds(problem))
        assert problem.solve(solver=SOLVER) == pytest.approx(by_clarabel(problem), rel=1e-4)
    r.value = -1.0
    problem = cp.Problem(cp.Minimize(cp.sum(x)), [cp.norm(x) <= r])
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE


def test_radii_follow_parameters() -> None:
    x, r = cp.Variable(4), cp.Parameter(nonneg=True)
    target = np.array([3.0, -1, 2, 0.5])
    balls: list[tuple[Any, float]] = [(1, np.inf), (2, 2), (np.inf, 1)]
    for order, dual_order in balls:
        problem = cp.Problem(cp.Minimize(cp.sum_squares(x - target)), [cp.norm(x, order) <= r])
        for value in (0.5, 1.5, 0.0, 100.0):
            r.value = value
            problem.solve(solver=SOLVER, **TIGHT)
            assert np.linalg.norm(x.value, order) <= value + 1e-7
            slope = np.linalg.norm(2 * (target - x.value), dual_order)
            if value == 100.0:
                np.testing.assert_allclose(x.value, target, atol=1e-6)
            if value == 0.0:
                assert problem.constraints[0].dual_value >= slope - 1e-4
            else:
                assert problem.constraints[0].dual_value == pytest.approx(slope, abs=1e-4)
