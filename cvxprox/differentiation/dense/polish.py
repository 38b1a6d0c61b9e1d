"""Semi-smooth Newton steps for a batch of dense programs."""

from __future__ import annotations

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.conditions import Conditions
from cvxprox.differentiation.dense.linearise import linearise

TARGET = 1e-12
"""Residuals to reach, relative to the larger of 1 and the sizes of their terms."""

PATIENCE = 2


def polish(data: DenseBatch, rho: Tensor, typical: Tensor, point: Point, steps: int) -> tuple[Point, Tensor]:
    r"""Up to `steps` Newton steps on :math:`F(x, v) = 0`, the best point of every sample.

    For intervals each step solves the equality constrained problem of the guessed active set. Samples
    that are not finished when at least half of the others are go on by themselves.

    Returns
    -------
    point : Point
    merit : Tensor, shape (B,)
        The larger residual, relative to the larger of 1 and the sizes of its terms.
    """
    prox_steps = data.functions.steps(rho)
    x, v = point.x, point.z + point.y / rho
    now = Conditions.of(data, rho, prox_steps, x, v)
    best, merit = now.point, now.ratio(1.0, 1.0)
    misses = torch.zeros_like(merit)
    for done in range(steps):
        going = (merit > TARGET) & (misses < PATIENCE) & merit.isfinite()
        left = int(going.sum())
        if not left:
            break
        if 2 * left <= data.samples and data.functions.divisible:
            index = going.nonzero()[:, 0]
            own = rho if rho.dim() == 1 else rho[index]
            usual = typical if typical.dim() == 1 else typical[index]
            # from where the iterates are, which is not the best point
            current = Point(x[index], now.point.z[index], now.point.y[index])
            part, value = polish(data.take(index), own, usual, current, steps - done)
            better = value < merit[index]
            index, part = index[better], Point(*(t[better] for t in part))
            best = Point(*(t.index_copy(0, index, own) for t, own in zip(best, part, strict=True)))
            merit = merit.index_copy(0, index, value[better])
            break
        jacobian = linearise(data, data.functions.derivative(v, prox_steps), rho, typical)
        dx, dv = jacobian.solve(now.columns, now.rows)
        for _ in range(jacobian.refinements):
            ax, av = jacobian.times(dx, dv)
            ex, ev = jacobian.solve(now.columns - ax, now.rows - av)
            dx, dv = dx + ex, dv + ev
        x, v = x - dx, v - dv
        now = Conditions.of(data, rho, prox_steps, x, v)
        value = now.ratio(1.0, 1.0)
        better = value < merit
        misses = torch.where(value < 0.5 * merit, 0.0, misses + 1)
        best = Point(*(torch.where(better[:, None], a, b) for a, b in zip(now.point, best, strict=True)))
        merit = torch.where(better, value, merit)
    return best, merit
