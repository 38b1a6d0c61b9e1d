"""Where runs that are not convex begin, and how a schedule of noise levels ends."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch.testing import assert_close

import cvxprox
from cvxprox.algorithms.first_guess import SLOPE, first_guess
from cvxprox.algorithms.noise import default_schedule
from cvxprox.program import ProxProgram

SHAPE = (9, 11)


def keep(x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    """Not a denoiser."""
    return x


def smooth(x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    """A blur."""
    return torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows, columns = np.indices(SHAPE)
    truth = 0.3 + 0.03 * rows + 0.02 * columns
    known = (rng.random(SHAPE) < 0.5).astype(float)
    return truth, known, known * truth


def program(problem: cp.Problem) -> ProxProgram:
    return cvxprox.explain(problem, measure=False).program


def test_it_is_the_minimum_of_the_stand_in() -> None:
    _, known, y = scene()
    noise, x = 0.02, cp.Variable(SHAPE)
    fit = cp.sum_squares(cp.multiply(known, x) - y) / (2 * noise**2)
    guess = first_guess(program(cp.Problem(cp.Minimize(fit + cvxprox.deep_prior(x, keep)), [x >= 0])))
    roughness = cp.sum_squares(cp.diff(x, axis=0)) + cp.sum_squares(cp.diff(x, axis=1))
    cp.Problem(cp.Minimize(fit + roughness / (2 * SLOPE**2))).solve(solver=cp.CLARABEL)
    assert guess is not None
    assert_close(guess.x.reshape(SHAPE), torch.from_numpy(x.value), atol=2e-3, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_equations_count_where_there_are_no_squares(scale: float) -> None:
    truth, known, y = scene()
    x = cp.Variable(SHAPE)
    prior = cvxprox.deep_prior(x, keep, value_range=(0, scale))
    problem = cp.Problem(cp.Minimize(prior), [cp.multiply(known, x) == scale * y])
    guess = first_guess(program(problem))
    assert guess is not None
    assert_close(guess.x.reshape(SHAPE), torch.from_numpy(scale * truth), atol=0.1 * scale, rtol=0)


def test_there_is_none_without_data() -> None:
    x = cp.Variable(SHAPE)
    assert first_guess(program(cp.Problem(cp.Minimize(cvxprox.deep_prior(x, keep)), [x >= 0]))) is None


@pytest.mark.parametrize("gain", [1.0, 3.0])
@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_noise_levels_go_down_to_that_of_the_measurements(gain: float, weight: float) -> None:
    noise, x = 0.05, cp.Variable(SHAPE)
    fit = cp.sum_squares(gain * x - gain * scene()[0]) / (2 * noise**2)
    schedule = default_schedule(program(cp.Problem(cp.Minimize(fit + weight * cvxprox.deep_prior(x, keep)))))
    assert schedule is not None
    assert schedule.stop == pytest.approx(noise * weight**0.5 / gain, rel=1e-6)
    assert schedule(schedule.iterations).noise == pytest.approx(schedule.stop)


def test_a_run_ends_with_its_schedule_at_a_fixed_point() -> None:
    truth, known, y = scene()
    x = cp.Variable(SHAPE)
    fit = cp.sum_squares(cp.multiply(known, x) - y) / (2 * 0.02**2)
    problem = cp.Problem(cp.Minimize(fit + cvxprox.deep_prior(x, smooth)))
    problem.solve(solver="NABLA_ADMM")
    assert problem.status == "fixed_point" and problem.solver_stats.num_iters == 12
    assert np.abs(x.value - truth).max() < 0.1
    first = x.value
    problem.solve(solver="NABLA_ADMM")  # from scratch again
    assert np.array_equal(first, x.value)


def test_a_denoiser_that_does_not_settle_is_no_fixed_point() -> None:
    x = cp.Variable(SHAPE)
    fit = cp.sum_squares(x - scene()[0]) / (2 * 0.02**2)
    flip = cvxprox.deep_prior(x, lambda image, sigma: 1 - image)
    problem = cp.Problem(cp.Minimize(fit + flip))
    with pytest.warns(UserWarning, match="inaccurate"):
        problem.solve(solver="NABLA_ADMM")
    assert problem.status == "user_limit"


def test_channels_need_not_be_alike() -> None:
    x, colour = cp.Variable((4, 5, 3)), np.broadcast_to([0.1, 0.5, 0.9], (4, 5, 3))
    prior = cvxprox.deep_prior(x, keep, layout="HWC")
    guess = first_guess(program(cp.Problem(cp.Minimize(10 * cp.sum_squares(x - colour) + prior))))
    assert guess is not None
    assert_close(guess.x.reshape(4, 5, 3), torch.from_numpy(colour.copy()), atol=1e-6, rtol=0)
