"""The plain iteration of a splitting on a batch of programs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms import Algorithm, Point, Scheduled, Session, Splitting
from cvxprox.algorithms.first_guess import first_guess
from cvxprox.differentiation.base import Run
from cvxprox.differentiation.report import residual_norms
from cvxprox.differentiation.samples import batch_of, sample
from cvxprox.program import ProxProgram
from cvxprox.status import Status

INTERVAL = 25
BALANCED = 3.0
"""Penalties whose residuals differ by less are kept."""


def batched_run(
    program: ProxProgram, splitting: Splitting, session: Session, start: Point | None
) -> tuple[Run, Splitting]:
    """Iterate until every sample is within the tolerances; the run, and the algorithm at its penalties.

    A sample has the first of its points that is within them, else the last one. One factor for the
    penalties of all samples balances the residuals, at doubling iterations.
    """
    algorithm: Algorithm = splitting
    if session.schedule is not None:
        algorithm = Scheduled(splitting, session.schedule)
    state = algorithm.init(_beginning(program, start))
    adapts = session.options.adaptive_rho is not False and session.schedule is None
    adapts = adapts and program.convex and splitting.form.penalties in ("rows", "factor")
    point, update, iteration = algorithm.point(state), 2 * INTERVAL, 0
    ratios = _ratios(program, point, session)
    best, least = point, _largest(ratios)
    while iteration < session.max_iter and not bool((least <= 1).all()):
        for _ in range(min(_interval(session), session.max_iter - iteration)):
            state = algorithm.step(state)
            iteration += 1
        point = algorithm.point(state)
        ratios = _ratios(program, point, session)
        waiting = ~(least <= 1)
        pairs = zip(point, best, strict=True)
        best = Point(*(torch.where(waiting[..., None], new, old) for new, old in pairs))
        least = torch.where(waiting, _largest(ratios), least)
        if adapts and iteration >= update:
            update *= 2
            state = _balanced(splitting, state, ratios)
    inner = state.inner if isinstance(algorithm, Scheduled) else state
    statuses = tuple(_status(session, float(r), iteration) for r in least.reshape(-1))
    run = Run(best, statuses, residual_norms(program, best), iteration, inner.rho)
    if adapts and inner.rho is not splitting.rho:
        return run, _at_penalties(splitting, inner.rho)
    return run, splitting


def _interval(session: Session) -> int:
    interval = session.options.check_interval
    return interval if interval is not None else 1 if session.denoises else INTERVAL


def _beginning(program: ProxProgram, start: Point | None) -> Point | None:
    if start is not None or program.convex:
        return start
    batch = batch_of(program)
    guesses = [first_guess(sample(program, index)) for index in itertools.product(*map(range, batch))]
    found = [guess for guess in guesses if guess is not None]
    if len(found) < len(guesses):
        return None
    return Point(*(torch.stack(parts).reshape(*batch, -1) for parts in zip(*found, strict=True)))


def _ratios(program: ProxProgram, point: Point, session: Session) -> tuple[Tensor, Tensor]:
    """The primal and dual residuals of every sample in units of their tolerances."""
    x, z, y = point
    options = session.options
    Kx, Px, Ky = program.K.forward(x), program.quadratic(x), program.K.adjoint(y)

    def ratio(residual: Tensor, *parts: Tensor) -> Tensor:
        scale = torch.stack([_size(part).expand(residual.shape[:-1]) for part in parts]).amax(0)
        return _size(residual) / (options.eps_abs + options.eps_rel * scale)

    return ratio(Kx + program.b - z, Kx, program.b, z), ratio(Px + program.q + Ky, Px, program.q, Ky)


def _size(v: Tensor) -> Tensor:
    return v.abs().amax(-1) if v.shape[-1] else v.new_zeros(v.shape[:-1])


def _largest(ratios: tuple[Tensor, Tensor]) -> Tensor:
    return torch.maximum(*ratios)


def _balanced(splitting: Splitting, state: Any, ratios: tuple[Tensor, Tensor]) -> Any:
    primal, dual = (ratio.clamp_min(1e-10).log() for ratio in ratios)
    waiting = torch.maximum(primal, dual) > 0
    if not bool(waiting.any()):
        return state
    factor = float((0.5 * (primal - dual))[waiting].median().exp())
    if 1 / BALANCED <= factor <= BALANCED:
        return state
    return splitting.with_penalties(state, state.rho * min(max(factor, 1e-2), 1e2))


def _at_penalties(splitting: Splitting, rho: Tensor) -> Splitting:
    """The algorithm with other initial penalties; norms scale with them."""
    factor = float((rho / splitting.rho).max()) if rho.numel() else 1.0
    names = [name for name in ("norm", "coupling") if hasattr(splitting, name)]
    norms = {name: factor * getattr(splitting, name) for name in names}
    return replace(splitting, rho=rho, **norms)  # type: ignore[type-var]


def _status(session: Session, ratio: float, iteration: int) -> Status:
    if ratio <= 1:
        return session.success()
    if session.success() is Status.PENALTY_METHOD:
        return Status.PENALTY_METHOD
    schedule = session.schedule
    if not session.program.convex and schedule is not None and schedule.iterations is not None:
        return Status.FIXED_POINT if iteration >= schedule.iterations else Status.ITERATION_LIMIT
    return Status.OPTIMAL_INACCURATE if session.program.convex and ratio <= 1e3 else Status.ITERATION_LIMIT
