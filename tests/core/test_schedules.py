"""Schedules: their numbers, that they act, and what they leave alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cvxprox import prox
from cvxprox.algorithms import (
    ADMM,
    ALGORITHMS,
    Constant,
    Custom,
    Doubling,
    HalfQuadraticSplitting,
    LogDescent,
    Scheduled,
    Session,
    Setting,
    solve_program,
)
from cvxprox.linear_solve import DenseCholesky
from cvxprox.operators import as_dense
from cvxprox.options import Options
from cvxprox.program import Block, ProxProgram
from cvxprox.prox import Denoiser
from cvxprox.status import Status

from .programs import F64, build, run
from .splittings import CASES, least_squares, weights, zeros

SIDE = 6


@dataclass
class Shrink:
    """A stand-in for a denoiser: it notes the levels, and shrinks by a factor that grows with them."""

    levels: list[float]
    strength: float = 1.0

    def __call__(self, image: Tensor, level: float | Tensor) -> Tensor:
        self.levels.append(float(level))
        return image / (1 + self.strength * float(level))


def denoising(*networks: Any, sigma: float | None = None, weight: float = 2.0) -> ProxProgram:
    n = SIDE**2
    P, q, offset = least_squares(0, n, n)
    function = Denoiser(networks, (SIDE, SIDE), "HW", sigma)
    program = build(np.eye(n), zeros(n), [(function, (1, n), weights(weight, 1))], q, P, offset)
    return replace(program, blocks=(replace(program.blocks[0], label="deep_prior(x)"),))


def test_log_descent_is_geometric_and_ends() -> None:
    schedule = LogDescent(0.5, 0.02, 5)
    levels = [schedule(k).noise for k in range(7)]
    np.testing.assert_allclose(levels, [*np.geomspace(0.5, 0.02, 5), 0.02, 0.02])
    assert schedule(3).rho == 1.0
    assert LogDescent(0.5, 0.02, 1)(0).noise == pytest.approx(0.02)


def test_other_schedules() -> None:
    assert Constant(2.0)(7) == Setting(2.0, None)
    grown = [Doubling(1.0)(k).rho for k in range(8)]
    assert grown == [1, 2, 2, 4, 4, 4, 4, 8]
    assert Custom(lambda k: 1.0 + k)(3) == Setting(4.0, None)
    assert Custom(lambda k: {"noise": 0.1})(3) == Setting(1.0, 0.1)


@pytest.mark.parametrize("answer", [None, -1.0, 0, "much", {"sigma": 1.0}, {"noise": -1.0}, np.inf], ids=str)
def test_wrong_answers_are_told(answer: Any) -> None:
    with pytest.raises(ValueError, match="for iteration 5"):
        Custom(lambda k: answer)(5)


@pytest.mark.parametrize("schedule", [1.0, "linear", [0.1]], ids=str)
def test_wrong_schedules_are_told(schedule: Any) -> None:
    with pytest.raises(ValueError, match="schedule must be"):
        Options().with_changes({"schedule": schedule})


def test_half_quadratic_splitting_is_dpir() -> None:
    """Written out: x by least squares with weight w / noise^2, z by the denoiser, noise levels falling."""
    network = Shrink([])
    program = denoising(network, weight=2.0)
    schedule = LogDescent(0.3, 0.05, 6)
    session = Session.start(program, Options().with_changes({"algorithm": "hqs", "schedule": schedule}))
    assert isinstance(session.splitting(), HalfQuadraticSplitting)
    result = solve_program(session)
    assert result.iterations == 6  # as many as the schedule has
    guess = session.beginning(None)
    assert guess is not None and program.P is not None
    P, x = as_dense(program.P), guess.x
    for k in range(6):
        noise = schedule(k).noise
        assert noise is not None
        z, rho = x / (1 + noise), 2.0 / noise**2
        x = torch.linalg.solve(P + rho * torch.eye(SIDE**2, dtype=F64), rho * z - program.q)
    torch.testing.assert_close(result.point.x, x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_denoisers_see_the_noise_levels(name: str) -> None:
    network = Shrink([])
    program = denoising(network)
    levels = [0.3, 0.2, 0.1]
    run(
        program, algorithm=name, max_iter=5, schedule=lambda k: {"noise": levels[min(k, 2)]},
        check_interval=100,
    )  # fmt: skip
    seen = np.unique(np.round(network.levels, 9))
    if ALGORITHMS[name].form.coupling == "single":  # the step is as long as the gradient allows
        assert max(network.levels) <= 0.3 + 1e-12
    else:
        assert set(levels) <= set(seen)


def test_checks_cost_no_evaluations_of_denoisers_and_change_nothing() -> None:
    found = []
    for interval in (1, 3, 12):
        network = Shrink([])
        result = run(denoising(network), max_iter=12, check_interval=interval)
        found.append((result.point.x, len(network.levels)))
    for x, _ in found[1:]:
        torch.testing.assert_close(x, found[0][0], rtol=1e-12, atol=1e-12)
    assert max(count for _, count in found) <= 12 + 2


def test_networks_of_iterations() -> None:
    networks = [Shrink([]) for _ in range(4)]
    run(denoising(*networks), max_iter=6, check_interval=1)
    counts = [len(network.levels) for network in networks]
    assert all(counts) and counts[3] >= 3 and counts[1] == counts[2] == 1


def test_plug_and_play_runs_claim_nothing() -> None:
    result = run(denoising(Shrink([])), max_iter=5)
    assert result.iterations == 5 and result.status is Status.ITERATION_LIMIT
    assert "plug-and-play" in result.info["note"]
    assert np.isnan(result.residuals.gap)
    assert [record["iteration"] for record in result.history] == list(range(6))
    fixed = run(denoising(Shrink([]), sigma=0.1), max_iter=2000)
    assert fixed.status is Status.FIXED_POINT
    longer = run(denoising(Shrink([])), max_iter=2000, schedule=LogDescent(0.2, 0.1, 9))
    assert longer.status is Status.FIXED_POINT and longer.iterations > 9


def test_small_residuals_before_the_end_of_a_schedule_are_not_the_end() -> None:
    result = run(denoising(Shrink([])), max_iter=60, eps_abs=1e3, schedule=LogDescent(0.2, 0.1, 9))
    assert result.status is Status.FIXED_POINT and result.iterations == 9


def test_fixed_points_of_functions_that_are_not_convex() -> None:
    """Least squares with a penalty on the number of nonzeros: every entry is kept or dropped."""
    target = torch.tensor([3.0, -0.2, 0.4, -2.0], dtype=F64)
    block = Block(prox.Norm0(), 0, 4, (4,), weights(0.5, 4), "norm0(x)")
    program = build(np.eye(4), zeros(4), [(prox.Abs(), (4,), weights(1.0, 4))], -2 * target, 2 * np.eye(4))
    program = replace(program, blocks=(block,))
    for name in ("admm", "ladmm", "pgd", "fista"):
        result = run(program, algorithm=name)
        assert result.status is Status.FIXED_POINT and result.ray is None
        distance = torch.minimum(result.point.x.abs(), (result.point.x - target).abs())
        assert float(distance.max()) < 1e-5
        if name in ("pgd", "fista"):  # a step of 1/|P| thresholds at the right place
            kept = torch.tensor([3.0, 0, 0, -2.0], dtype=F64)
            torch.testing.assert_close(result.point.x, kept, rtol=1e-5, atol=1e-5)


def test_the_last_point_of_a_run_that_is_not_convex_is_returned() -> None:
    result = run(denoising(Shrink([])), max_iter=10)
    assert result.residuals.primal == result.history[-1]["primal"]


@pytest.mark.parametrize("name", ["admm", "admm_vxu", "ladmm", "pdhg"])
def test_exact_algorithms_keep_their_optima_under_a_schedule(name: str) -> None:
    case = CASES["lasso"]
    result = run(
        case.program,
        algorithm=name,
        schedule=lambda k: 1.0 + 5 * (k % 2) * (k < 60),
        eps_abs=1e-8,
        eps_rel=1e-8,
    )
    assert result.status is Status.OPTIMAL
    np.testing.assert_allclose(result.primal.numpy(), case.solution()[1], atol=1e-5)


def test_a_schedule_changes_the_penalties_at_the_iteration_it_says() -> None:
    program = CASES["lasso"].program
    rho = torch.ones_like(program.b)
    admm = ADMM(program, DenseCholesky(), torch.full_like(program.q, 1e-3), rho)
    scheduled = Scheduled(admm, Custom(lambda k: 3.0 if k == 2 else 1.0))
    state, plain = scheduled.init(), admm.init()
    for k in range(4):
        state = scheduled.step(state)
        plain = admm.step(admm.with_penalties(plain, (3.0 if k == 2 else 1.0) * rho))
        torch.testing.assert_close(state.inner.x, plain.x)


def test_acceleration_and_schedules_exclude_each_other() -> None:
    options = Options().with_changes({"acceleration": True, "schedule": lambda k: 1.0})
    with pytest.raises(ValueError, match="acceleration needs the same map"):
        Session.start(CASES["lasso"].program, options)
