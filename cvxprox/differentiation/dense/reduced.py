"""The linearised optimality conditions with the rows eliminated: one Cholesky factor in x."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.functions import Slope
from cvxprox.differentiation.dense.linearised import REGULARISATION, STIFFNESS, Linearised, typical_size
from cvxprox.differentiation.dense.matrices import cholesky_solve

FALLBACK = 1e-5


@dataclass(frozen=True)
class Reduced(Linearised):
    r"""All of x, with one Cholesky factor.

    With :math:`\tilde D`, whose eigenvalues are those of D kept away from 0, the second row gives
    :math:`dv = \tilde D^{-1}(K\,dx - f_v)`, and the first one

    .. math:: H\,dx = f_x + K^TWf_v, \qquad H = P + \delta + K^TWK, \qquad W = R(\tilde D^{-1} - I).

    The transposed system has the same matrix: :math:`H l_x = g_x + K^T\tilde D^{-1}g_v`,
    :math:`l_v = WKl_x - \tilde D^{-1}g_v`. Refinement on the true system removes what the tilde and
    :math:`\delta` add.

    Attributes
    ----------
    inverse : Slope
        :math:`\tilde D^{-1}`.
    factor : Tensor, shape (B, n, n)
        The Cholesky factor of H.
    """

    inverse: Slope
    factor: Tensor

    @classmethod
    def at(cls, data: DenseBatch, slope: Slope, rho: Tensor, typical: Tensor) -> Reduced:
        """See `linearise`."""
        least = (rho / (STIFFNESS * typical)).clamp(max=0.5)
        diagonal = 1 / torch.maximum(slope.diagonal, least)
        weights = rho * (diagonal - 1)
        parts, coupling = [], []
        for block, D in slope.parts:
            small = block.per_point(least)[..., None, None]
            identity = torch.eye(block.size, dtype=D.dtype, device=D.device)
            stiff = torch.linalg.inv_ex((0.5 * (D + D.mT) + small * identity) / (1 + small))[0]
            parts.append((block, stiff))
            coupling.append((block, block.per_point(rho)[..., None, None] * (stiff - identity)))
        inverse = Slope(diagonal, tuple(parts))
        matrix = data.gram(weights) if not parts else _coupled(data, Slope(weights, tuple(coupling)))
        return cls(data, rho, slope, inverse, _factor(matrix, data, typical))

    def solve(self, fx: Tensor, fv: Tensor) -> tuple[Tensor, Tensor]:
        data = self.data
        scaled = self.inverse.times(fv)
        dx = cholesky_solve(self.factor, fx + data.adjoint(self.rho * (scaled - fv)))
        return dx, self.inverse.times(data.forward(dx) - fv)

    def solve_transposed(self, gx: Tensor, gv: Tensor) -> tuple[Tensor, Tensor]:
        data = self.data
        scaled = self.inverse.times(gv)
        lx = cholesky_solve(self.factor, gx + data.adjoint(scaled))
        image = self.rho * data.forward(lx)
        return lx, self.inverse.times(image) - image - scaled


def _coupled(data: DenseBatch, weights: Slope) -> Tensor:
    """:math:`P + K^TWK` for a block diagonal W."""
    rows = weights.times_rows(data.K)
    matrix = torch.matmul(data.KT, rows)
    return matrix if data.P is None else matrix + data.P.dense()


def _factor(matrix: Tensor, data: DenseBatch, typical: Tensor) -> Tensor:
    """The Cholesky factor of the matrix with a little added to the diagonal, more where it breaks down."""
    size = typical_size(data, typical)
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    diagonal += REGULARISATION * size
    factor, info = torch.linalg.cholesky_ex(matrix)
    broken = info > 0
    if bool(broken.any()):
        diagonal += torch.where(broken[..., None], FALLBACK * size + 1e-12 * diagonal, 0.0)
        factor = torch.linalg.cholesky_ex(matrix)[0]
    return factor
