"""Every status and its counterpart in CVXPY."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

from cvxprox.solver import Outcome
from cvxprox.status import Status

from .programs import INF, quadratic_program

MEANING = {
    Status.OPTIMAL: "optimal",
    Status.OPTIMAL_INACCURATE: "optimal_inaccurate",
    Status.FIXED_POINT: "fixed_point",
    Status.PENALTY_METHOD: "penalty_method",
    Status.INFEASIBLE: "infeasible",
    Status.UNBOUNDED: "unbounded",
    Status.ITERATION_LIMIT: "user_limit",
    Status.TIME_LIMIT: "user_limit",
    Status.INTERRUPTED: "user_limit",
}


@pytest.mark.parametrize("status", list(Status), ids=lambda s: s.name)
def test_every_status_has_its_counterpart_in_cvxpy(status: Status) -> None:
    problem = quadratic_program()
    data, chain, inverse = problem.get_problem_data("NABLA_ADMM")
    outcome = chain.solve_via_data(problem, data)
    changed = replace(outcome.result, status=status, ray=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.unpack_results(Outcome(changed, outcome.assembled), chain, inverse)
    assert problem.status == MEANING[status]
    present = MEANING[status] not in ("infeasible", "unbounded")
    assert (problem.variables()[0].value is not None) == present
    expected = {"infeasible": INF, "unbounded": -INF}.get(MEANING[status], outcome.result.residuals.objective)
    assert problem.value == pytest.approx(expected)
    assert problem.solver_stats.extra_stats["status"] == status.value
