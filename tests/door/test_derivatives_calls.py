"""``requires_grad=True``, ``backward`` and ``derivative``: ways of calling, states and refusals."""

from __future__ import annotations

import copy
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

import cvxprox

from .derivative_cases import CASES, denoising
from .problems import SOLVER, TIGHT, lasso, parameter, variable


def simple(weight: float = 3.0) -> cp.Problem:
    """The solution is twice the parameter."""
    x, p = cp.Variable(name="x"), cp.Parameter(value=weight, name="p")
    return cp.Problem(cp.Minimize(cp.square(x - 2 * p)), [x >= 0])


@pytest.mark.parametrize(
    "how",
    [
        {"solver": "nabla_admm"},
        {"method": "nabla_admm"},
        {"solve_method": "nabla_admm"},
        {"solver": "NABLA_PDHG"},
        {"solver": "NABLA_LADMM"},
        {"solver": cvxprox.NablaADMM(eps_abs=1e-3, eps_rel=1e-3, polish=False)},
        {"solver_path": [SOLVER]},
    ],
    ids=str,
)
def test_ways_of_calling(how: dict[str, Any]) -> None:
    problem = simple()
    problem.solve(requires_grad=True, **how)
    problem.backward()
    assert parameter(problem).gradient == pytest.approx(2.0, abs=1e-7)
    parameter(problem).delta = 1e-3
    problem.derivative()
    assert variable(problem).delta == pytest.approx(2e-3, abs=1e-10)


def test_gradients_scale_the_default_ones() -> None:
    problem = simple()
    problem.solve(solver=SOLVER, requires_grad=True)
    variable(problem).gradient = 4.0
    problem.backward()
    assert parameter(problem).gradient == pytest.approx(8.0, abs=1e-7)
    problem.derivative()  # without a perturbation
    assert variable(problem).delta == 0.0


def test_a_new_solve_is_differentiated_at_new_values() -> None:
    problem = simple()
    slopes = []
    for weight in (3.0, -1.0):  # the constraint holds with equality at the second one
        parameter(problem).value = weight
        problem.solve(solver=SOLVER, requires_grad=True)
        parameter(problem).value = 0.5  # what comes after the solve does not matter
        problem.backward()
        slopes.append(float(parameter(problem).gradient))
    assert slopes == pytest.approx([2.0, 0.0], abs=1e-7)


def sloped_lasso() -> cp.Problem:
    problem = lasso()
    variable(problem).gradient = np.arange(8.0)
    return problem


def test_parameters_written_in_place() -> None:
    problem, numbers = sloped_lasso(), np.array(1.0)
    parameter(problem).value = numbers
    problem.solve(solver=SOLVER, requires_grad=True)
    numbers[...] = 50.0
    problem.backward()
    with_copy = float(parameter(problem).gradient)
    parameter(problem).value = 1.0
    problem.solve(solver=SOLVER, requires_grad=True)
    problem.backward()
    assert with_copy == pytest.approx(float(parameter(problem).gradient), rel=1e-6) and abs(with_copy) > 1e-4


@pytest.mark.parametrize("lane", ["auto", "matrix_free"])
def test_loose_solves_are_refined(lane: str) -> None:
    problem, slopes = denoising(), []
    for accuracy in ({"eps_abs": 1e-2, "eps_rel": 1e-2}, TIGHT):
        problem.solve(solver=SOLVER, requires_grad=True, lane=lane, warm_start=False, **accuracy)
        problem.backward()
        slopes.append(float(problem.parameters()[1].gradient))
        assert problem.solver_stats.extra_stats["gradient"]["forward_residual"] < 1e-7
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-6) and abs(slopes[0]) > 0.1


def test_refinement_that_stops_early_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvxprox.algorithms.session.Session.MAX_ITER", 2)
    problem = denoising()
    problem.solve(solver=SOLVER, requires_grad=True, lane="matrix_free", max_iter=5000)
    with pytest.warns(UserWarning, match="refined only to residuals"):
        problem.backward()


def test_problems_without_parameters() -> None:
    x = cp.Variable(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - 1)))
    problem.solve(solver=SOLVER, requires_grad=True)
    problem.backward()
    problem.derivative()
    np.testing.assert_array_equal(x.delta, np.zeros(2))


def test_problems_without_variables() -> None:
    p = cp.Parameter(2, value=[1.0, 2.0])
    problem = cp.Problem(cp.Minimize(cp.sum(p)))
    problem.solve(solver=SOLVER, requires_grad=True)
    problem.derivative()
    with pytest.warns(UserWarning, match="no variable depends on"):
        problem.backward()
    np.testing.assert_array_equal(p.gradient, np.zeros(2))


def test_parameters_that_do_not_matter() -> None:
    problem = simple()
    shift, limit = cp.Parameter(2, value=[1.0, 2.0], name="shift"), cp.Parameter(value=1.0, name="limit")
    shifted = problem.objective + cp.Minimize(cp.sum(shift))
    problem = cp.Problem(shifted, [*problem.constraints, limit <= 2])
    problem.solve(solver=SOLVER, requires_grad=True)
    with pytest.warns(UserWarning) as caught:
        problem.backward()
    texts = [str(warning.message) for warning in caught]
    assert sorted(text.partition(":")[0] for text in texts) == [
        "no variable depends on the parameter `limit`",
        "no variable depends on the parameter `shift`",
    ]
    np.testing.assert_array_equal(shift.gradient, np.zeros(2))
    assert limit.gradient == 0.0 and parameter(problem).gradient == pytest.approx(2.0)


@pytest.mark.parametrize("how", [{}, {"solver": SOLVER}, {"solver": cp.CLARABEL}], ids=str)
def test_derivatives_need_a_solve_that_asks_for_them(how: dict[str, Any]) -> None:
    problem = simple()
    if how:
        problem.solve(solver=SOLVER, requires_grad=True)
        problem.solve(**how)  # the latest solve decides
    for method in (problem.backward, problem.derivative):
        with pytest.raises(ValueError, match="only be called after calling solve with `requires_grad=True`"):
            method()


def test_a_failed_solve_is_not_differentiated() -> None:
    problem = simple()
    problem.solve(solver=SOLVER, requires_grad=True)
    with pytest.raises(cp.SolverError):
        problem.solve(solver=SOLVER, requires_grad=True, nonsense=1)
    with pytest.raises(ValueError, match="only be called after"):
        problem.backward()


@pytest.mark.parametrize("lower", [2.0, -np.inf])
def test_infeasible_and_unbounded(lower: float) -> None:
    x, p = cp.Variable(), cp.Parameter(value=1.0)
    problem = cp.Problem(cp.Minimize(x), [x <= p] + ([x >= lower] if np.isfinite(lower) else []))
    problem.solve(solver=SOLVER, requires_grad=True)
    assert problem.status in (cp.INFEASIBLE, cp.UNBOUNDED)
    with pytest.raises(cp.SolverError, match="Backpropagating through infeasible/unbounded"):
        problem.backward()
    with pytest.raises(ValueError, match="Differentiating through infeasible/unbounded"):
        problem.derivative()


def test_quasiconvex_problems_are_refused() -> None:
    x = cp.Variable()
    problem = cp.Problem(cp.Minimize(cp.ceil(x)), [x >= cp.Parameter(value=3.3)])
    with pytest.raises(ValueError, match="Cannot compute gradients of DQCP"):
        problem.solve(solver=SOLVER, qcp=True, requires_grad=True)


def test_integer_problems_are_refused() -> None:
    x = cp.Variable(integer=True)
    problem = cp.Problem(cp.Minimize(cp.square(x - cp.Parameter(value=0.3))))
    with pytest.raises(cp.SolverError, match="integer"):
        problem.solve(solver=SOLVER, requires_grad=True)


def test_dpp_can_be_enforced() -> None:
    problem = CASES["parameters_multiplied"].problem()
    with pytest.raises(cp.error.DPPError):
        problem.solve(solver=SOLVER, requires_grad=True, enforce_dpp=True)


@pytest.mark.parametrize(
    ("name", "numbers", "text"),
    [
        ("gradient", np.ones(2), r"gradient of `x` has the shape \(2,\)"),
        ("gradient", 1j, "gradient of `x` is complex"),
    ],
)
def test_numbers_that_do_not_fit(name: str, numbers: Any, text: str) -> None:
    problem = simple()
    problem.solve(solver=SOLVER, requires_grad=True)
    setattr(variable(problem), name, numbers)
    with pytest.raises(ValueError, match=text):
        problem.backward()


def test_copies_are_solved_again_first() -> None:
    problem = simple()
    problem.solve(solver=SOLVER, requires_grad=True)
    problem.derivative()
    clone = copy.deepcopy(problem)
    with pytest.raises(ValueError, match="only be called after"):
        clone.backward()
    parameter(clone).value = 5.0
    clone.solve(solver=SOLVER, requires_grad=True)
    clone.backward()
    assert parameter(clone).gradient == pytest.approx(2.0) and parameter(problem).gradient is None


def test_other_solvers_keep_their_derivatives() -> None:
    with pytest.raises(ValueError, match="only supported solver is SCS"):
        simple().solve(solver=cp.CLARABEL, requires_grad=True)
    pytest.importorskip("diffcp")
    problem = simple()
    problem.solve(solver=SOLVER, requires_grad=True)
    problem.solve(solver=cp.SCS, requires_grad=True, eps=1e-10, solve_method="SCS")
    assert problem.solver_stats.solver_name == "DIFFCP"
    problem.backward()
    assert parameter(problem).gradient == pytest.approx(2.0)
    problem.solve(solver=SOLVER, requires_grad=True)
    assert problem.solver_stats.solver_name == SOLVER
    problem.backward()
    assert parameter(problem).gradient == pytest.approx(2.0)
