"""Bad input: the error says what was found and what to do, and is raised before anything runs."""

from __future__ import annotations

import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cvxpy.error import DCPError, DPPError, ParameterError, SolverError

import cvxprox

SOLVER = "NABLA_ADMM"


def problem() -> cp.Problem:
    """A small problem that NABLA_ADMM solves."""
    x = cp.Variable(3, name="x")
    return cp.Problem(cp.Minimize(cp.norm1(x) + cp.sum_squares(x - 2)), [cp.sum(x) >= 1])


@pytest.mark.parametrize("name", ["max_iters", "eps_abz", "nonsense"])
def test_unknown_option_lists_the_known_ones(name: str) -> None:
    with pytest.raises(SolverError, match=f"no option '{name}'") as caught:
        problem().solve(solver=SOLVER, **{name: 1})
    for field in ("eps_abs", "max_iter", "time_limit", "linear_solver"):
        assert field in str(caught.value)


@pytest.mark.parametrize(("wrong", "right"), [("max_iters", "max_iter"), ("eps_ab", "eps_abs")])
def test_unknown_option_suggests_a_close_one(wrong: str, right: str) -> None:
    with pytest.raises(SolverError, match=f"Did you mean '{right}'"):
        problem().solve(solver=SOLVER, **{wrong: 1})


BAD_VALUES: list[tuple[str, Any, str]] = [
    ("eps_abs", -1e-6, "a number >= 0, not -1e-06"),
    ("eps_rel", "tight", "a number >= 0, not 'tight'"),
    ("eps_abs", float("nan"), "a number >= 0, not nan"),
    ("max_iter", 0, "an integer >= 1, not 0"),
    ("max_iter", 2.5, "an integer >= 1, not 2.5"),
    ("check_interval", -3, "an integer >= 1, not -3"),
    ("time_limit", 0.0, "None or a positive number of seconds, not 0.0"),
    ("rho", 0.0, "a positive number, not 0.0"),
    ("sigma", -1.0, "a positive number, not -1.0"),
    ("alpha", 2.0, "a number between 0 and 2, not 2.0"),
    ("adaptive_rho", "sometimes", "True, False or one of .*'spectral', 'scalar'.*, not 'sometimes'"),
    ("scaling", -1, "a bool or an integer >= 0, not -1"),
    ("acceleration", 1.5, "a bool or an integer >= 0, not 1.5"),
    ("linear_solver", "lu", "one of .*'auto', 'qdldl', 'dense', 'spectral', 'cg', 'minres'.*, not 'lu'"),
    ("polish", "maybe", "not 'maybe'"),
    ("callback", 3, "None or callable, not 3"),
    ("use_quad_obj", "no", "True or False, not 'no'"),
    ("dtype", "float16", '"float64" or "float32", not \'float16\''),
    ("dtype", np.int32, '"float64" or "float32", not'),
]


@pytest.mark.parametrize(("name", "value", "text"), BAD_VALUES, ids=lambda v: str(v)[:20])
def test_option_out_of_range(name: str, value: Any, text: str) -> None:
    with pytest.raises(SolverError, match=f"NABLA_ADMM: {name} must be .*{text}"):
        problem().solve(solver=SOLVER, **{name: value})
    with pytest.raises(ValueError, match=f"NABLA_ADMM: {name} must be"):
        cvxprox.NablaADMM(**{name: value})


def test_tolerances_cannot_both_be_zero() -> None:
    with pytest.raises(SolverError, match="eps_abs and eps_rel cannot both be 0"):
        problem().solve(solver=SOLVER, eps_abs=0, eps_rel=0)


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta:3:4"])
def test_unavailable_device(device: str) -> None:
    with pytest.raises(SolverError, match=f"device '{device}' is not available here") as caught:
        problem().solve(solver=SOLVER, device=device)
    assert 'device="cpu"' in str(caught.value)


def test_a_bad_option_leaves_the_problem_usable() -> None:
    bad = problem()
    with pytest.raises(SolverError, match="no option"):
        bad.solve(solver=SOLVER, nonsense=1)
    bad.solve(solver=SOLVER)
    assert bad.status == cp.OPTIMAL


def test_next_solver_of_a_path_is_tried() -> None:
    fallback = problem()
    fallback.solve(solver_path=[(SOLVER, {"nonsense": 1}), cp.CLARABEL])
    assert fallback.solver_stats.solver_name == cp.CLARABEL


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("place", ["matrix", "right-hand side", "objective", "offset", "parameter"])
def test_data_that_are_not_finite(place: str, number: float) -> None:
    if place == "parameter" and np.isnan(number):
        pytest.skip("CVXPY itself refuses the value")
    if place == "right-hand side" and number == np.inf:
        pytest.skip("this is no bound: see test_infinite_bounds")
    x, A, b, p = cp.Variable(3), np.eye(3), np.ones(3), cp.Parameter(3, value=np.ones(3))
    c, d = np.ones(3), np.ones(3)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = {"matrix": A[1], "right-hand side": b, "objective": c, "offset": d}.get(place)
        if target is None:
            p.value = [1.0, number, 1.0]
        else:
            target[1] = number
        bad = cp.Problem(
            cp.Minimize(cp.sum_squares(x - d) + cp.norm1(x - p) + c @ x), [A @ x <= b, x >= -10, x <= 10]
        )
        with pytest.raises((SolverError, ValueError), match=r"(?i)nan|inf|finite"):
            bad.solve(solver=SOLVER)


def test_infinite_bounds() -> None:
    x = cp.Variable(3)
    free = cp.Problem(
        cp.Minimize(cp.sum_squares(x - 2)), [x <= np.array([1, np.inf, 1]), x >= [-np.inf, 3, 0]]
    )
    free.solve(solver=SOLVER)
    assert free.status == cp.OPTIMAL
    np.testing.assert_allclose(x.value, [1, 3, 1], atol=1e-4)


def test_objective_that_is_not_convex() -> None:
    x = cp.Variable(3)
    with pytest.raises(DCPError, match="does not follow DCP rules"):
        cp.Problem(cp.Minimize(-cp.sum_squares(x))).solve(solver=SOLVER)
    with pytest.raises(DCPError, match="does not follow DCP rules"):
        cp.Problem(cp.Maximize(cp.norm(x))).solve(solver=SOLVER)


def test_constraint_that_is_not_convex() -> None:
    x = cp.Variable(3)
    with pytest.raises(DCPError, match="does not follow DCP rules"):
        cp.Problem(cp.Minimize(cp.sum(x)), [cp.norm(x) >= 1]).solve(solver=SOLVER)


def test_parameter_without_a_value() -> None:
    x, p = cp.Variable(3), cp.Parameter(3, name="weights")
    with pytest.raises(ParameterError, match=r"'weights'. does not have a value"):
        cp.Problem(cp.Minimize(cp.norm1(x - p))).solve(solver=SOLVER)


def test_enforced_dpp() -> None:
    x, p, q = cp.Variable(), cp.Parameter(value=1.0), cp.Parameter(value=2.0)
    with pytest.raises(DPPError, match="DPP"):
        cp.Problem(cp.Minimize(cp.square(p * q * x - 1))).solve(solver=SOLVER, enforce_dpp=True)


@pytest.mark.parametrize("attribute", ["integer", "boolean"])
def test_integer_variables(attribute: str) -> None:
    x = cp.Variable(2, **{attribute: True})
    with pytest.raises(SolverError, match=r"(?i)integer"):
        cp.Problem(cp.Minimize(cp.sum_squares(x - 0.3))).solve(solver=SOLVER)


def test_method_and_solver_together() -> None:
    with pytest.raises(ValueError, match="drop the solver argument"):
        problem().solve(method="nabla_admm", solver=cp.CLARABEL)


def test_method_and_solve_method_together() -> None:
    with pytest.raises(ValueError, match="not both"):
        problem().solve(method="nabla_admm", solve_method="nabla_admm")
