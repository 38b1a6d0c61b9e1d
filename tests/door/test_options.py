"""Every option acts, takes numbers of any kind, and leads to the same optimum."""

from __future__ import annotations

import dataclasses
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
from cvxpy.error import SolverError

import cvxprox

from .problems import (
    NEVER,
    SOLVER,
    TIGHT,
    Build,
    assert_solved,
    assert_solved_by,
    by_clarabel,
    lasso,
    mixed,
    reference,
    sdp,
    variable,
)

VARIANTS: dict[str, list[Any]] = {
    "algorithm": ["admm_vxu", "ladmm", "pdhg"],
    "schedule": ["constant", lambda k: 1.0 + (k < 50)],
    "lane": ["auto"],
    "restart": [False],
    "rho": [1e-3, 1e-2, 1.0, 10.0],
    "adaptive_rho": [True, "scalar", False],
    "alpha": [0.8, 1.0, 1.9],
    "sigma": [1e-3, 1e-1],
    "scaling": [0, False, 1],
    "acceleration": [True, 5],
    "linear_solver": ["qdldl", "dense", "cg"],
    "polish": [True, False],
    "check_interval": [1, 7, 100],
    "eps_abs": [1e-5, 1e-4],
    "eps_rel": [1e-9, 1e-4],
    "device": ["cpu", "auto"],
    "dtype": ["float64", torch.float64, "float32"],
    "max_iter": [30_000],
    "time_limit": [100.0],
    "callback": [lambda k, residuals, x: None],
    "use_quad_obj": [False],
    "verbose": [True],
}
SAME_RUN = {
    ("adaptive_rho", True), ("linear_solver", "qdldl"), ("device", "cpu"), ("device", "auto"),
    ("dtype", "float64"), ("dtype", torch.float64), ("max_iter", 30_000), ("time_limit", 100.0),
    ("verbose", True), ("schedule", "constant"), ("lane", "auto"), ("restart", False),
}  # fmt: skip


def test_every_option_is_tried() -> None:
    assert VARIANTS.keys() == {field.name for field in dataclasses.fields(cvxprox.Options)}


@pytest.fixture(scope="module")
def mixed_answer() -> tuple[float, np.ndarray]:
    problem = mixed()
    problem.solve(solver=cp.CLARABEL)
    return problem.value, variable(problem).value


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in VARIANTS.items() for v in values], ids=lambda v: str(v)[:12]
)
def test_every_option_acts_and_leads_to_the_same_optimum(
    name: str, value: Any, mixed_answer: tuple[float, np.ndarray]
) -> None:
    base: dict[str, Any] = {"polish": False, "eps_abs": 1e-7, "eps_rel": 1e-7, "check_interval": 5}
    if value in ("float32", "cg"):
        base |= {"eps_abs": 1e-4, "eps_rel": 1e-4}
    problem, default = mixed(), mixed()
    problem.solve(solver=SOLVER, **(base | {name: value}))
    default.solve(solver=SOLVER, **base)
    tol = 1e-2 if 1e-4 in (value, base["eps_abs"]) else 2e-4
    optimum, x = mixed_answer
    assert problem.status == cp.OPTIMAL
    assert problem.value == pytest.approx(optimum, rel=tol)
    np.testing.assert_allclose(variable(problem).value, x, atol=tol)
    if name == "callback":
        return  # its own tests
    if (name, value) in SAME_RUN:
        np.testing.assert_array_equal(variable(problem).value, variable(default).value)
    elif name != "polish" or value is not False:
        assert not np.array_equal(variable(problem).value, variable(default).value)


@pytest.mark.parametrize("build", [lasso, mixed, lambda: sdp(4)])
def test_the_solution_does_not_depend_on_the_penalty(build: Build) -> None:
    solutions, values = [], []
    for rho in (0.3, 1.0, 3.0, 10.0):
        problem = build()
        problem.solve(solver=SOLVER, rho=rho, adaptive_rho=False, polish=False, eps_abs=1e-8, eps_rel=1e-8)
        assert problem.status == cp.OPTIMAL
        solutions.append(np.concatenate([np.ravel(v.value) for v in problem.variables()]))
        values.append(problem.value)
    assert np.ptp(values) <= 1e-6 * (1 + abs(values[0]))
    assert np.ptp(solutions, axis=0).max() < 1e-5


WHOLE = {"max_iter": 50, "check_interval": 10}


@pytest.mark.parametrize("kind", [int, float, np.int64, np.float64])
def test_numbers_of_any_kind(kind: type) -> None:
    problem = sdp(6)
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, **(NEVER | {k: kind(v) for k, v in WHOLE.items()}))
    assert problem.solver_stats.num_iters == 50
    assert [r["iteration"] for r in problem.solver_stats.extra_stats["history"]] == [*range(0, 51, 10)]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numpy_tolerances(kind: type) -> None:
    assert_solved_by(lasso(), solver=SOLVER, eps_abs=kind(1e-7), eps_rel=kind(1e-7), rho=kind(0.1))


@pytest.mark.parametrize("option", [{"max_iter": np.inf}, {"rho": np.inf}, {"sigma": np.inf}], ids=str)
def test_infinite_options_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(SolverError, match=f"NABLA_ADMM: {next(iter(option))} must be"):
        lasso().solve(solver=SOLVER, **option)


def test_relative_tolerances_alone() -> None:
    """The scales of the residuals are zero at the start, or for good."""
    assert_solved_by(lasso(), solver=SOLVER, eps_abs=0.0, eps_rel=1e-7)
    x = cp.Variable(3)
    for objective in (cp.Minimize(0), cp.Minimize(cp.norm1(x))):
        problem = cp.Problem(objective, [x >= 0])
        problem.solve(solver=SOLVER, eps_abs=0.0, eps_rel=1e-6)
        assert problem.status == cp.OPTIMAL and problem.value == pytest.approx(0, abs=1e-9)


def test_penalty_rules_report_their_updates() -> None:
    updates = {}
    for rule in ("spectral", "scalar", False):
        problem = sdp(10)
        problem.solve(solver=SOLVER, adaptive_rho=rule, polish=False, rho=10.0)
        updates[rule] = problem.solver_stats.extra_stats["penalty_updates"]
    assert updates["spectral"] > 0 and updates["scalar"] > 0 and updates[False] == 0


def test_linear_solvers_report_their_names() -> None:
    names = {"qdldl": "qdldl", "dense": "Cholesky", "cg": "conjugate", "auto": "qdldl"}
    for option, text in names.items():
        problem = lasso()
        problem.solve(solver=SOLVER, linear_solver=option)
        assert text in problem.solver_stats.extra_stats["linear_solver"]


def test_acceleration_reports_its_steps() -> None:
    problem = sdp(10)
    problem.solve(solver=SOLVER, polish=False, **TIGHT)
    assert "acceleration" not in problem.solver_stats.extra_stats
    problem.solve(solver=SOLVER, polish=False, acceleration=10, warm_start=False, **TIGHT)
    counts = problem.solver_stats.extra_stats["acceleration"]
    assert counts["accepted"] > 0


@pytest.mark.parametrize("polish", [True, "auto"])
def test_polish_gains_digits(polish: Any) -> None:
    problem, plain = lasso(), lasso()
    expected = by_clarabel(problem, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    problem.solve(solver=SOLVER, polish=polish)
    plain.solve(solver=SOLVER, polish=False)
    x = variable(expected).value
    error, coarse = (np.abs(variable(p).value - x).max() for p in (problem, plain))
    assert error < 1e-8 < coarse
    assert problem.solver_stats.extra_stats["polished"] and not plain.solver_stats.extra_stats["polished"]


def test_loose_tolerances_take_fewer_iterations() -> None:
    iterations = []
    for tol in (1e-3, 1e-5, 1e-8):
        problem = lasso()
        problem.solve(solver=SOLVER, eps_abs=tol, eps_rel=tol, polish=False, check_interval=5)
        iterations.append(problem.solver_stats.num_iters)
    assert iterations[0] < iterations[1] < iterations[2]


def test_single_precision_computes_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    problem = mixed()
    problem.solve(
        solver=SOLVER, dtype="float32", eps_abs=1e-4, eps_rel=1e-4, callback=lambda k, r, x: seen.add(x.dtype)
    )
    assert seen == {torch.float32}
    assert variable(problem).value.dtype == np.float64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("linear_solver", ["auto", "dense", "cg"])
def test_cuda(linear_solver: str) -> None:
    problem = mixed()
    expected = reference(problem)
    problem.solve(solver=SOLVER, device="cuda", linear_solver=linear_solver)
    assert_solved(problem, expected, 1e-4)
