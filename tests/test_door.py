"""CVXPY's door: how the solver is called, what comes back, what a re-solve keeps."""

from __future__ import annotations

import copy
import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
from cvxpy.error import SolverError
from cvxpy.problems.problem import Problem

import cvxprox
from cvxprox.reductions.stuffing import ProxStuffing
from cvxprox.registration import register

SOLVER = "NABLA_ADMM"
TIGHT: dict[str, Any] = {"eps_abs": 1e-9, "eps_rel": 1e-9}
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


def parameter(problem: cp.Problem) -> cp.Parameter:
    return problem.param_dict["p"]


def variable(problem: cp.Problem) -> cp.Variable:
    return problem.var_dict["x"]


# -- registration ------------------------------------------------------------------------------


def test_registering_again_wraps_the_original() -> None:
    originals = [
        getattr(getattr(Problem, n), "_cvxprox_original", None) for n in ("_construct_chain", "solve")
    ]
    register()
    register()
    for name, original in zip(("_construct_chain", "solve"), originals, strict=True):
        assert original is not None
        assert not hasattr(original, "_cvxprox_original")
        assert getattr(Problem, name)._cvxprox_original is original
    assert cp.installed_solvers().count(SOLVER) == 1
    assert_solved_by(lasso(), solver=SOLVER)


@pytest.mark.parametrize("name", ["_construct_chain", "solve", "register_solve"])
def test_a_cvxpy_without_the_hooks_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Problem, name)
    with pytest.raises(ImportError, match=rf"Problem\.{name} is missing"):
        register()


def test_a_changed_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Problem, "_construct_chain", lambda self, solver: None)
    with pytest.raises(ImportError, match="differs"):
        register()


def test_installed_solvers() -> None:
    assert SOLVER in cp.installed_solvers()


# -- ways of calling ---------------------------------------------------------------------------


def assert_solved_by(problem: cp.Problem, **how: Any) -> None:
    expected = reference(problem)
    assert problem.solve(**how) == problem.value
    assert_solved(problem, expected)
    assert problem.solver_stats.solver_name == SOLVER


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


# -- problems of all sorts ---------------------------------------------------------------------


def complex_problem() -> cp.Problem:
    rng = np.random.default_rng(2)
    z = cp.Variable(3, complex=True, name="z")
    A = rng.standard_normal((1, 3)) + 1j * rng.standard_normal((1, 3))
    target = np.array([1 + 1j, 2, -1j])
    return cp.Problem(
        cp.Minimize(cp.norm(z - target) + 0.3 * cp.norm1(z)),
        [A @ z == np.array([1.0 + 2j]), cp.real(z) >= 0.2, cp.abs(z[1]) <= 1.5],
    )


def test_complex_variables_and_their_duals() -> None:
    mine = complex_problem()
    theirs = by_clarabel(mine, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    mine.solve(solver=SOLVER, **TIGHT)
    assert mine.value == pytest.approx(theirs.value, rel=1e-6)
    np.testing.assert_allclose(mine.variables()[0].value, theirs.variables()[0].value, atol=1e-5)
    assert np.abs(mine.variables()[0].value.imag).max() > 0.1
    assert np.abs(mine.constraints[0].dual_value.imag).max() > 0.01
    assert_same_duals(mine, theirs)


def test_hermitian_variable() -> None:
    rng = np.random.default_rng(3)
    C = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
    C = C + C.conj().T
    X = cp.Variable((3, 3), hermitian=True)
    problem = cp.Problem(cp.Minimize(cp.real(cp.trace(C @ X))), [X >> 0, cp.real(cp.trace(X)) == 1])
    problem.solve(solver=SOLVER, **TIGHT)
    assert_solved(problem, np.linalg.eigvalsh(C)[0])


def test_geometric_program() -> None:
    x, y, z = cp.Variable(pos=True), cp.Variable(pos=True), cp.Variable(pos=True)
    p = cp.Parameter(pos=True, value=2.0)
    problem = cp.Problem(
        cp.Maximize(x * y * z), [4 * x * y * z + p * x * z <= 10, x <= 2 * y, y <= x, z >= 1]
    )
    for value in (2.0, 3.0):
        p.value = value
        expected = problem.solve(gp=True, solver=cp.CLARABEL)
        problem.solve(gp=True, solver=SOLVER)
        assert_solved(problem, expected)


def test_quasiconvex_program() -> None:
    x, y = cp.Variable(), cp.Variable(pos=True)
    problem = cp.Problem(cp.Minimize((cp.square(x) + 1) / y), [x + y <= 3, x >= 0.5])
    problem.solve(qcp=True, solver=SOLVER, low=0, high=10)
    assert problem.value == pytest.approx(1.25 / 2.5, abs=1e-4)
    assert problem.status == cp.OPTIMAL


def test_maximize() -> None:
    x = cp.Variable(3, name="x")
    problem = cp.Problem(cp.Maximize(cp.sum(cp.log(x)) - cp.norm(x)), [x <= 2, cp.sum(x) <= 4])
    assert_solved_by(problem, solver=SOLVER)
    assert_same_duals(problem, by_clarabel(problem))


@pytest.mark.parametrize("sense", [cp.Minimize, cp.Maximize])
def test_constant_problems(sense: type) -> None:
    p = cp.Parameter(value=3.0)
    problem = cp.Problem(sense(2 * p), [p >= 1])
    assert problem.solve(solver=SOLVER) == pytest.approx(6)
    p.value = 0.0
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE


def test_constant_objective_and_offset() -> None:
    x = cp.Variable(2)
    feasibility = cp.Problem(cp.Minimize(5.0), [x >= 1, cp.sum(x) == 3])
    assert feasibility.solve(solver=SOLVER) == pytest.approx(5)
    assert x.value.min() >= 1 - 1e-5 and x.value.sum() == pytest.approx(3, abs=1e-5)
    assert cp.Problem(cp.Minimize(cp.norm1(x - 1) - 7)).solve(solver=SOLVER) == pytest.approx(-7, abs=1e-5)


def test_zero_sized_pieces() -> None:
    x, empty = cp.Variable(3), cp.Variable(0)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(x - 2) + cp.norm1(x[:0]) + cp.sum(empty)),
        [x <= 1, x[3:] >= 5, empty == np.zeros(0), np.zeros((0, 3)) @ x == np.zeros(0)],
    )
    problem.solve(solver=SOLVER)
    assert problem.value == pytest.approx(3, abs=1e-5)
    assert empty.value.shape == (0,)


def test_variable_attributes() -> None:
    X = cp.Variable((2, 2), PSD=True)
    y = cp.Variable(2, nonneg=True, name="y")
    z = cp.Variable((2, 2), diag=True)
    target = np.array([[1.0, 2.0], [2.0, 1.0]])
    problem = cp.Problem(
        cp.Minimize(cp.norm(X - target, "fro") + cp.norm1(y + 1) + cp.sum_squares(z - target))
    )
    problem.solve(solver=SOLVER)
    nearest = np.linalg.eigh(target)
    projected = nearest[1] @ np.diag(nearest[0].clip(0)) @ nearest[1].T
    np.testing.assert_allclose(X.value, projected, atol=1e-4)
    np.testing.assert_allclose(y.value, 0, atol=1e-5)
    dense = z.value.toarray() if hasattr(z.value, "toarray") else z.value
    np.testing.assert_allclose(dense, np.eye(2), atol=1e-5)


# -- copies and re-solves ----------------------------------------------------------------------


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


# -- results -----------------------------------------------------------------------------------


def test_solver_stats() -> None:
    problem = lasso()
    begin = time.perf_counter()
    problem.solve(solver=SOLVER, check_interval=10)
    elapsed = time.perf_counter() - begin
    stats = problem.solver_stats
    assert stats.solver_name == SOLVER
    assert stats.num_iters > 0
    assert 0 < stats.setup_time <= stats.solve_time <= elapsed
    extra = stats.extra_stats
    assert {"status", "primal_residual", "dual_residual", "gap", "history", "linear_solver"} <= extra.keys()
    assert {"penalty_updates", "polish_attempts", "polished"} <= extra.keys()
    assert extra["status"].startswith("optimal")
    assert "qdldl" in extra["linear_solver"]
    history = extra["history"]
    assert [r["iteration"] for r in history] == [*range(0, stats.num_iters + 1, 10)]
    assert all(r.keys() == {"iteration", "primal", "dual", "gap", "objective", "time"} for r in history)
    assert all(a["time"] < b["time"] for a, b in pairwise(history))
    x, A = variable(problem).value, problem.constraints
    assert extra["primal_residual"] <= 1e-5 and abs(A[0].expr.value) <= 1e-5 and A[1].expr.value.max() <= 1e-5
    assert history[0]["primal"] > 0.1 and x is not None


def test_verbose_prints_the_plan_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    problem = lasso()
    problem.solve(solver=SOLVER)
    assert capsys.readouterr().out == ""
    problem.solve(solver=SOLVER, verbose=True, warm_start=False)
    out = capsys.readouterr().out
    plan = ("the plan", "minimize", "Abs: 8 points", "Box:", "Norm2Ball: 1 points of size 4", "linear solve:")
    table = (
        "iter |  primal",
        "penalties: spectral",
        "eps_abs 1e-06",
        "optimal: all residuals",
        "polish attempts",
    )
    for text in (*plan, *table):
        assert text in out, text
    rows = [line for line in out.splitlines() if line.count("|") == 5 and line.strip()[0].isdigit()]
    assert int(rows[0].split("|")[0]) == 0
    assert int(rows[-1].split("|")[0]) == problem.solver_stats.num_iters


# -- limits and the callback -------------------------------------------------------------------

NEVER: dict[str, Any] = {"eps_abs": 1e-15, "eps_rel": 0.0, "polish": False, "max_iter": 10**9}


def test_time_limit_returns_the_incumbent() -> None:
    problem = sdp()
    begin = time.perf_counter()
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, time_limit=0.3, **NEVER)
    assert problem.status == cp.USER_LIMIT
    assert time.perf_counter() - begin < 5
    assert 0.3 <= problem.solver_stats.solve_time < 3
    assert problem.solver_stats.extra_stats["status"].startswith("stopped at time_limit")
    X = problem.variables()[0].value
    assert np.trace(X) == pytest.approx(1, abs=1e-2)
    assert problem.value == pytest.approx(reference(problem), rel=0.05)


def test_max_iter_returns_the_best_point() -> None:
    problem = sdp()
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, **(NEVER | {"max_iter": 35}))
    assert problem.status == cp.USER_LIMIT
    assert problem.solver_stats.num_iters == 35
    history = problem.solver_stats.extra_stats["history"]
    assert [r["iteration"] for r in history] == [0, 25, 35]
    assert problem.solver_stats.extra_stats["primal_residual"] in [r["primal"] for r in history]
    assert problem.variables()[0].value is not None


def test_nearly_optimal_at_max_iter() -> None:
    problem = lasso()
    expected = reference(problem)
    options: dict[str, Any] = {"polish": False, "eps_rel": 0.0, "check_interval": 5, "warm_start": False}
    problem.solve(solver=SOLVER, eps_abs=1e-10, **options)
    history = problem.solver_stats.extra_stats["history"]
    near = next(r for r in history if max(r["primal"], r["dual"], r["gap"]) < 1e-5)
    enough = max(near["primal"], near["dual"], near["gap"])
    options |= {"max_iter": int(near["iteration"])}
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, eps_abs=enough / 500, **options)
    assert problem.status == cp.OPTIMAL_INACCURATE
    assert problem.value == pytest.approx(expected, rel=1e-3)
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, eps_abs=enough / 5000, **options)
    assert problem.status == cp.USER_LIMIT


def test_callback_sees_every_check() -> None:
    problem, seen = lasso(), []

    def callback(iteration: int, residuals: Any, x: torch.Tensor) -> bool:
        seen.append((iteration, residuals.primal, residuals.dual, residuals.gap, x.shape))
        return False

    problem.solve(solver=SOLVER, callback=callback, check_interval=10, polish=False)
    history = problem.solver_stats.extra_stats["history"]
    assert len(seen) == len(history) > 2
    for (iteration, primal, dual, gap, shape), record in zip(seen, history, strict=True):
        assert (iteration, primal, dual, gap) == tuple(
            record[k] for k in ("iteration", "primal", "dual", "gap")
        )
        assert len(shape) == 1 and shape[0] >= 8


def test_callback_stops_the_run() -> None:
    problem = sdp()
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, callback=lambda k, residuals, x: k >= 40, check_interval=20, **NEVER)
    assert problem.status == cp.USER_LIMIT
    assert problem.solver_stats.num_iters == 40
    assert problem.solver_stats.extra_stats["status"].startswith("stopped by the callback")
    assert problem.variables()[0].value is not None


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_of_any_kind_stops(answer: Any) -> None:
    problem = lasso()
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, callback=lambda k, residuals, x: answer)
    assert problem.status == cp.USER_LIMIT and problem.solver_stats.num_iters == 0


@pytest.mark.parametrize("answer", [1, "stop", np.bool_(False), None])
def test_only_true_stops(answer: Any) -> None:
    problem = lasso()
    problem.solve(solver=SOLVER, callback=lambda k, residuals, x: answer)
    assert problem.status == cp.OPTIMAL


# -- options -----------------------------------------------------------------------------------

VARIANTS: dict[str, list[Any]] = {
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
    ("verbose", True),
}  # fmt: skip


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
