"""The imaging benchmark: one problem for all solvers, a certified optimum, complete tables."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")

from benchmarks.imaging import __main__ as command
from benchmarks.imaging import by_cvxpy, by_peers, chambolle, reference, tables
from benchmarks.imaging.attempt import Attempt
from benchmarks.imaging.calibrate import loosest, nearest
from benchmarks.imaging.compare import Plan, Result, Run, compare, in_time
from benchmarks.imaging.instances import (
    PROBLEMS,
    Instance,
    blur_matrix,
    difference_matrices,
    instance,
    total_variation,
)
from benchmarks.imaging.memory import memory_of
from benchmarks.imaging.methods import Method, choose
from benchmarks.imaging.prototype import admm
from benchmarks.solvers import OURS

SOLVERS = ["prototype", "CLARABEL", OURS]
SIZE = 16


@pytest.fixture(params=PROBLEMS, ids=str)
def problem(request: pytest.FixtureRequest) -> Instance:
    return instance(request.param, SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes for two sizes of both problems."""
    out = tmp_path_factory.mktemp("imaging")
    command.main(["--sizes", "16", "24", "--solvers", *SOLVERS, "--repeats", "1", "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "imaging.json").read_text())


def test_every_solver_finds_the_same_optimum(document: dict[str, Any]) -> None:
    found = {(record["problem"], record["size"], record["solver"]) for record in document["results"]}
    assert found == {(name, size, solver) for name in PROBLEMS for size in (16, 24) for solver in SOLVERS}
    for record in document["results"]:
        assert record["reached"] and 0 <= record["error"] <= 1e-4, record
        assert record["gap"] <= 1e-6
        assert record["cpu"] > 0 and record["fft"] > 0 and record["runs"][0]["iterations"] > 0


def test_the_problem_is_worth_solving(document: dict[str, Any]) -> None:
    for record in document["results"]:
        before = instance(record["problem"], record["size"])
        assert record["psnr"] > before.psnr(before.data) + 1.5


def test_the_tables_are_complete(folder: Path, document: dict[str, Any]) -> None:
    text = (folder / "imaging.md").read_text()
    assert sum(line.startswith(("| denoise", "| deblur")) for line in text.splitlines()) == 12 + 6
    assert "/ prototype" in text and "/ CLARABEL" in text and "pixels^" in text
    assert {(row["problem"], row["solver"]) for row in document["growth"]} == {
        (name, solver) for name in PROBLEMS for solver in SOLVERS
    }
    assert (folder / "imaging.png").stat().st_size > 1000


def test_the_optimum_is_that_of_an_interior_point_method(problem: Instance) -> None:
    model, x = by_cvxpy.with_matrices(problem)
    model.solve("CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    found = reference.certify(problem)
    assert model.value == pytest.approx(problem.objective(x.value.reshape(SIZE, SIZE)), rel=1e-8)
    assert 0 <= found.gap <= 1e-6
    assert found.error(model.value) <= 2e-6
    assert model.value >= found.objective * (1 - found.gap) * (1 - 1e-8)


def test_the_atoms_state_the_same_problem(problem: Instance) -> None:
    model, x = by_cvxpy.with_atoms(problem)
    x.value = np.random.default_rng(0).standard_normal((SIZE, SIZE))
    assert model.objective.value == pytest.approx(problem.objective(x.value), rel=1e-10)


def test_the_bound_is_below_the_optimum(problem: Instance) -> None:
    """Of every iterate, also the first ones, whose multipliers are far from feasible."""
    optimum = reference.certify(problem).objective
    for iterate in islice(admm(problem, 30 * problem.weight), 50):
        residual = problem.data - problem.blurred(iterate.x.numpy())
        p = iterate.multiplier.numpy()
        assert reference.dual_objective(problem, p, residual) <= optimum * (1 + 1e-9)


def test_matrices_are_the_operators() -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((6, 6)), rng.standard_normal((3, 5))
    uneven = Instance("deblur", x, x, kernel, 1.0)
    expected = np.zeros((6, 6))
    for i, j in np.ndindex(6, 6):
        for a, b in np.ndindex(3, 5):
            expected[i, j] += kernel[a, b] * x[(i + 1 - a) % 6, (j + 2 - b) % 6]
    assert np.allclose(uneven.blurred(x), expected)
    assert np.allclose(blur_matrix(kernel, 6) @ x.ravel(), expected.ravel())
    rows, columns = (matrix @ x.ravel() for matrix in difference_matrices(6))
    assert np.hypot(rows, columns).sum() == pytest.approx(total_variation(x))
    assert rows[-6:] == pytest.approx(x[0] - x[-1])


def test_the_reflecting_problem_is_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    x, p = rng.standard_normal((5, 7)), rng.standard_normal((2, 5, 7))
    assert np.vdot(chambolle.differences(x), p) == pytest.approx(np.vdot(x, chambolle.differences_adjoint(p)))
    problem = instance("denoise", SIZE)
    optimum = chambolle.certify(problem)
    assert 0 <= optimum.gap <= 1e-6
    errors = [
        optimum.error(chambolle.objective(problem, chambolle.solve(problem, count, 1.0).x))  # type: ignore[arg-type]
        for count in (10, 2000)
    ]
    assert errors[1] < 1e-5 < 1e-3 < errors[0]


@pytest.mark.parametrize("least", [0, 1, 7, 12, 19, 20])
@pytest.mark.parametrize("start", [0, 5, 12, 19, 30])
def test_the_loosest_setting_is_found(least: int, start: int) -> None:
    tried: list[int] = []

    def reaches(index: int) -> bool:
        tried.append(index)
        return index >= least

    assert loosest(20, start, reaches) == (least if least < 20 else None)
    assert len(tried) == len(set(tried)) <= 10
    if start == least:
        assert len(tried) <= 2
    assert nearest([1.0, 10.0, 100.0], 40.0) == 2


def plan(tmp_path: Path, limit: float = 60.0, patience: float = 60.0) -> Plan:
    return Plan(1e-4, limit, patience, 1, tmp_path)


def interpolated(calls: list[float], wall: Callable[[float], float]) -> Method:
    """A solver that stops at an error of its own setting, between the data and the optimum."""

    def solve(problem: Instance, setting: float, limit: float) -> Attempt:
        calls.append(setting)
        best = next(islice(admm(problem, 30 * problem.weight), 400, None)).x.numpy()
        t = math.sqrt(setting)
        return Attempt((1 - t) * best + t * problem.data, wall(setting), wall(setting))

    return Method("imaginary", solve, (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7), 1e-2)


def test_a_slow_solver_is_not_run_more_often_than_needed(tmp_path: Path) -> None:
    problem = instance("denoise", SIZE)
    quick: list[float] = []
    (result,) = compare(problem, [interpolated(quick, lambda _: 0.1)], {}, plan(tmp_path))
    assert result.reached and result.setting is not None
    slow: list[float] = []
    (again,) = compare(
        problem,
        [interpolated(slow, lambda _: 30.0)],
        {"imaginary": result.setting},
        plan(tmp_path, patience=1),
    )
    assert again.setting == result.setting and slow == [result.setting]
    assert in_time(again, 16, 60.0) and not in_time(again, 32, 60.0)
    never: list[float] = []
    (missed,) = compare(problem, [interpolated(never, lambda _: 61.0)], {}, plan(tmp_path))
    assert missed.setting is None and never == [1e-2] and not in_time(missed, 16, 1e9)
    assert tables.rows([missed])[0][-1].endswith("(target missed)")


def result(solver: str, size: int, cpu: float, error: float = 1e-5) -> Result:
    run = Run(cpu, cpu, 0.0, cpu / 10, 10, error, 30.0, "optimal")
    return Result("denoise", size, solver, 1e-4, 10.0, (run,), 1e-3, 0.0)


def test_ratios_and_growth() -> None:
    results = [result("prototype", 32, 1.0), result("prototype", 64, 8.0), result(OURS, 64, 4.0)]
    assert tables.ratio(results[2], results, "prototype") == 0.5
    assert math.isnan(tables.ratio(result(OURS, 64, 4.0, error=1e-3), results, "prototype"))
    ((_, solver, sizes, slope),) = tables.growth(results)
    assert (solver, sizes, slope) == ("prototype", [32, 64], pytest.approx(1.5))


def test_memory_is_that_of_another_process() -> None:
    record = memory_of(result("prototype", 32, 1.0), 10.0, {})
    assert record["peak"] >= record["before"] > 10
    assert tables.memory_rows([record])[0][:3] == ("denoise", "32", "prototype")


def test_a_missing_library_is_a_status() -> None:
    attempt = by_peers.solve(sys.executable, "NO_SUCH", instance("denoise", SIZE), 2, 30.0)
    assert attempt.x is None and "NO_SUCH" in attempt.status


def test_unknown_solvers_are_named() -> None:
    with pytest.raises(ValueError, match="NO_SUCH"):
        choose(["NO_SUCH"], {})
