"""Derivatives of the solutions of a batch of dense programs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.conditions import largest
from cvxprox.differentiation.dense.linearise import linearise
from cvxprox.differentiation.dense.penalties import typical_penalties
from cvxprox.differentiation.sensitivity import Sensitivity

GOAL = 1e-12
REFINEMENTS = 20

Pair = tuple[Tensor, Tensor]


class DenseSensitivity(Sensitivity):
    """The Jacobian of the optimality conditions of a batch of dense programs, by `linearise`.

    Samples without a solution, and those whose data are not numbers, get zeros.

    Parameters
    ----------
    data : DenseBatch
    point : Point
        The solutions, of shape (*batch, n) and (*batch, m).
    rho : Tensor, shape (m,) or (*batch, m)
    batch : tuple of int
    failed : Tensor, shape (B,)
        Samples that have no solution.
    """

    def __init__(
        self, data: DenseBatch, point: Point, rho: Tensor, batch: tuple[int, ...], failed: Tensor
    ) -> None:
        x, z, y = (t.detach().double().reshape(prod(batch), -1) for t in point)
        rho = rho.detach().double()
        rho = rho if rho.dim() == 1 else rho.reshape(prod(batch), -1)
        self.bad = failed | data.defects() | ~(x.sum(-1) + z.sum(-1) + y.sum(-1)).isfinite()
        if bool(self.bad.any()):
            data, z, y = data.harmless(), z.nan_to_num(0.0), y.nan_to_num(0.0)
        self.batch = batch
        slope = data.functions.derivative(z + y / rho, data.functions.steps(rho))
        self.jacobian = linearise(data, slope, rho, typical_penalties(data))

    def solve(self, *f: Tensor) -> Pair:
        return self._refined(f, self.jacobian.solve, self.jacobian.times)

    def solve_transposed(self, *g: Tensor) -> Pair:
        return self._refined(g, self.jacobian.solve_transposed, self.jacobian.times_transposed)

    @torch.no_grad()
    def _refined(
        self, f: tuple[Tensor, ...], solve: Callable[..., Pair], multiply: Callable[..., Pair]
    ) -> Pair:
        """The solution, refined for as long as the residual falls."""
        fx, fv = (torch.where(self.bad[:, None], 0.0, t.double().reshape(len(self.bad), -1)) for t in f)
        size = torch.maximum(largest(fx), largest(fv))
        size = torch.where(size > 0, size, 1.0)
        u = best = (torch.zeros_like(fx), torch.zeros_like(fv))
        left, error = (fx, fv), torch.ones_like(size)
        for k in range(REFINEMENTS):
            step = solve(*left)
            u = (u[0] + step[0], u[1] + step[1])
            image = multiply(*u)
            left = (fx - image[0], fv - image[1])
            now = torch.maximum(largest(left[0]), largest(left[1])) / size
            better = now < error
            keep = better[:, None]
            best = torch.where(keep, u[0], best[0]), torch.where(keep, u[1], best[1])
            progress = (now < 0.5 * error) & (now > GOAL)
            error = torch.where(better, now, error)
            self.iterations = k + 1
            if not bool(progress.any()):
                break
        self.residual = float(error.max())
        first, second = (t.reshape(*self.batch, -1).to(f[0].dtype) for t in best)
        return first, second
