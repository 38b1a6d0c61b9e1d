"""Matrix-free solves by preconditioned conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.linear_solve.krylov import Krylov, KrylovState, dots, quotient


@dataclass(frozen=True)
class ConjugateGradient(Krylov):
    """Preconditioned conjugate gradients; the tolerance is on the 2-norm of the residual.

    References
    ----------
    Saad, *Iterative Methods for Sparse Linear Systems* (2003), algorithm 9.1.
    """

    name = "conjugate gradients"

    def iterate(self, state: KrylovState, rhs: Tensor, x: Tensor, tolerance: float) -> tuple[Tensor, int]:
        """One product with the matrix, one preconditioner and one test on the host per iteration."""
        target = tolerance * torch.linalg.vector_norm(rhs, dim=-1)
        residual = rhs - state.apply(x) if state.calls > 1 else rhs  # the first start is zero
        energy = direction = None
        for count in range(self.max_iter):
            if bool((torch.linalg.vector_norm(residual, dim=-1) <= target).all()):
                return x, count
            z = state.precondition(residual)
            energy, old = dots(residual, z), energy
            direction = z if direction is None else torch.addcmul(z, direction, quotient(energy, old))
            image = state.apply(direction)
            step = quotient(energy, dots(direction, image))
            x = torch.addcmul(x, direction, step)
            residual = torch.addcmul(residual, image, step, value=-1)
        return x, self.max_iter
