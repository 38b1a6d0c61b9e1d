"""ADMM for a batch of dense programs, with one vector a sample as its state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.functions import Steps
from cvxprox.differentiation.dense.matrices import cholesky_solve, times

BIAS = 1e-10
"""Added to the matrix of the linear system, relative to its diagonal."""

TALL = 2
"""More rows than this many times the variables: two thin products take less than a square one."""


@dataclass(frozen=True)
class WForm:
    r"""ADMM without a proximal term, for given penalties.

    The state is :math:`v = z + R^{-1}y`. With :math:`H = P + K^TRK`, an iteration is

    .. math:: v \leftarrow v + \alpha\,(M(2\,\mathrm{prox}(v) - v) + c - \mathrm{prox}(v)), \qquad
              M = KH^{-1}K^TR,\quad c = b - Mb - KH^{-1}q,

    one prox and one product with a matrix for all samples.

    Attributes
    ----------
    data : DenseBatch
    rho : Tensor, shape (m,) or (B, m)
    steps : tuple
        Of the functions.
    factor : Tensor
        The Cholesky factor of H.
    maps : tuple of Tensor
        Matrices whose product, from the left to the right, is the transpose of M.
    shift : Tensor, shape (B, m)
        c.

    References
    ----------
    Stellato et al., *OSQP* (2020), section 3; Giselsson and Boyd, *Linear convergence and metric selection
    for Douglas-Rachford splitting and ADMM* (2017), for the form with one vector.
    """

    data: DenseBatch
    rho: Tensor
    steps: Steps
    factor: Tensor
    maps: tuple[Tensor, ...]
    shift: Tensor

    @classmethod
    def of(cls, data: DenseBatch, rho: Tensor) -> WForm:
        """Factor the linear system and form M."""
        matrix = data.gram(rho)
        diagonal = matrix.diagonal(dim1=-2, dim2=-1)
        diagonal += BIAS * torch.where(diagonal > 0, diagonal, 1.0)
        factor = torch.linalg.cholesky_ex(matrix)[0]
        maps = _maps(data, rho, factor)
        moved = -data.b
        for matrix in maps:
            moved = times(moved, matrix)
        shift = data.b + moved - data.forward(cholesky_solve(factor, data.q))
        return cls(data, rho, data.functions.steps(rho), factor, maps, shift)

    def iterate(self, v: Tensor, count: int, alpha: float) -> Tensor:
        """The state after `count` iterations from `v`, which is overwritten."""
        z, r, shift = torch.empty_like(v), torch.empty_like(v), alpha * self.shift
        *first, last = self.maps
        prox, steps = self.data.functions.prox, self.steps
        for _ in range(count):
            prox(v, steps, z)
            torch.lerp(v, z, 2.0, out=r)
            moved = r
            for matrix in first:
                moved = times(moved, matrix)
            v.sub_(z, alpha=alpha).add_(shift)
            if last.dim() == 2:
                v.addmm_(moved, last, alpha=alpha)
            else:
                v.unsqueeze(1).baddbmm_(moved.unsqueeze(1), last, alpha=alpha)
        return v

    def point(self, v: Tensor) -> Point:
        """z and y of the state, and x from the linear system."""
        data = self.data
        z = data.functions.prox(v, self.steps, torch.empty_like(v))
        y = self.rho * (v - z)
        target = self.rho * (2 * z - v - data.b)
        return Point(cholesky_solve(self.factor, data.adjoint(target) - data.q), z, y)


def _maps(data: DenseBatch, rho: Tensor, factor: Tensor) -> tuple[Tensor, ...]:
    rho = rho.unsqueeze(-1)
    if data.selector is not None:
        column, value = data.selector.column, data.selector.value
        inverse = torch.cholesky_inverse(factor)
        inverse = inverse[..., column[:, None], column]
        return (rho * value.unsqueeze(-1) * inverse * value.unsqueeze(-2),)
    m, n = data.K.shape[-2:]
    if m > TALL * n:
        return rho * data.K, torch.cholesky_solve(data.KT.expand(*factor.shape[:-2], n, m), factor)
    identity = torch.eye(n, dtype=factor.dtype, device=factor.device).expand_as(factor)
    half = data.K @ torch.linalg.solve_triangular(factor, identity, upper=False).mT
    return (rho * (half @ half.mT),)
