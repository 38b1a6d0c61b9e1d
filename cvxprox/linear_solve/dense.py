"""Dense direct solves: a Cholesky factorisation of the reduced system."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.linear_solve.base import LinearSolve
from cvxprox.operators import batched_dense
from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class DenseFactor:
    """The matrices, the Cholesky factor L and the penalties."""

    P: Tensor
    K: Tensor
    factor: Tensor
    rho: Tensor


class DenseCholesky(LinearSolve):
    r"""Solve :math:`(P + \Sigma + K^T R K)\, x = f + K^T R r` by Cholesky, on any device.

    Matrices, penalties and right-hand sides may have leading batch dimensions, which broadcast
    against each other. All of it is differentiable by torch.
    """

    name = "dense Cholesky"

    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> DenseFactor:
        """Form and factor the matrix."""
        dims = program.q.dim() - 1
        K = batched_dense(program.K, dims).to(program.q)
        P = (
            K.new_zeros(K.shape[-1], K.shape[-1])
            if program.P is None
            else batched_dense(program.P, dims).to(K)
        )
        return self._factor(P, K, sigma, rho)

    def update(self, state: DenseFactor, program: ProxProgram, sigma: Tensor, rho: Tensor) -> DenseFactor:
        """Factor for new penalties."""
        return self._factor(state.P, state.K, sigma, rho)

    def _factor(self, P: Tensor, K: Tensor, sigma: Tensor, rho: Tensor) -> DenseFactor:
        matrix = P + torch.diag_embed(sigma) + K.mT @ (rho[..., :, None] * K)
        return DenseFactor(P, K, torch.linalg.cholesky(matrix), rho)

    def solve(self, state: DenseFactor, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Two triangular solves and two products."""
        K = state.K
        rhs = f + _product(K.mT, state.rho * r)
        if state.factor.dim() == 2 and rhs.dim() > 1:  # one factor for all samples
            x = torch.cholesky_solve(rhs.reshape(-1, rhs.shape[-1]).mT, state.factor).mT.reshape(rhs.shape)
        else:
            x = torch.cholesky_solve(rhs[..., None], state.factor)[..., 0]
        return x, _product(K, x) - r


def _product(A: Tensor, x: Tensor) -> Tensor:
    """``A x`` for every sample."""
    if A.dim() == 2:
        return x @ A.mT if x.dim() > 1 else A @ x
    return (A @ x[..., None])[..., 0]
