"""Denoisers in problems with bounds, equations and other functions."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import torch

import cvxprox
from cvxprox.algorithms import LogDescent
from cvxprox.algorithms.noise import EQUATIONS, penalties_for_noise
from cvxprox.algorithms.schedule import BOUNDS

SIZE = 16
NOISE = 0.02


def soften(images: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    """A blur that grows with the noise level."""
    share = float(sigma) / (float(sigma) + 0.05)
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    return (1 - share) * images + share * blurred


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((SIZE, SIZE))
    truth = 0.2 + 0.6 * ((rows - 8) ** 2 + (columns - 7) ** 2 < 30)
    known = (rng.random(truth.shape) < 0.6).astype(float)
    return truth, known, known * (truth + NOISE * rng.standard_normal(truth.shape))


def restored(
    extra: object = 0, *constraints: cp.Constraint, x: cp.Variable, max_iter: int | None = None
) -> np.ndarray:
    _, known, y = scene()
    fit = cp.sum_squares(cp.multiply(known, x) - y) / (2 * NOISE**2)
    prior = cvxprox.deep_prior(x, soften)
    problem = cp.Problem(cp.Minimize(fit + prior + extra), list(constraints))
    problem.solve(solver="NABLA_ADMM", max_iter=max_iter)
    assert problem.status == "fixed_point"
    return x.value


def test_bounds_that_do_not_bind_cost_little_and_those_that_bind_come_to_hold() -> None:
    x = cp.Variable((SIZE, SIZE))
    free = restored(x=x)
    assert np.abs(restored(0, x >= 0, x <= 1, x=x) - free).max() < 0.05
    assert restored(0, x <= 0.7, x=x).max() < 0.78 < free.max()
    assert restored(0, x <= 0.7, x=x, max_iter=60).max() < 0.705


@pytest.mark.parametrize("weight", [1e-4, 1e-1])
def test_a_little_total_variation_changes_little(weight: float) -> None:
    x = cp.Variable((SIZE, SIZE))
    free = restored(x=x)
    assert np.abs(restored(weight * cvxprox.tv(x), x=x) - free).max() < 0.05


def test_equations_hold_and_leave_the_other_pixels_free() -> None:
    truth, known, _ = scene()
    x = cp.Variable((SIZE, SIZE))
    equation = cp.multiply(known, x) == known * truth
    problem = cp.Problem(cp.Minimize(cvxprox.deep_prior(x, soften)), [equation])
    problem.solve(solver="NABLA_ADMM")
    assert problem.status == "fixed_point" and equation.violation().max() < 0.01
    assert np.abs(x.value - truth).mean() < 0.05


def test_penalties_are_in_proportion() -> None:
    truth, known, _ = scene()
    x = cp.Variable((SIZE, SIZE))
    prior = cvxprox.deep_prior(x, soften, strength=0.5)
    constraints = [cp.multiply(known, x) == known * truth, x >= 0]
    problem = cp.Problem(cp.Minimize(prior + 0.1 * cvxprox.tv(x)), constraints)
    program = cvxprox.explain(problem, measure=False).program
    rho = torch.full((program.rows,), 7.0, dtype=torch.float64)
    found = penalties_for_noise(program, rho, 0.1, BOUNDS)
    own = 0.5 / 0.1**2
    expected = {"deep_prior": own, "tv": 7.0, "==": EQUATIONS * own, "<=": BOUNDS * own}
    for block in program.blocks:
        (value,) = (number for sign, number in expected.items() if sign in block.label)
        assert found[block.start : block.stop].tolist() == pytest.approx([value] * (block.stop - block.start))


def test_bounds_grow_as_noise_falls() -> None:
    schedule = LogDescent(0.2, 0.02, 5)
    assert schedule(0).bounds == pytest.approx(BOUNDS)
    assert schedule(4).bounds == pytest.approx(10 * BOUNDS)
