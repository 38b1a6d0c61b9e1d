"""The ways of calling the solver, and of not calling it."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import pytest

import cvxprox

from .problems import SOLVER, TIGHT, Build, assert_solved, assert_solved_by, lasso, reference, sdp


@pytest.mark.parametrize(
    "how",
    [
        {"solver": "NABLA_ADMM"},
        {"solver": "nabla_admm"},
        {"solver": "Nabla_Admm", "eps_abs": 1e-8},
        {"method": "nabla_admm"},
        {"method": "nabla_admm", "eps_abs": 1e-8},
        {"solve_method": "nabla_admm"},
        {"solver": cvxprox.NablaADMM()},
        {"solver": cvxprox.NablaADMM(eps_abs=1e-8), "max_iter": 10_000},
        {"solver_path": [SOLVER, cp.CLARABEL]},
        {"solver_path": [(SOLVER, {"eps_abs": 1e-8})]},
    ],
    ids=str,
)
def test_ways_of_calling(how: dict[str, Any]) -> None:
    assert_solved_by(lasso(), **how)


def test_solver_as_first_argument() -> None:
    problem = lasso()
    problem.solve(SOLVER)
    assert problem.solver_stats.solver_name == SOLVER


def test_both_ways_at_once_are_an_error() -> None:
    with pytest.raises(ValueError, match="not both"):
        lasso().solve(method="nabla_admm", solve_method="nabla_admm")
    with pytest.raises(ValueError, match="drop the solver"):
        lasso().solve(solve_method="nabla_admm", solver=SOLVER)


def test_other_methods_and_solvers_are_untouched() -> None:
    problem = lasso()
    problem.solve(solver=cp.CLARABEL)
    assert problem.solver_stats.solver_name == cp.CLARABEL
    x = cp.Variable()
    quasi = cp.Problem(cp.Minimize(cp.ceil(x)), [x >= 3.3])
    quasi.solve(qcp=True, solver=cp.CLARABEL, low=0, high=10)
    assert quasi.value == pytest.approx(4)


def test_instances_carry_options_that_solve_overrides() -> None:
    problem = sdp(6)
    solver = cvxprox.NablaADMM(max_iter=3, check_interval=2, polish=False, eps_abs=1e-14, eps_rel=0.0)
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=solver)
    assert problem.solver_stats.num_iters == 3
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=solver, max_iter=7, warm_start=False)
    assert problem.solver_stats.num_iters == 7
    assert [r["iteration"] for r in problem.solver_stats.extra_stats["history"]] == [0, 2, 4, 6, 7]
    assert solver.options.max_iter == 3


DEFAULTS: list[Build] = [
    lambda: cp.Problem(cp.Minimize(cp.norm1(cp.Variable(2) - 1))),
    lasso,
    lambda: sdp(4),
    lambda: cp.Problem(cp.Minimize(cp.log_sum_exp(cp.Variable(2)) + cp.norm(cp.Variable(2)))),
]


@pytest.mark.parametrize("build", DEFAULTS)
def test_never_chosen_by_default(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("NABLA_ADMM was chosen")

    monkeypatch.setattr(cvxprox.NablaADMM, "solve_via_data", forbidden)
    problem = build()
    problem.solve()
    assert problem.status in (cp.OPTIMAL, cp.UNBOUNDED)
    assert problem.solver_stats.solver_name != SOLVER


@pytest.mark.parametrize("name", [SOLVER, SOLVER.lower()])
def test_problem_data_and_back(name: str) -> None:
    problem = lasso()
    expected = reference(problem)
    data, chain, inverse = problem.get_problem_data(name)
    raw = chain.solve_via_data(problem, data, solver_opts=TIGHT)
    assert problem.value is None
    problem.unpack_results(raw, chain, inverse)
    assert_solved(problem, expected)
    assert problem.constraints[0].dual_value is not None
