"""The elastic program: the least violation, and the certificate that it gives."""

from __future__ import annotations

import cvxpy as cp
import pytest

from cvxprox.algorithms.certificates import primal_infeasibility
from cvxprox.algorithms.elastic import elastic_certificate, elastic_program
from cvxprox.algorithms.scaling import Metric, equilibrate
from cvxprox.status import Status

from .certified import INFEASIBLE
from .programs import INF, box, build, random_program, run, vector


@pytest.mark.parametrize("name", INFEASIBLE)
def test_elastic_program_gives_a_certificate(name: str) -> None:
    program, _ = INFEASIBLE[name]
    metric = equilibrate(program, 10)
    elastic = elastic_program(program, metric)
    result = run(elastic, eps_abs=1e-10, eps_rel=1e-10)
    assert result.status is Status.OPTIMAL and result.residuals.objective > 1e-3
    ray = primal_infeasibility(program, metric, elastic_certificate(elastic, result.point.z))
    assert ray is not None and ray.violation < 1e-6


def test_elastic_program_is_the_least_violation() -> None:
    program = build([[1.0], [2.0], [1.0]], vector(0, 0, 0), [box([3, -INF, 0], [4, 1, INF])])
    metric = Metric(vector(1), vector(1, 0.5, 2), 1.0)
    result = run(elastic_program(program, metric), eps_abs=1e-10, eps_rel=1e-10)
    x = cp.Variable()
    violation = cp.square(cp.pos(3 - x)) + 0.25 * cp.square(cp.pos(2 * x - 1)) + 4 * cp.square(cp.neg(x))
    expected = cp.Problem(cp.Minimize(0.5 * violation)).solve(solver=cp.CLARABEL)
    assert result.residuals.objective == pytest.approx(expected, rel=1e-6)


def test_elastic_program_of_a_feasible_program_gives_none() -> None:
    program = random_program()
    metric = equilibrate(program, 10)
    elastic = elastic_program(program, metric)
    result = run(elastic, eps_abs=1e-10, eps_rel=1e-10)
    assert result.residuals.objective < 1e-8
    ray = primal_infeasibility(program, metric, elastic_certificate(elastic, result.point.z))
    assert ray is None or ray.violation > 1e-3
