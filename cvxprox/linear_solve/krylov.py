"""What the iterative solves share: the system, its tolerance and the warm start."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cvxprox.linear_solve.base import LinearSolve
from cvxprox.linear_solve.pieces import Weight, piece_weights, pieces
from cvxprox.linear_solve.preconditioner import Preconditioner, choose_preconditioner
from cvxprox.program import ProxProgram


@dataclass
class KrylovState:
    """The system with its preconditioner, the last solution (the next warm start), and counts.

    Attributes
    ----------
    weights : tuple or None
        The penalties of the pieces of K; None if they vary within one.
    calls, iterations, last : int
        Solves, and iterations of all of them and of the last one.
    """

    program: ProxProgram
    sigma: Tensor
    rho: Tensor
    weights: tuple[Weight, ...] | None
    preconditioner: Preconditioner
    factor: Any
    solution: Tensor
    calls: int = 0
    iterations: int = 0
    last: int = 0

    def apply(self, x: Tensor) -> Tensor:
        r""":math:`(P + \Sigma + K^TRK)\,x`."""
        result = self.sigma * x
        if self.program.P is not None:
            result = result + self.program.P.forward(x)
        K = self.program.K
        if self.weights is None:
            return result + K.adjoint(self.rho * K.forward(x))
        for piece, weight in zip(pieces(K), self.weights, strict=True):
            result = _axpy(result, weight, piece.adjoint(piece.forward(x)))
        return result

    def right_hand_side(self, f: Tensor, r: Tensor) -> Tensor:
        r""":math:`f + K^TRr`."""
        K = self.program.K
        if self.weights is None or len(self.weights) != 1:
            return f + K.adjoint(self.rho * r)
        return _axpy(f, self.weights[0], K.adjoint(r))

    def precondition(self, residual: Tensor) -> Tensor:
        """The preconditioner's approximate solution."""
        return self.preconditioner.apply(self.factor, residual)


def _axpy(y: Tensor, weight: Weight, x: Tensor) -> Tensor:
    return y + weight * x if isinstance(weight, Tensor) else torch.add(y, x, alpha=weight)


@dataclass(frozen=True)
class Krylov(LinearSolve):
    r"""Solve :math:`(P + \Sigma + K^T R K)\, x = f + K^T R r` by a preconditioned Krylov method.

    Warm-started at the previous solution. The residual is brought below
    ``tolerance * min(1, k**-1.5)`` of the right-hand side in the k-th call: summable errors keep
    the convergence of ADMM (Eckstein and Bertsekas, 1992).

    Where K and P are matrices the preconditioner is the diagonal. Otherwise it is the matrix with every
    term that has no spectrum in a variable's fast basis replaced by its mean eigenvalue
    (`SpectralPreconditioner`).

    Parameters
    ----------
    tolerance : float
        Relative residual of the first call.
    floor : float
        Smallest relative residual asked for; at least the unit of roundoff.
    max_iter : int
        Iterations in one call at most.
    """

    tolerance: float = 1e-2
    floor: float = 1e-12
    max_iter: int = 500

    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> KrylovState:
        """Choose the preconditioner and factor it."""
        start = torch.zeros_like(program.q)
        return _factored(program, sigma, rho, choose_preconditioner(program), start)

    def update(self, state: KrylovState, program: ProxProgram, sigma: Tensor, rho: Tensor) -> KrylovState:
        """New penalties, the old warm start."""
        new = _factored(program, sigma, rho, state.preconditioner, state.solution)
        new.calls, new.iterations, new.last = state.calls, state.iterations, state.last
        return new

    def solve(self, state: KrylovState, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Iterate from the last solution."""
        state.calls += 1
        rhs = state.right_hand_side(f, r)
        floor = max(self.floor, torch.finfo(rhs.dtype).eps)
        tolerance = max(self.tolerance * state.calls**-1.5, floor)
        state.solution, state.last = self.iterate(state, rhs, state.solution, tolerance)
        state.iterations += state.last
        return state.solution, state.program.K.forward(state.solution) - r

    @abc.abstractmethod
    def iterate(self, state: KrylovState, rhs: Tensor, x: Tensor, tolerance: float) -> tuple[Tensor, int]:
        """The solution to a relative `tolerance` from the start `x`, and the number of iterations."""


def _factored(
    program: ProxProgram, sigma: Tensor, rho: Tensor, preconditioner: Preconditioner, start: Tensor
) -> KrylovState:
    weights = piece_weights(program.K, rho)
    factor = preconditioner.factor(program, sigma, rho)
    return KrylovState(program, sigma, rho, weights, preconditioner, factor, start)
