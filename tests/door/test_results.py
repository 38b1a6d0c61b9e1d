"""What comes back beside the solution: the statistics and the printed table."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from .problems import SOLVER, lasso, variable


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
    names = {"iteration", "primal", "dual", "gap", "objective", "time", "terms"}
    assert all(r.keys() == names for r in history)
    assert all(max(r["terms"].values()) == r["primal"] for r in history)
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
