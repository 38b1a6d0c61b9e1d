"""The rules of the penalties, and that new ones keep the point."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cvxprox import prox
from cvxprox.algorithms import ADMM, Point, Residuals
from cvxprox.algorithms.penalties import FixedPenalties, ScalarPenalty, SpectralPenalties, initial_multiplier
from cvxprox.algorithms.scaling import Metric
from cvxprox.linear_solve import LinearSolve
from cvxprox.program import ProxProgram

from .linear_solves import SOLVES
from .programs import F64, INF, Rows, box, build, plain_metric, random_program, vector

QUIET = Residuals(1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0)


def separable_program() -> ProxProgram:
    rows: list[Rows] = [box([0.0, 1.0, -1.0], [INF, 1.0, 1.0]), (prox.Norm2(), (1, 2), vector(1.0))]
    return build(np.eye(5), torch.zeros(5, dtype=F64), rows)


def test_spectral_penalties_are_secants() -> None:
    program = separable_program()
    metric = Metric(torch.ones(5, dtype=F64), vector(1, 1, 2, 3, 3), 0.5)
    rule = SpectralPenalties(program, metric)
    zero = torch.zeros(5, dtype=F64)
    dz, dy = vector(1, 1, 2, 1, 4), vector(3, 7, 0.1, 9, 1)
    multiplier = initial_multiplier(program, 0.1)
    old, new = Point(zero, zero, zero), Point(zero, dz, -dy)
    assert rule.propose(49, multiplier, old, new, QUIET) is None
    proposed = rule.propose(50, multiplier, old, new, QUIET)
    assert proposed is not None
    dual, primal = dy * metric.c / metric.e, dz * metric.e
    secant = (dual + 1e-3 * dual.square().mean().sqrt()) / (primal + 1e-3 * primal.square().mean().sqrt())
    expected = (multiplier * secant).sqrt()
    expected[1] = 100.0  # the equality
    expected[3:] = (expected[3] * expected[4]).sqrt()  # one point of a norm
    torch.testing.assert_close(proposed, expected)
    assert rule.propose(100, multiplier, old, new, QUIET) is None  # the interval has grown to 55
    assert rule.propose(105, multiplier, old, new, QUIET) is not None
    assert rule.propose(105 + 60, multiplier, old, new, QUIET) is None


def test_spectral_penalties_have_bounds_and_an_end() -> None:
    program = separable_program()
    metric = Metric(torch.ones(5, dtype=F64), torch.ones(5, dtype=F64), 1.0)
    rule = SpectralPenalties(program, metric, interval=1, last=5)
    zero, one = torch.zeros(5, dtype=F64), torch.ones(5, dtype=F64)
    still, moved = Point(zero, zero, zero), Point(zero, one, 1e12 * one)
    multiplier = start = initial_multiplier(program, 0.1)
    proposals = []
    for iteration in range(1, 40, 3):
        proposed = rule.propose(iteration, multiplier, still, moved, QUIET)
        if proposed is not None:
            multiplier = proposed
            proposals.append(iteration)
    torch.testing.assert_close(multiplier[[0, 2, 3, 4]], 1e4 * start[[0, 2, 3, 4]])
    assert len(proposals) == 1 and rule.updates == 5  # at its bound it moves no more
    same = SpectralPenalties(program, metric, interval=1).propose(
        1, start, still, Point(zero, one, 0.2 * one), QUIET
    )
    assert same is None  # a small change is not worth a factorisation


def test_spectral_penalties_give_up_where_the_residuals_stay_large() -> None:
    """They return to the initial penalties and go on with one factor."""
    program = separable_program()
    rule = SpectralPenalties(program, plain_metric(program), interval=1, patience=3)
    zero, one = torch.zeros(5, dtype=F64), torch.ones(5, dtype=F64)
    start = initial_multiplier(program, 0.1)
    multiplier, seen = start, []
    for k, ratio in enumerate((1e6, 1e-6, 1e6, 1e-6, 1e6, 1e-6)):
        primal = 0.4**k if k < 3 else 5.0  # improves twice, then is far from its best
        current = replace(QUIET, primal=primal, dual=primal)
        proposed = rule.propose(
            10 * k + 1, multiplier, Point(zero, zero, zero), Point(zero, one, ratio * one), current
        )
        multiplier = multiplier if proposed is None else proposed
        seen.append(torch.equal(multiplier, start))
    assert seen == [False, False, False, False, False, True]
    balanced = replace(QUIET, primal=1e-2, dual=1.0)
    point = Point(zero, one, one)
    proposed = rule.propose(200, multiplier, point, point, balanced)
    torch.testing.assert_close(proposed, 0.1 * multiplier)


def test_scalar_penalty_balances_the_residuals() -> None:
    rule = ScalarPenalty()
    point = Point(*(torch.zeros(2, dtype=F64) for _ in range(3)))
    multiplier = vector(0.1, 100.0)
    unbalanced = replace(QUIET, primal=0.09, primal_scale=10.0, dual=1e-3, dual_scale=10.0)
    assert rule.propose(50, multiplier, point, point, unbalanced) is None
    proposed = rule.propose(100, multiplier, point, point, unbalanced)
    torch.testing.assert_close(proposed, multiplier * math.sqrt(90))
    assert rule.propose(100, multiplier, point, point, replace(unbalanced, dual=0.01)) is None
    reverse = replace(unbalanced, primal=1e-5, dual=1.0)
    torch.testing.assert_close(
        rule.propose(200, multiplier, point, point, reverse), multiplier * math.sqrt(1e-5)
    )
    assert FixedPenalties().propose(100, multiplier, point, point, unbalanced) is None


@pytest.mark.parametrize("solve", SOLVES, ids=lambda s: s.name)
def test_new_penalties_keep_the_point(solve: LinearSolve) -> None:
    program = random_program()
    rho = torch.full((program.rows,), 0.3, dtype=F64)
    admm = ADMM(program, solve, torch.full_like(program.q, 1e-3), rho)
    state = admm.init()
    for _ in range(5):
        state = admm.step(state)
    before = admm.point(state)
    after_state = admm.with_penalties(state, 7 * rho)
    after = admm.point(after_state)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old, new, rtol=1e-9, atol=1e-9)
    stepped = admm.step(after_state)
    fresh = ADMM(program, solve, admm.sigma, 7 * rho)
    torch.testing.assert_close(stepped.x, fresh.step(fresh.init(before)).x, rtol=1e-6, atol=1e-7)
    assert not torch.allclose(stepped.x, admm.step(admm.init(before)).x, rtol=1e-3)
