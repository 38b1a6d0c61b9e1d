"""What a re-solve keeps: the compilation, and the point to start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from cvxprox.reductions.stuffing import ProxStuffing

from .problems import SOLVER, TIGHT, assert_solved, lasso, parameter, reference, variable


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Grows by one with every compilation."""
    calls: list[int] = []
    original = ProxStuffing.apply

    def spy(self: ProxStuffing, problem: cp.Problem) -> Any:
        calls.append(1)
        return original(self, problem)

    monkeypatch.setattr(ProxStuffing, "apply", spy)
    yield calls


def test_new_parameter_values_do_not_compile_again(compilations: list[int]) -> None:
    rng = np.random.default_rng(4)
    x, b = cp.Variable(4), cp.Parameter(4)
    A, weight, radius = cp.Parameter((6, 4)), cp.Parameter(nonneg=True), cp.Parameter(nonneg=True)
    problem = cp.Problem(
        cp.Minimize(cp.norm1(A @ x - 1) + weight * cp.log_sum_exp(x) + cp.sum_squares(x - b)),
        [cp.norm(x) <= radius, x >= -1],
    )
    for _ in range(4):
        A.value, b.value = rng.standard_normal((6, 4)), rng.standard_normal(4)
        weight.value, radius.value = rng.uniform(0.5, 2), rng.uniform(0.5, 2)
        problem.solve(solver=SOLVER)
        value = problem.value
        assert value == pytest.approx(reference(problem), rel=1e-5)
    assert sum(compilations) == 1


def test_options_do_not_compile_again(compilations: list[int]) -> None:
    problem = lasso()
    expected = reference(problem)
    for options in ({"rho": 1.0}, {"alpha": 1.0}, {"linear_solver": "dense"}, {"scaling": 0}, {}):
        problem.solve(solver=SOLVER, **options)
        assert_solved(problem, expected)
    assert sum(compilations) == 1


def test_frozen_parameters_compile_again(compilations: list[int]) -> None:
    """Without a quadratic objective the matrix of a quadratic form is factored at compile time."""
    x, P, c = cp.Variable(3), cp.Parameter((3, 3), PSD=True), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.quad_form(x, P) + c @ x), [cp.sum(x) == 1])
    assert problem.is_dpp("dcp", quad_form_dpp="qp")
    counts = []
    base = np.diag([1.0, 2.0, 3.0]) + 0.5
    for matrix, vector in ((base, 0), (base, 1), (2 * base, 1), (2 * base, 2), (base, 0)):
        P.value, c.value = matrix, vector * np.arange(3.0)
        problem.solve(solver=SOLVER, use_quad_obj=False)
        assert_solved(problem, reference(problem))
        counts.append(sum(compilations))
    assert counts == [1, 1, 2, 2, 3]


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem that is not DPP")
def test_not_dpp(compilations: list[int]) -> None:
    x, P, a = cp.Variable(3), cp.Parameter((3, 3), PSD=True), cp.Parameter(nonneg=True)
    problem = cp.Problem(
        cp.Maximize(cp.sum(x) - a * a * cp.norm1(x - 1)), [cp.quad_form(x, P) <= 1, a * a * x[0] <= 0.1]
    )
    assert not problem.is_dpp()
    for scale in (1.0, 2.0, 0.5):
        P.value, a.value = scale * (np.diag([1.0, 2.0, 3.0]) + 0.5), scale
        problem.solve(solver=SOLVER)
        assert_solved(problem, reference(problem))
    assert sum(compilations) == 3


def test_not_dpp_warns_and_ignore_dpp_does_not() -> None:
    x, a = cp.Variable(3), cp.Parameter(nonneg=True, value=2.0)
    problem = cp.Problem(cp.Minimize(cp.norm1(a * a * x - 1) + cp.sum(x)))
    with pytest.warns(UserWarning, match="not DPP"):
        problem.solve(solver=SOLVER)
    problem.solve(solver=SOLVER, ignore_dpp=True)
    assert problem.value == pytest.approx(0.75, abs=1e-5)


def test_warm_start() -> None:
    problem = lasso()
    options: dict[str, Any] = {"polish": False, "check_interval": 5, **TIGHT}
    problem.solve(solver=SOLVER, **options)
    cold, value = problem.solver_stats.num_iters, problem.value
    problem.solve(solver=SOLVER, **options)
    assert problem.solver_stats.num_iters == 0 and problem.value == pytest.approx(value, rel=1e-7)
    problem.solve(solver=SOLVER, warm_start=False, **options)
    assert problem.solver_stats.num_iters == cold > 20
    parameter(problem).value = 1.001
    expected = reference(problem)
    problem.solve(solver=SOLVER, **options)
    assert 0 < problem.solver_stats.num_iters < 0.8 * cold
    assert_solved(problem, expected)
    cold_problem = lasso(weight=1.001)
    cold_problem.solve(solver=SOLVER, warm_start=False, **options)
    np.testing.assert_allclose(variable(problem).value, variable(cold_problem).value, atol=1e-6)


def test_warm_start_after_an_infeasible_problem() -> None:
    x, low = cp.Variable(3), cp.Parameter(value=2.0)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - 3)), [x >= low, cp.sum(x) <= 3])
    for value, status in ((2.0, cp.INFEASIBLE), (0.0, cp.OPTIMAL), (5.0, cp.INFEASIBLE), (0.5, cp.OPTIMAL)):
        low.value = value
        problem.solve(solver=SOLVER)
        assert problem.status == status
        assert status == cp.INFEASIBLE or problem.value == pytest.approx(12, rel=1e-5)
