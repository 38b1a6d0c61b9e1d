"""Parallel rows are merged into one, and their multipliers shared out again."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from cvxprox.algorithms import Session, solve_program
from cvxprox.options import Options
from cvxprox.prox import Box
from cvxprox.reductions.assemble import Assembly

from .problems import SOLVER, TIGHT, by_clarabel, distance, rng, stuffed


def interval_rows(problem: cp.Problem) -> int:
    blocks = stuffed(problem)[0].blocks
    return sum(b.shape[0] for b in blocks if isinstance(b.function, Box))


def test_parallel_rows_are_one_row() -> None:
    x = cp.Variable(3)
    row, other = np.array([1.0, -2, 3]), np.array([1.0, -2, 4])
    rows = [row @ x <= 1, row @ x >= -1, -row @ x <= 5, 2 * row @ x <= 3, -0.3 * row @ x >= -9]
    target = cp.sum_squares(x) - 5 * cp.sum(x)
    assert interval_rows(cp.Problem(cp.Minimize(target), rows)) == 1
    assert interval_rows(cp.Problem(cp.Minimize(target), [*rows, other @ x <= 1])) == 2
    assert interval_rows(cp.Problem(cp.Minimize(target), [x >= 0, x <= 1, 3 * x <= 2, x[0] == 0.5])) == 3


def merged_problem(seed: int) -> cp.Problem:
    """Every row comes up several times: flipped, scaled, with other bounds."""
    random = rng(seed)
    x = cp.Variable(6)
    M = random.standard_normal((4, 6))
    low, high = -random.uniform(0.1, 1, 4), random.uniform(0.1, 1, 4)
    return cp.Problem(
        cp.Minimize(distance(x, 3 * random.standard_normal(6)) + 0.1 * cp.norm1(x)),
        [
            M @ x <= high,
            M @ x >= low,
            -4 * (M[:2] @ x) <= 3,
            0.5 * (M[2:] @ x) <= 0.5 * high[2:] + 1,
            x >= -1.5,
            -2 * x >= -3.5,
            x[:2] <= 1,
        ],
    )


@pytest.mark.parametrize("seed", range(3))
def test_merged_rows_have_the_duals_of_separate_rows(seed: int) -> None:
    problem, expected = merged_problem(seed), merged_problem(seed)
    value = by_clarabel(expected)
    assert interval_rows(problem) == 10
    problem.solve(solver=SOLVER, **TIGHT)
    assert problem.value == pytest.approx(value, rel=1e-6)
    for ours, theirs in zip(problem.constraints, expected.constraints, strict=True):
        np.testing.assert_allclose(ours.dual_value, theirs.dual_value, atol=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_merging_changes_nothing(seed: int) -> None:
    problem = merged_problem(seed)
    data = problem.get_problem_data(SOLVER)[0]
    numbers, layout = data["numbers"], data["param_prob"].layout
    options = Options().with_changes(TIGHT)
    answers = []
    for merge in (True, False):
        assembled = Assembly(numbers, layout, merge=merge).assemble(numbers)
        assert assembled is not None
        result = solve_program(Session.start(assembled.program, options))
        answers.append((result.residuals.objective, assembled.duals(result.dual.numpy())))
    (first, duals), (second, others) = answers
    assert first == pytest.approx(second, rel=1e-7)
    for key in duals:
        np.testing.assert_allclose(duals[key], others[key], atol=1e-4)


def test_equal_rows_share_their_multiplier() -> None:
    x = cp.Variable(2)
    equations = [x[0] + x[1] == 1, x[0] + x[1] == 1, 2 * x[0] + 2 * x[1] == 2]
    bounds = [x[0] <= 0.2, x[0] <= 0.2, x[0] <= 7]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - 3)), equations + bounds)
    problem.solve(solver=SOLVER, **TIGHT)
    np.testing.assert_allclose(x.value, [0.2, 0.8], atol=1e-7)
    total = 2 * (3 - 0.8)
    shares = [con.dual_value for con in equations]
    assert shares[0] == pytest.approx(shares[1], rel=1e-9)
    assert shares[0] + shares[1] + 2 * shares[2] == pytest.approx(total, rel=1e-5)
    loads = [con.dual_value for con in bounds]
    assert loads[0] == pytest.approx(loads[1]) and loads[2] == pytest.approx(0, abs=1e-9)
    assert loads[0] + loads[1] == pytest.approx(2 * (3 - 0.2) - total, rel=1e-5)


def test_bounds_that_meet_are_an_equality() -> None:
    x, low = cp.Variable(3), cp.Parameter(value=1.0)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - [3, 0, 1])), [x[0] >= low, x[0] <= 1, x >= -1])
    problem.solve(solver=SOLVER, **TIGHT)
    np.testing.assert_allclose(x.value, [1, 0, 1], atol=1e-6)
    assert problem.constraints[1].dual_value == pytest.approx(4, rel=1e-5)
    low.value = 1.5
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE
    low.value = 0.5
    problem.solve(solver=SOLVER)
    assert problem.value == pytest.approx(4, rel=1e-5)
