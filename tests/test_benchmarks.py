"""The benchmarks' checker finds every way in which a solution can be wrong, and the instances are solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.instances import dcopf, qp, socp
from benchmarks.instances.energy import planning_program
from benchmarks.instances.profiles import Profiles
from benchmarks.measure import Resolver, Run, measure_compile, measure_solve, resolve_rounds
from benchmarks.problems import Model, model, parametrised_model
from benchmarks.program import Program, from_bounds
from benchmarks.report import Result, geometric_mean, markdown, ratio, summary_rows
from benchmarks.residuals import residuals, solution_residuals
from benchmarks.rows import SecondOrder
from benchmarks.solvers import OURS, SOLVERS, choose


def energy_program() -> Program:
    """Three regions, so that there are lines, with made-up profiles."""
    hours = np.random.default_rng(0)
    profiles = Profiles(*(hours.uniform(0.1, 1.0, (24, k)) for k in (8, 8, 12)))
    return planning_program("energy", profiles, regions=3, steps=6, hours=2)


def dcopf_program() -> Program:
    """Four buses in a ring; the cheap generator is behind a congested line and a phase shifter."""
    grid = dcopf.Grid(
        demand=np.array([0.0, 0.8, 1.0, 0.4]),
        reference=0,
        generator_bus=np.array([0, 2]),
        generation_min=np.array([0.0, 0.1]),
        generation_max=np.array([3.0, 2.0]),
        cost=np.array([1.0, 4.0]),
        branch_from=np.array([0, 1, 2, 3]),
        branch_to=np.array([1, 2, 3, 0]),
        susceptance=np.array([10.0, 8.0, 5.0, 4.0]),
        shift=np.array([0.0, 0.0, 0.02, 0.0]),
        rating=np.array([0.9, np.inf, 0.6, 0.6]),
    )
    return dcopf.dcopf_program("dcopf", grid)


def two_sided() -> Program:
    """Every kind of row: an equality, both sides of an interval, one-sided rows and a fixed variable."""
    A = sp.csr_array(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 0.0, -1.0]]))
    lower, upper = np.array([1.0, -0.1, 0.5, -np.inf]), np.array([1.0, 0.1, np.inf, 0.05])
    return from_bounds(
        "two-sided", sp.diags_array([1.0, 2.0, 0.5]), np.array([3.0, -2.0, 1.0]), A, lower, upper
    )


PROGRAMS: dict[str, Callable[[], Program]] = {
    "energy": energy_program,
    "dcopf": dcopf_program,
    "two-sided": two_sided,
    **{name: lambda name=name: qp.qp(name, "s") for name in qp.FAMILIES},  # type: ignore[misc]
    **{name: lambda name=name: socp.socp(name, "s") for name in socp.FAMILIES},  # type: ignore[misc]
}


def solved(program: Program) -> tuple[Model, list[np.ndarray]]:
    """The problem solved by Clarabel, and the multipliers of its blocks."""
    built = model(program)
    built.problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-8, tol_gap_rel=1e-8, tol_feas=1e-8)
    pairs = zip(program.rows, built.constraints, strict=True)
    return built, [block.multiplier(constraint) for block, constraint in pairs]


@pytest.fixture(params=PROGRAMS, ids=str)
def program(request: pytest.FixtureRequest) -> Program:
    return PROGRAMS[request.param]()


def test_an_optimum_passes(program: Program) -> None:
    built, _ = solved(program)
    found = solution_residuals(program, built)
    assert found is not None
    assert found.worst < 1e-6
    assert found.objective == pytest.approx(built.problem.value, rel=1e-6, abs=1e-8)


def test_a_wrong_dual_sign_is_rejected(program: Program) -> None:
    built, multipliers = solved(program)
    for i, multiplier in enumerate(multipliers):
        if np.abs(multiplier).max() > 1e-3:  # a block that is not active has no sign to get wrong
            wrong = [-y if i == j else y for j, y in enumerate(multipliers)]
            assert residuals(program, built.x.value, wrong).worst > 1e-4, type(program.rows[i]).__name__
    assert max(np.abs(y).max() for y in multipliers) > 1e-3


def test_a_point_that_is_not_optimal_is_rejected(program: Program) -> None:
    built, multipliers = solved(program)
    rng = np.random.default_rng(1)
    elsewhere = built.x.value + 0.1 * rng.standard_normal(built.x.size)
    assert residuals(program, elsewhere, multipliers).worst > 1e-4
    other = [y + 0.1 * rng.standard_normal(y.size) for y in multipliers]
    assert residuals(program, built.x.value, other).worst > 1e-4


def test_the_projection_on_second_order_cones() -> None:
    """It splits every vector into two orthogonal ones, in the cone and in its polar (Moreau)."""
    points = np.random.default_rng(2).standard_normal((200, 4)) * [2.0, 1.0, 1.0, 1.0]
    points[0], points[1] = 0.0, [-1.0, 0.0, 0.0, 0.0]
    block = SecondOrder(sp.csr_array((points.size, 1)), np.zeros(points.size), order=4)
    near = block.project_multiplier(points.ravel()).reshape(points.shape)
    far = near - points
    for part in (near, far):
        assert np.all(np.linalg.norm(part[:, 1:], axis=1) <= part[:, 0] + 1e-12)
    assert np.abs(np.sum(near * far, axis=1)).max() < 1e-12
    assert np.array_equal(-far.ravel(), block.violation(points.ravel()))
    kinds = np.sign(points[:, 0]) * (np.linalg.norm(points[:, 1:], axis=1) <= np.abs(points[:, 0]))
    assert set(kinds) == {-1.0, 0.0, 1.0}  # inside, outside and in the polar cone


def test_the_gap_is_that_of_strong_duality() -> None:
    """A feasible pair with a known gap: minimise x over x >= 1 at x = 3 with the multiplier 1."""
    program = from_bounds("line", None, np.ones(1), sp.csr_array([[1.0]]), np.ones(1), np.full(1, np.inf))
    found = residuals(program, np.array([3.0]), [np.array([-1.0])])
    assert (found.objective, found.dual_objective) == (3.0, 1.0)
    assert found.gap == pytest.approx(2 / 5)
    assert found.primal == found.dual == 0.0


def test_nothing_is_measured_without_a_solution() -> None:
    program = two_sided()
    assert solution_residuals(program, model(program)) is None
    assert Run(wall=1.0).error == np.inf


def test_both_finite_sides_become_rows() -> None:
    names = [(type(block).__name__, block.rhs.size) for block in two_sided().rows]
    assert names == [("Equal", 1), ("AtMost", 2), ("AtLeast", 2)]


@pytest.mark.parametrize("name", ["lasso", "mpc", "group_lasso"])
def test_a_resolve_is_a_solve_of_the_changed_data(name: str) -> None:
    program = PROGRAMS[name]()
    changed = resolve_rounds(program, 1)[0]
    resolver = Resolver(program, SOLVERS["CLARABEL"], 1e-8, 10.0)
    run = resolver.measure(changed)
    fresh = measure_solve(changed, SOLVERS["CLARABEL"], 1e-8, 10.0)
    assert run.residuals is not None and fresh.residuals is not None
    assert run.error < 1e-6
    assert run.residuals.objective == pytest.approx(fresh.residuals.objective, rel=1e-6)
    assert run.residuals.objective != pytest.approx(resolver.first.residuals.objective, rel=1e-4)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", PROGRAMS, ids=str)
def test_the_parametrised_problem_is_dpp(name: str) -> None:
    built = parametrised_model(PROGRAMS[name]())
    assert built.parameters and built.problem.is_dcp(dpp=True)


def test_every_peer_reads_its_options() -> None:
    """One that did not know an option would raise, and one that ignored the tolerance be inaccurate."""
    linear = replace(qp.qp("lasso", "s"), kind="lp", P=None)
    for peer in SOLVERS.values():
        if peer.name == OURS:
            continue
        run = measure_solve(linear, peer, 1e-7, 10.0)
        assert (run.status, run.error < 1e-6) == ("optimal", True), peer.name
        assert measure_compile(linear, peer, 1e-7, 10.0).status == "compiled"


def test_unknown_solvers_are_named() -> None:
    with pytest.raises(ValueError, match="NO_SUCH"):
        choose(["NO_SUCH"])


def result(solver: str, wall: float, error: float) -> Result:
    """A result of one run with that time and error."""
    line = from_bounds("line", None, np.ones(1), sp.csr_array([[1.0]]), np.ones(1), np.full(1, np.inf))
    exact = residuals(line, np.ones(1), [-np.ones(1)])
    run = Run(wall, wall, 1, "optimal", replace(exact, gap=error))
    return Result("line", "solve", (1, 1), 1, solver, 1e-6, (run,))


def test_ratios_are_to_the_best_accurate_peer() -> None:
    results = [
        result(OURS, 3.0, 0.0),
        result("SCS", 2.0, 5e-6),
        result("OSQP", 1.0, 1e-3),
        result("CLARABEL", 4.0, 0.0),
    ]
    assert ratio(results[0], results, "wall") == pytest.approx(1.5)  # OSQP is faster and not accurate
    assert ratio(results[0], results, "wall", ["CLARABEL"]) == pytest.approx(0.75)
    assert np.isnan(ratio(results[2], results, "wall"))
    assert ratio(results[1], results, "wall") == pytest.approx(0.5)  # ours is nobody's peer
    assert geometric_mean([2.0, 8.0, float("nan")]) == pytest.approx(4.0)
    assert [row[3] for row in summary_rows(results)] == ["1/1", "1/1", "0/1", "1/1"]
    assert markdown(("a", "b"), [("1", "long")]).splitlines()[1] == "|---|------|"
