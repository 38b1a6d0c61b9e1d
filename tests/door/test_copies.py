"""Deep copies of problems have values, duals and caches of their own."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from .problems import (
    SOLVER,
    TIGHT,
    assert_same_duals,
    assert_solved_by,
    by_clarabel,
    lasso,
    parameter,
    variable,
)


@pytest.mark.parametrize("solved_before", [False, True])
def test_deep_copies(solved_before: bool) -> None:
    problem = lasso()
    if solved_before:
        problem.solve(solver=SOLVER)
    clone = copy.deepcopy(problem)
    assert variable(clone) is not variable(problem)
    parameter(clone).value = 5.0
    before = None if not solved_before else variable(problem).value.copy()
    assert_solved_by(clone, solver=SOLVER)
    value = variable(problem).value
    assert (value is None) if before is None else np.array_equal(value, before)
    parameter(clone).value = 0.1  # and once more, now from the copy's own cache
    assert_solved_by(clone, solver=SOLVER)
    assert parameter(problem).value == 1.0
    assert_solved_by(problem, solver=SOLVER)
    assert not np.allclose(variable(problem).value, variable(clone).value, atol=1e-3)


def test_copies_of_copies_have_duals_of_their_own() -> None:
    problem = lasso()
    problem.solve(solver=SOLVER)
    dual = problem.constraints[0].dual_value
    clone = copy.deepcopy(copy.deepcopy(problem))
    parameter(clone).value = 4.0
    clone.solve(solver=SOLVER, **TIGHT)
    assert_same_duals(clone, by_clarabel(clone))
    assert problem.constraints[0].dual_value == dual
