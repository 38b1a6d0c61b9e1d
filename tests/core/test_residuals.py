"""Residuals, the duality gap, and when they are within the tolerances."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cvxprox import prox
from cvxprox.algorithms import Point, Residuals, Tolerances, residuals
from cvxprox.algorithms.scaling import equilibrate
from cvxprox.operators import as_dense
from cvxprox.program import ProxProgram

from .programs import INF, Rows, box, build, plain_metric, random_program, run, scaled


def program_of_intervals(seed: int, quadratic: bool) -> tuple[ProxProgram, np.ndarray, np.ndarray]:
    """Intervals with all bounds finite and an l1 term, and the bounds."""
    rng = np.random.default_rng(seed)
    K = rng.standard_normal((9, 4))
    low = rng.uniform(-2, 0, 6)
    high = low + rng.uniform(0, 2, 6)
    rows: list[Rows] = [box(low, high), (prox.Abs(), (3,), torch.from_numpy(rng.uniform(0.5, 2, 3)))]
    factor = rng.standard_normal((3, 4))
    b, q = (torch.from_numpy(rng.standard_normal(k)) for k in (9, 4))
    return build(K, b, rows, q, factor.T @ factor if quadratic else None, offset=2.5), low, high


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_residuals_are_those_of_explicit_primal_and_dual_values(seed: int, quadratic: bool) -> None:
    program, low, high = program_of_intervals(seed, quadratic)
    rng = np.random.default_rng(seed + 100)
    x, v = torch.from_numpy(rng.standard_normal(4)), torch.from_numpy(2 * rng.standard_normal(9))
    rho = torch.from_numpy(rng.uniform(0.5, 2, 9))
    z = program.prox(v, program.steps(rho))
    point = Point(x, z, rho * (v - z))
    X, Z, Y = (t.numpy() for t in point)
    K, b, q = as_dense(program.K).numpy(), program.b.numpy(), program.q.numpy()
    P = as_dense(program.P).numpy() if program.P is not None else np.zeros((4, 4))
    weight = program.blocks[1].weight
    assert weight is not None and np.abs(Y[6:]).max() <= weight.numpy().max() + 1e-12
    primal = 0.5 * X @ P @ X + q @ X + weight.numpy() @ np.abs(Z[6:]) + 2.5
    conjugate = np.maximum(Y[:6], 0) @ high + np.minimum(Y[:6], 0) @ low  # that of the l1 term is 0
    dual = -0.5 * X @ P @ X - conjugate + b @ Y + 2.5
    found = residuals(program, point)
    assert found.objective == pytest.approx(primal)
    assert found.gap == pytest.approx(abs(primal - dual))
    assert found.gap_scale == pytest.approx(max(abs(primal), abs(dual)))
    assert found.primal == pytest.approx(np.abs(K @ X + b - Z).max())
    assert found.dual == pytest.approx(np.abs(P @ X + q + K.T @ Y).max())
    assert found.dual_scale == pytest.approx(max(np.abs(v).max() for v in (P @ X, K.T @ Y, q)))
    for (r, scale), rows in zip(found.blocks, (slice(0, 6), slice(6, 9)), strict=True):
        assert r == pytest.approx(np.abs((K @ X + b - Z)[rows]).max())
        assert scale == pytest.approx(max(np.abs(v[rows]).max() for v in (K @ X, Z, b)))


def test_equilibrated_residuals_are_those_of_the_scaled_program() -> None:
    program = random_program()
    metric = equilibrate(program, 10)
    rng = np.random.default_rng(0)
    x, v = (torch.from_numpy(rng.standard_normal(k)) for k in (program.variables, program.rows))
    rho = metric.rho(torch.ones_like(program.b))
    z = program.prox(v, program.steps(rho))
    point = Point(x, z, rho * (v - z))
    mapped = Point(x / metric.d, z * metric.e, metric.c * point.y / metric.e)
    other = scaled(program, metric)
    found = residuals(program, point, metric).equilibrated
    assert found > 1e-3
    assert found == pytest.approx(residuals(other, mapped, plain_metric(other)).equilibrated)
    assert residuals(program, point).equilibrated == 0


def test_ratio_and_nan() -> None:
    tol = Tolerances(1e-3, 1e-2)
    base = Residuals(0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0)
    assert base.ratio(tol) == 0
    assert replace(base, dual=0.042).ratio(tol) == pytest.approx(2)
    assert replace(base, gap=0.062).ratio(tol) == pytest.approx(2)
    assert replace(base, blocks=((0.0, 9.0), (0.022, 1.0))).ratio(tol) == pytest.approx(2)
    assert replace(base, equilibrated=INF).ratio(tol) == INF
    assert base.within(base) and not replace(base, gap=1e-3).within(base)


@pytest.mark.parametrize("number", [math.nan, INF], ids=str)
@pytest.mark.parametrize("place", ["x", "z", "y"])
def test_a_point_that_is_not_finite_is_never_optimal(place: str, number: float) -> None:
    program = random_program()
    point = run(program).point
    assert residuals(program, point).ratio(Tolerances(1e-4, 1e-4)) <= 1
    broken = point._replace(**{place: getattr(point, place) + number})
    metric = equilibrate(program, 10)
    for found in (residuals(program, broken), residuals(program, broken, metric)):
        assert found.ratio(Tolerances(1e-4, 1e-4)) > 1
