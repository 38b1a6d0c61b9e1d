"""Where runs begin whose functions are not convex: at the minimum of a quadratic stand-in."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from cvxprox.algorithms.residuals import Point
from cvxprox.operators import FiniteDifference
from cvxprox.program import Block, ProxProgram
from cvxprox.prox import Box, Denoiser, Precomposed, ProxFunction

SLOPE = 0.1
"""The standard deviation of differences of neighbouring pixels, for an image with values in [0, 1]."""

STIFFNESS = 1e4
"""The weight of equations, where that of smoothness is 1/SLOPE²."""

ITERATIONS, TOLERANCE = 100, 1e-4


@functools.singledispatch
def importance(function: ProxFunction) -> float:
    """The inverse of the variance of what `function` acts on, roughly; 0 if unknown."""
    return 0.0


@importance.register
def _(function: Denoiser) -> float:
    low, high = function.value_range
    return 1 / (high - low) ** 2


@functools.singledispatch
def slope(function: ProxFunction, z: Tensor) -> Tensor | None:
    """The gradient at z of a convex quadratic function that stands in for `function`; None for zero."""
    return None


@slope.register
def _(function: Denoiser, z: Tensor) -> Tensor:
    r"""Of :math:`\tfrac12\|\nabla z\|^2/s^2`: images are smooth, more or less."""
    axes = tuple(sorted(function.layout.index(axis) - len(function.layout) for axis in "HW"))
    D = FiniteDifference(function.shape, axes, "reflect", z.dtype, z.device)
    images = z.reshape(*z.shape[:-1], *function.shape)
    return D.adjoint(D.forward(images)).reshape(z.shape) * (importance(function) / SLOPE**2)


@slope.register
def _(function: Box, z: Tensor) -> Tensor:
    r"""Of :math:`\tfrac c2\|z - l\|^2` where the bounds are equal."""
    return torch.where(function.lower == function.upper, STIFFNESS * (z - function.lower), 0.0)


@slope.register
def _(function: Precomposed, z: Tensor) -> Tensor | None:
    scale = function.expand(function.scale, z)
    inner = slope(function.function, scale * z + function.shift)
    return None if inner is None else scale * inner


def first_guess(program: ProxProgram) -> Point | None:
    r"""The minimum of the quadratic terms, with equations as squares and images as smooth as they use to be.

    .. math:: \min_x\; \tfrac12x^TPx + q^Tx + \sum_j w_j\, s_j(K_jx + b_j)

    with the functions s of which `slope` has the gradients; by conjugate gradients, which stop early.
    Unknown pixels are so interpolated, and blurred ones sharpened as by Wiener's filter; denoisers go on from
    there better than from an image with holes. None where there is nothing to go by: no quadratic term and no
    equation.
    """
    unit = (
        sum(importance(b.function) * float(b.weight.sum()) for b in program.blocks if b.weight is not None)
        or 1.0
    )
    zero = torch.zeros_like(program.q)
    descent = -_gradient(program, zero, unit)
    if not bool(descent.any()):
        return None
    x, residual, direction = zero, descent, descent
    energy = residual @ residual
    goal = TOLERANCE**2 * energy
    for _ in range(ITERATIONS):
        image = _gradient(program, direction, unit) + descent
        curvature = direction @ image
        if not bool(curvature > 0):
            break
        step = energy / curvature
        x, residual = x + step * direction, residual - step * image
        energy, old = residual @ residual, energy
        if bool(energy <= goal):
            break
        direction = residual + energy / old * direction
    return Point(x, program.K.forward(x) + program.b, torch.zeros_like(program.b))


def _gradient(program: ProxProgram, x: Tensor, unit: float) -> Tensor:
    result = program.q if program.P is None else program.q + program.P.forward(x)
    z = program.K.forward(x) + program.b
    rows = [_slope_of_rows(block, z, unit) for block in program.blocks]
    if all(part is None for part in rows):
        return result
    filled = [
        z.new_zeros(b.stop - b.start) if part is None else part
        for b, part in zip(program.blocks, rows, strict=True)
    ]
    return result + program.K.adjoint(torch.cat(filled))


def _slope_of_rows(block: Block, z: Tensor, unit: float) -> Tensor | None:
    found = slope(block.function, block.points(z))
    if found is None:
        return None
    weight = unit if block.weight is None else block.weight.reshape(-1, *(1,) * (found.dim() - 1))
    found = weight * found
    return block.rows(found)
