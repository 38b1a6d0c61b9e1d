"""The linearised optimality conditions with the variables eliminated that rows hold in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.functions import Slope
from cvxprox.differentiation.dense.linearised import REGULARISATION, STIFFNESS, Linearised, typical_size
from cvxprox.differentiation.dense.matrices import cholesky_solve


@dataclass(frozen=True)
class Restricted(Linearised):
    r"""The entries of x that no row holds, where every row of K has one entry, in a column of its own.

    A row with D = 0 fixes its variable: :math:`\kappa\,dx = f_v`, and the stationarity of that variable gives
    its dv afterwards. The others, F, solve

    .. math:: (P_{FF} + \delta + \mathrm{diag}(\kappa^2 w))\,dx_F = f_{x,F} + (K^TWf_v)_F - P_{FX}\,dx_X.

    A sparse solution (l1 norms, bounds) leaves a small system. Samples are padded to the largest.

    Attributes
    ----------
    held : Tensor, shape (B, m)
        Rows that fix their variables.
    inverse : Tensor, shape (B, m)
        1 / D on the other rows.
    free : Tensor, shape (B, k)
        Variables that are not fixed, and others where `real` is false.
    real : Tensor, shape (B, k)
    factor : Tensor, shape (B, k, k)
    """

    refinements: ClassVar[int] = 1
    held: Tensor
    inverse: Tensor
    free: Tensor
    real: Tensor
    factor: Tensor

    @classmethod
    def at(cls, data: DenseBatch, slope: Slope, rho: Tensor, typical: Tensor) -> Restricted:
        """See `linearise`."""
        selector, n = data.selector, data.q.shape[1]
        assert selector is not None
        D = slope.diagonal
        least = (rho / (STIFFNESS * typical)).clamp(max=0.5)
        held = least > D
        inverse = torch.where(held, 1.0, 1 / torch.where(held, 1.0, D))
        fixed = torch.zeros(len(D), n, dtype=torch.bool, device=D.device)
        fixed[:, selector.column] = held
        most = int((n - fixed.sum(-1)).max())
        # stable, so that the free variables stay in order
        free = fixed.to(torch.uint8).argsort(dim=-1, stable=True)[:, :most]
        real = ~fixed.gather(1, free)
        added = selector.gram(rho * (inverse - 1), n)
        added = added + REGULARISATION * typical_size(data, typical)
        diagonal = torch.where(real, added.gather(1, free), 1.0)
        matrix = torch.diag_embed(diagonal)
        if data.P is not None:
            matrix += data.P.principal(free) * (real[:, :, None] & real[:, None, :])
        return cls(data, rho, slope, held, inverse, free, real, torch.linalg.cholesky_ex(matrix)[0])

    def solve(self, fx: Tensor, fv: Tensor) -> tuple[Tensor, Tensor]:
        selector, held = self.data.selector, self.held
        assert selector is not None
        pushed = fx + self.data.adjoint(torch.where(held, 0.0, self.rho * (self.inverse - 1) * fv))
        dx = self._restricted(pushed, fv / selector.value)
        left = (fx - self.data.quadratic(dx))[:, selector.column]
        moved = self.inverse * (self.data.forward(dx) - fv)
        return dx, torch.where(held, left / (selector.value * self.rho), moved)

    def solve_transposed(self, gx: Tensor, gv: Tensor) -> tuple[Tensor, Tensor]:
        selector, held = self.data.selector, self.held
        assert selector is not None
        scaled = self.inverse * gv
        lx = self._restricted(
            gx + self.data.adjoint(torch.where(held, 0.0, scaled)), gv / (selector.value * self.rho)
        )
        left = (gx - self.data.quadratic(lx))[:, selector.column]
        image = self.rho * self.data.forward(lx)
        return lx, torch.where(held, left / selector.value, (self.inverse - 1) * image - scaled)

    def _restricted(self, f: Tensor, at: Tensor) -> Tensor:
        """The variables: those of held rows are given by `at` (B, m), the others solve with f (B, n)."""
        data, column = self.data, self.data.selector.column  # type: ignore[union-attr]
        x = torch.zeros_like(f)
        x[:, column] = torch.where(self.held, at, 0.0)
        rest = (f - data.quadratic(x)).gather(1, self.free)
        found = cholesky_solve(self.factor, torch.where(self.real, rest, 0.0))
        return x.scatter_add(1, self.free, torch.where(self.real, found, 0.0))
