"""Matrix-free solves by the minimal residual method."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.linear_solve.krylov import Krylov, KrylovState, dots, quotient


@dataclass(frozen=True)
class MINRES(Krylov):
    r"""Preconditioned MINRES on the same symmetric system as `ConjugateGradient`.

    The residual decreases in every iteration, in the norm :math:`\|r\|_{M^{-1}}` of the preconditioner, which
    the tolerance is relative in; so an early stop is never worse than the warm start. The matrix may be
    singular or indefinite (P of a nonconvex term); conjugate gradients ask for a definite one.
    The quasi-definite form in (x, ν) would have the square root of the condition number, but its
    preconditioner needs the inverse of a Schur complement that is no closer than the matrix here,
    for which spectral preconditioners are known.

    References
    ----------
    Paige and Saunders, *Solution of sparse indefinite systems of linear equations* (1975);
    Greenbaum, *Iterative Methods for Solving Linear Systems* (1997), algorithm 4 and section 8.1.
    """

    name = "minimal residuals"

    def iterate(self, state: KrylovState, rhs: Tensor, x: Tensor, tolerance: float) -> tuple[Tensor, int]:
        """One product with the matrix, one preconditioner and one test on the host per iteration."""
        target = tolerance * _norm(rhs, state.precondition(rhs))
        v = rhs - state.apply(x) if state.calls > 1 else rhs  # the first start is zero
        z = state.precondition(v)
        beta = eta = _norm(v, z)
        zero, one = torch.zeros_like(beta), torch.ones_like(beta)
        v_old = w = w_old = torch.zeros_like(x)
        beta_old = one
        cos_old, cos, sin_old, sin = one, one, zero, zero
        for count in range(self.max_iter):
            if bool((eta.abs() <= target).all()):
                return x, count
            # Lanczos: v and z = M⁻¹v scaled by beta
            q = quotient(z, beta)
            image = state.apply(q)
            alpha = dots(q, image)
            v_new = image - quotient(alpha, beta) * v - quotient(beta, beta_old) * v_old
            z = state.precondition(v_new)
            beta_new = _norm(v_new, z)
            # the QR factors of the tridiagonal matrix, by Givens rotations
            delta = cos * alpha - cos_old * sin * beta
            rho = torch.hypot(delta, beta_new)
            second, third = sin * alpha + cos_old * cos * beta, sin_old * beta
            cos_old, cos = cos, quotient(delta, rho)
            sin_old, sin = sin, quotient(beta_new, rho)
            w, w_old = quotient(q - third * w_old - second * w, rho), w
            x = torch.addcmul(x, w, cos * eta)
            eta = -sin * eta
            v_old, v = v, v_new
            beta_old, beta = beta, beta_new
        return x, self.max_iter


def _norm(v: Tensor, z: Tensor) -> Tensor:
    return dots(v, z).clamp_min(0).sqrt()
