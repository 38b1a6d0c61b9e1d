"""Dense direct solves: a Cholesky factorisation of the reduced system."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.linear_solve.base import LinearSolve
from cvxprox.operators import as_dense
from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class DenseFactor:
    """The matrices, the Cholesky factor L and the penalties."""

    P: Tensor
    K: Tensor
    factor: Tensor
    rho: Tensor


class DenseCholesky(LinearSolve):
    r"""Solve :math:`(P + \Sigma + K^T R K)\, x = f + K^T R r` by Cholesky, on any device."""

    name = "dense Cholesky"

    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> DenseFactor:
        """Form and factor the matrix."""
        K = as_dense(program.K).to(program.q)
        P = torch.zeros(K.shape[1], K.shape[1]).to(K) if program.P is None else as_dense(program.P).to(K)
        return self._factor(P, K, sigma, rho)

    def update(self, state: DenseFactor, program: ProxProgram, sigma: Tensor, rho: Tensor) -> DenseFactor:
        """Factor for new penalties."""
        return self._factor(state.P, state.K, sigma, rho)

    def _factor(self, P: Tensor, K: Tensor, sigma: Tensor, rho: Tensor) -> DenseFactor:
        matrix = P + torch.diag(sigma) + K.mT @ (rho[:, None] * K)
        return DenseFactor(P, K, torch.linalg.cholesky(matrix), rho)

    def solve(self, state: DenseFactor, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Two triangular solves and two products."""
        rhs = f + state.K.mT @ (state.rho * r)
        x = torch.cholesky_solve(rhs[:, None], state.factor)[:, 0]
        return x, state.K @ x - r
