"""Anderson acceleration, of maps and of ADMM."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cvxprox.algorithms import ADMM, Accelerated, Algorithm, Tolerances, residuals
from cvxprox.algorithms.penalties import initial_multiplier
from cvxprox.algorithms.scaling import equilibrate
from cvxprox.linear_solve import SparseLDL

from .maps import Map
from .programs import F64, random_program, vector


def steps(algorithm: Algorithm, count: int) -> Any:
    state = algorithm.init()
    for _ in range(count):
        state = algorithm.step(state)
    return state


def test_acceleration_solves_linear_maps() -> None:
    rates = vector(0.99, 0.97, 0.9, 0.8)
    plain = Map(lambda w: rates * w + (1 - rates), torch.zeros(4, dtype=F64))
    state = steps(Accelerated(plain, memory=5, interval=2), 40)
    assert state.accepted >= 4
    error = (state.inner - 1).abs().max()
    assert float(error) < 1e-4 < 0.1 < float((steps(plain, 40) - 1).abs().max())


def test_one_difference_solves_a_map_of_one_rate() -> None:
    """Samples at steps 2 and 4; the extrapolation from the second is the fixed point."""
    algorithm = Accelerated(Map(lambda w: 0.9 * w + 0.1, torch.zeros(1, dtype=F64)), interval=2)
    state = steps(algorithm, 4)
    assert state.fallback is not None
    torch.testing.assert_close(algorithm.point(state).x, vector(1 - 0.9**4))  # not judged yet
    torch.testing.assert_close(state.inner, vector(1), rtol=0, atol=1e-6)
    state = algorithm.step(state)
    assert state.accepted == 1 and state.fallback is None


def test_acceleration_rejects_what_makes_the_residual_grow() -> None:
    def kinked(w: Tensor) -> Tensor:  # slow on the left of 1, moving away from it on the right
        return torch.where(w < 1, w + 0.1 * (3 - w), w + 40 * (w - 1) + 5)

    algorithm = Accelerated(Map(kinked, vector(-5.0)), interval=2, regularisation=0.0)
    state = algorithm.init()
    seen = []
    for _ in range(8):
        state = algorithm.step(state)
        seen.append((state.accepted, state.rejected))
    assert seen[-1][1] >= 1 and seen[-1][0] == 0
    # the plain iterates go on as if nothing had happened, less the steps spent on judging
    plain = steps(Map(kinked, vector(-5.0)), 8 - state.rejected - (state.fallback is not None))
    current = algorithm.point(state).x
    torch.testing.assert_close(current, plain if state.fallback is None else current)
    assert bool((current < 1).all())


def test_acceleration_of_a_map_with_constant_drift() -> None:
    """What the iterates of an infeasible program do: all differences of residuals are zero."""
    state = steps(Accelerated(Map(lambda w: w + 1, torch.zeros(2, dtype=F64)), interval=2), 20)
    assert bool(torch.isfinite(state.inner).all())


@pytest.mark.parametrize("seed", range(3))
def test_acceleration_reaches_the_same_fixed_point(seed: int) -> None:
    program = random_program(seed)
    metric = equilibrate(program, 10)
    admm = ADMM(program, SparseLDL(), metric.sigma(1e-6), metric.rho(initial_multiplier(program, 0.1)))
    fast = Accelerated(admm)
    with torch.no_grad():
        plain, accelerated = steps(admm, 3000), steps(fast, 3000)
    tol = Tolerances(1e-6, 1e-6)
    assert residuals(program, admm.point(plain)).ratio(tol) < 1
    assert residuals(program, fast.point(accelerated)).ratio(tol) < 1
    torch.testing.assert_close(fast.point(accelerated).x, admm.point(plain).x, rtol=1e-4, atol=1e-5)
    assert accelerated.accepted > 0
