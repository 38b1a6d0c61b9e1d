"""Limits on time and iterations, and the callback."""

from __future__ import annotations

import time
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch

from .problems import NEVER, SOLVER, lasso, reference, sdp


def test_time_limit_returns_the_incumbent() -> None:
    problem = sdp()
    begin = time.perf_counter()
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver=SOLVER, time_limit=0.3, **NEVER)
    assert problem.status == cp.USER_LIMIT
    assert time.perf_counter() - begin < 5
    stats = problem.solver_stats
    assert 0.3 <= stats.setup_time + stats.solve_time < 3
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
