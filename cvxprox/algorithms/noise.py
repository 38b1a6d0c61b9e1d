"""Noise levels: the penalties that make denoisers assume them, and their default schedule."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from torch import Tensor

from cvxprox.algorithms.penalties import equality_rows
from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.rows import curvature
from cvxprox.algorithms.schedule import LogDescent
from cvxprox.program import Block, ProxProgram
from cvxprox.prox import Denoiser, Precomposed, ProxFunction

EQUATIONS = 10.0
"""The penalty of equations over that of a denoiser."""


@functools.singledispatch
def denoises(function: ProxFunction) -> bool:
    """Whether the prox of a function is a denoiser."""
    return False


@denoises.register
def _(function: Denoiser) -> bool:
    return True


@denoises.register
def _(function: Precomposed) -> bool:
    return denoises(function.function)


@functools.singledispatch
def noise_penalty(function: ProxFunction, weight: Tensor, noise: float | Tensor) -> Tensor | None:
    """The penalties with which the prox of a function assumes a noise level; None if it assumes none."""
    return None


@noise_penalty.register
def _(function: Denoiser, weight: Tensor, noise: float | Tensor) -> Tensor | None:
    return None if function.sigma is not None else weight * function.strength / noise**2


@noise_penalty.register
def _(function: Precomposed, weight: Tensor, noise: float | Tensor) -> Tensor | None:
    # the step of the inner prox is scale**2 as large, and so is the variance there
    return noise_penalty(function.function, weight, noise)


@functools.singledispatch
def noise_schedule(function: ProxFunction, noise: float | None) -> LogDescent | None:
    """The default schedule of a function whose noise level is free; None for others.

    `noise` is that of the measurements, if known.
    """
    return None


@noise_schedule.register
def _(function: Denoiser, noise: float | None) -> LogDescent | None:
    if function.sigma is not None:
        return None
    low, high = function.value_range
    width, usual = high - low, LogDescent()
    start = width * usual.start
    stop = width * usual.stop if noise is None else min(max(noise, width / 255), start)
    return LogDescent(start, stop, usual.iterations)


@noise_schedule.register
def _(function: Precomposed, noise: float | None) -> LogDescent | None:
    scale = float(torch.as_tensor(function.scale).abs().max())
    inner = noise_schedule(function.function, None if noise is None else scale * noise)
    return None if inner is None else replace(inner, start=inner.start / scale, stop=inner.stop / scale)


def default_schedule(program: ProxProgram) -> LogDescent | None:
    r"""The schedule of the first denoiser of free noise level; None if there is none.

    Beside a prior of weight w the quadratic terms are those of measurements with noise of standard deviation
    :math:`\sqrt{w/\|P\|}`: where they are :math:`\|Ax - y\|^2/(2\varsigma^2)` and the weight is 1, that is
    :math:`\varsigma/\|A\|`. The noise levels of the denoiser go down to it.
    """
    for block in program.blocks:
        if block.weight is not None and noise_schedule(block.function, None) is not None:
            curved = curvature(program.P, program.q.new_ones(()).expand(program.variables))
            noise = float(block.weight.max() / curved) ** 0.5 if curved > 0 else None
            return noise_schedule(block.function, noise)
    return None


def near_fixed_point(program: ProxProgram, point: Point, noise: float | Tensor) -> bool:
    """Whether x and what the denoisers make of it differ by no more than noise of this level."""
    miss = program.K.forward(point.x) + program.b - point.z
    rows = [miss[block.start : block.stop] for block in program.blocks if denoises(block.function)]
    return all(float(part.square().mean().sqrt()) <= noise for part in rows)


def penalties_for_noise(
    program: ProxProgram, rho: Tensor, noise: float | Tensor, bounds: float | Tensor
) -> Tensor:
    """`rho` with the rows of denoisers replaced, and with those of sets in proportion to these.

    Every penalty also holds x back where its function has nothing to say: one that is too large for a bound
    wastes iterations, one that is too small leaves it unheard. Equations always have something to say. Other
    functions have penalties of their own scale.
    """
    own = [_own(block, noise) for block in program.blocks]
    largest = [penalty.max() for penalty in own if penalty is not None]
    if not largest:
        return rho
    unit, equations = torch.stack(largest).max(), equality_rows(program)
    rows = []
    for block, penalty in zip(program.blocks, own, strict=True):
        place = slice(block.start, block.stop)
        if penalty is None and block.weight is None:
            factor = EQUATIONS if bool(equations[place].all()) else bounds
            penalty = (factor * unit).expand(block.stop - block.start)
        rows.append(rho[place] if penalty is None else penalty)
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def fixed_noise(program: ProxProgram) -> bool:
    """Whether there are denoisers and all of them have a noise level of their own."""
    levels = [own_noise(block.function) for block in program.blocks if denoises(block.function)]
    return bool(levels) and all(level is not None for level in levels)


@functools.singledispatch
def own_noise(function: ProxFunction) -> Tensor | float | None:
    """The noise level of a denoiser that was given one."""
    return None


@own_noise.register
def _(function: Denoiser) -> Tensor | float | None:
    return function.sigma


@own_noise.register
def _(function: Precomposed) -> Tensor | float | None:
    level = own_noise(function.function)
    return None if level is None else level / torch.as_tensor(function.scale).abs().max()


def at_own_noise(program: ProxProgram, rho: Tensor) -> Tensor:
    r"""The penalties of programs of `fixed_noise`: :math:`w\lambda/\sigma^2` for denoisers, else `rho`.

    The penalty decides where the fixed point is. This is the one with which the denoiser is the prox of a
    function that does not depend on it.
    """
    if not fixed_noise(program):
        return rho
    rows = []
    for block in program.blocks:
        place, level = slice(block.start, block.stop), own_noise(block.function)
        if level is None or block.weight is None:
            rows.append(rho[place])
            continue
        own = block.weight.mean() * strength_of(block.function) / torch.as_tensor(level).to(rho) ** 2
        rows.append(own.to(rho).expand(block.stop - block.start))
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def strength_of(function: ProxFunction) -> Tensor | float:
    """The strength of a denoiser."""
    inner = function.function if isinstance(function, Precomposed) else function
    return inner.strength if isinstance(inner, Denoiser) else 1.0


def _own(block: Block, noise: float | Tensor) -> Tensor | None:
    if block.weight is None:
        return None
    own = noise_penalty(block.function, block.weight, noise)
    if own is None:
        return None
    if not any(own.stride()):
        return own.reshape(-1)[0].expand(block.stop - block.start)
    return block.rows(own.reshape(-1, *(1,) * len(block.shape[1:])).expand(block.shape))
