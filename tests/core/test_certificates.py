"""Certificates: the true are accepted, the wrong rejected, and runs end with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cvxprox import prox
from cvxprox.algorithms.certificates import dual_infeasibility, primal_infeasibility
from cvxprox.algorithms.scaling import equilibrate
from cvxprox.operators import as_dense
from cvxprox.program import ProxProgram
from cvxprox.status import Status

from .certified import INFEASIBLE, descending
from .programs import F64, build, plain_metric, random_program, run, vector


@pytest.mark.parametrize("name", INFEASIBLE)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_true_certificates_of_infeasibility_are_accepted(name: str, scale: float) -> None:
    program, y = INFEASIBLE[name]
    ray = primal_infeasibility(program, plain_metric(program), scale * y)
    assert ray is not None and ray.violation < 1e-7
    cosine = float(ray.direction @ y / ray.direction.norm() / y.norm())
    assert cosine == pytest.approx(1)
    assert float(program.K.adjoint(ray.direction).abs().max()) < 1e-7
    support = sum(float(b.function.domain_support(b.points(ray.direction)).sum()) for b in program.blocks)
    assert support - float(program.b @ ray.direction) == pytest.approx(-1)


@pytest.mark.parametrize("name", INFEASIBLE)
def test_perturbed_certificates_of_infeasibility_are_rejected(name: str) -> None:
    program, y = INFEASIBLE[name]
    metric, rng = plain_metric(program), np.random.default_rng(0)
    assert primal_infeasibility(program, metric, -y) is None
    assert primal_infeasibility(program, metric, 0 * y) is None
    assert primal_infeasibility(program, metric, torch.full_like(y, torch.nan)) is None
    kernel = torch.linalg.svd(as_dense(program.K).mT)[2][torch.linalg.matrix_rank(as_dense(program.K)) :]
    wrong = 0
    for _ in range(20):
        noise = torch.from_numpy(rng.standard_normal(y.shape))
        noise -= kernel.mT @ (kernel @ noise)  # what K'y sees
        ray = primal_infeasibility(program, metric, y + 0.1 * noise / noise.norm())
        wrong += ray is None or ray.violation > 1e-3
    assert wrong >= 15  # some are projected back onto the barrier cone


def test_feasible_programs_have_no_certificate() -> None:
    rng = np.random.default_rng(1)
    for seed in range(5):
        program = random_program(seed)
        metric = equilibrate(program, 10)
        for _ in range(40):
            y = torch.from_numpy(rng.standard_normal(program.rows)) * metric.e
            ray = primal_infeasibility(program, metric, y)
            assert ray is None or ray.violation > 1e-3


def test_true_directions_are_accepted() -> None:
    program = descending()
    ray = dual_infeasibility(program, plain_metric(program), vector(3.0))
    assert ray is not None and ray.violation == 0
    torch.testing.assert_close(ray.direction, vector(2.0))  # slope -1 + 1/2 per unit
    cone = build(np.eye(2), vector(0, 1), [(prox.SecondOrderCone(), (1, 2), None)], vector(-1, 0))
    for direction, good in ((vector(1, 0.5), True), (vector(1, 1.5), False), (vector(-1, 0), False)):
        ray = dual_infeasibility(cone, plain_metric(cone), direction)
        assert (ray is not None and ray.violation < 1e-12) == good
    quadratic = build(np.zeros((0, 2)), torch.zeros(0, dtype=F64), [], vector(-1, 0), np.diag([0.0, 1.0]))
    ray = dual_infeasibility(quadratic, plain_metric(quadratic), vector(1, 0))
    assert ray is not None and ray.violation == 0
    ray = dual_infeasibility(quadratic, plain_metric(quadratic), vector(1, 0.1))
    assert ray is not None and ray.violation == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("program", "x"),
    [
        (descending(), -1.0),
        (descending(), 0.0),
        (descending(), math.nan),
        (descending(weight=2.0), 1.0),
        (descending(upper=5.0), 1.0),
        (descending(P=1.0), 1.0),
        (descending(P=1e-3), 1.0),
    ],
    ids=["ascent", "zero", "nan", "growth", "bounded", "curved", "slightly curved"],
)
def test_wrong_directions_are_rejected(program: ProxProgram, x: float) -> None:
    ray = dual_infeasibility(program, plain_metric(program), vector(x))
    assert ray is None or ray.violation >= 5e-4


@pytest.mark.parametrize("name", INFEASIBLE)
@pytest.mark.parametrize("acceleration", [0, 10])
def test_infeasible_programs_end_with_a_certificate(name: str, acceleration: int) -> None:
    program, _ = INFEASIBLE[name]
    result = run(program, acceleration=acceleration)
    assert result.status is Status.INFEASIBLE
    ray = primal_infeasibility(program, plain_metric(program), result.dual)
    assert ray is not None and ray.violation < 1e-5


@pytest.mark.parametrize("acceleration", [0, 10])
def test_unbounded_programs_end_with_a_direction(acceleration: int) -> None:
    program = descending()
    result = run(program, acceleration=acceleration)
    assert result.status is Status.UNBOUNDED
    torch.testing.assert_close(result.primal, vector(2.0))
