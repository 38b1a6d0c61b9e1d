"""Matrix-free solves by preconditioned conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cvxprox.linear_solve.base import LinearSolve
from cvxprox.operators import diagonal, weighted_column_norms
from cvxprox.program import ProxProgram


@dataclass
class CGState:
    """The system, its Jacobi preconditioner and the last solution, the next warm start."""

    program: ProxProgram
    sigma: Tensor
    rho: Tensor
    jacobi: Tensor
    solution: Tensor
    calls: int = field(default=0)


@dataclass(frozen=True)
class ConjugateGradient(LinearSolve):
    r"""Solve :math:`(P + \Sigma + K^T R K)\, x = f + K^T R r` by Jacobi-preconditioned CG.

    Warm-started at the previous solution. The residual is brought below
    ``tolerance * min(1, k**-1.5)`` of the right-hand side in the k-th call: summable errors keep
    the convergence of ADMM (Eckstein and Bertsekas, 1992).

    Parameters
    ----------
    tolerance : float
        Relative residual of the first call.
    floor : float
        Smallest relative residual asked for.
    max_iter : int
        Iterations in one call at most.
    """

    tolerance: float = 1e-2
    floor: float = 1e-12
    max_iter: int = 500

    name = "conjugate gradients"

    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> CGState:
        """The diagonal of the matrix is the preconditioner."""
        scale = sigma + weighted_column_norms(program.K, rho)
        if program.P is not None:
            scale = scale + diagonal(program.P)
        return CGState(program, sigma, rho, 1 / scale, torch.zeros_like(program.q))

    def update(self, state: CGState, program: ProxProgram, sigma: Tensor, rho: Tensor) -> CGState:
        """New penalties, the old warm start."""
        new = self.init(program, sigma, rho)
        new.solution, new.calls = state.solution, state.calls
        return new

    def solve(self, state: CGState, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """CG from the last solution."""
        K = state.program.K
        state.calls += 1
        rhs = f + K.adjoint(state.rho * r)
        x = state.solution.clone()
        residual = rhs - self._apply(state, x)
        target = max(self.tolerance * state.calls**-1.5, self.floor) * float(rhs.norm())
        z = state.jacobi * residual
        direction, energy = z.clone(), residual @ z
        for _ in range(self.max_iter):
            if float(residual.norm()) <= target:
                break
            image = self._apply(state, direction)
            step = energy / (direction @ image)
            x += step * direction
            residual -= step * image
            z = state.jacobi * residual
            energy, old = residual @ z, energy
            direction = z + (energy / old) * direction
        state.solution = x
        return x, K.forward(x) - r

    def _apply(self, state: CGState, x: Tensor) -> Tensor:
        K = state.program.K
        return state.program.quadratic(x) + state.sigma * x + K.adjoint(state.rho * K.forward(x))
