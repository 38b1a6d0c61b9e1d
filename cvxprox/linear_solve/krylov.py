"""What the iterative solves share: the system, its tolerance and the warm start."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.linear_solve.implicit import ImplicitSolve, System
from cvxprox.linear_solve.pieces import Weight, piece_weights, pieces
from cvxprox.linear_solve.preconditioner import Preconditioner, choose_preconditioner
from cvxprox.operators.base import plain
from cvxprox.program import ProxProgram


@dataclass
class KrylovState:
    """The system with its preconditioner, the last solution (the next warm start), and counts.

    All tensors may have leading batch dimensions; every sample is a system of its own.

    Attributes
    ----------
    sigma, rho : Tensor
        Without graphs.
    weights : tuple or None
        The penalties of the pieces of K; None if they vary within one.
    system : System
        With the graphs of all numbers.
    calls, iterations, last : int
        Solves, and iterations of all of them and of the last one.
    """

    program: ProxProgram
    sigma: Tensor
    rho: Tensor
    weights: tuple[Weight, ...] | None
    system: System
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
class Krylov(ImplicitSolve):
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

    exact: ClassVar[bool] = False

    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> KrylovState:
        """Choose the preconditioner and factor it."""
        start = torch.zeros_like(plain(program.q))
        return _factored(program, sigma, rho, choose_preconditioner(program), start)

    def update(self, state: KrylovState, program: ProxProgram, sigma: Tensor, rho: Tensor) -> KrylovState:
        """New penalties, the old warm start."""
        new = _factored(program, sigma, rho, state.preconditioner, state.solution)
        new.calls, new.iterations, new.last = state.calls, state.iterations, state.last
        return new

    def solve_plain(self, state: KrylovState, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Iterate from the last solution."""
        state.calls += 1
        rhs = state.right_hand_side(f, r)
        floor = max(self.floor, torch.finfo(rhs.dtype).eps)
        tolerance = max(self.tolerance * state.calls**-1.5, floor)
        start = state.solution.expand_as(rhs)
        state.solution, state.last = self.iterate(state, rhs, start, tolerance)
        state.iterations += state.last
        return state.solution, state.program.K.forward(state.solution) - r

    def apply_inverse(self, state: KrylovState, f: Tensor) -> Tensor:
        """From zero, to the smallest residual."""
        fresh = replace(state, calls=1)
        return self.iterate(fresh, f, torch.zeros_like(f), max(self.floor, torch.finfo(f.dtype).eps))[0]

    @abc.abstractmethod
    def iterate(self, state: KrylovState, rhs: Tensor, x: Tensor, tolerance: float) -> tuple[Tensor, int]:
        """The solution to a relative `tolerance` from the start `x`, and the number of iterations."""


def _factored(
    program: ProxProgram, sigma: Tensor, rho: Tensor, preconditioner: Preconditioner, start: Tensor
) -> KrylovState:
    system, sigma, rho = System(program, sigma, rho), plain(sigma), plain(rho)
    weights = piece_weights(program.K, rho)
    with torch.no_grad():
        factor = preconditioner.factor(program, _of_one(sigma), _of_one(rho))
    return KrylovState(program, sigma, rho, weights, system, preconditioner, factor, start)


def _of_one(values: Tensor) -> Tensor:
    """The geometric mean over a batch."""
    return values if values.dim() == 1 else values.reshape(-1, values.shape[-1]).log().mean(0).exp()


def dots(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of every sample, in a shape that broadcasts against it."""
    return a @ b if a.dim() == 1 else (a * b).sum(-1, keepdim=True)


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``; with a batch, zero where b is: samples that are solved wait for the others."""
    return a / b if not b.dim() else torch.where(b == 0, 0.0, a / torch.where(b == 0, 1.0, b))
