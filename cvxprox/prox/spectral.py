"""Functions of the eigenvalues of a symmetric matrix, with derivatives by divided differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.prox.domain import is_zero, tracked


@dataclass(frozen=True, eq=False)
class Eigen:
    r"""The decomposition :math:`A = U \Lambda U^T`, linear in a small change of `A`.

    :math:`F(A) = U \mathrm{diag}(p(\lambda)) U^T` has the derivative (Daleckii and Krein)

    .. math:: DF(A)[H] = U \bigl(\mathrm{diag}(Dp\,\mathrm{diag}\,\tilde H) + \Gamma \circ \tilde H\bigr) U^T,
              \quad \tilde H = U^T H U, \quad \Gamma_{ij} = \frac{p_i - p_j}{\lambda_i - \lambda_j},
              \quad \Gamma_{ii} = 0

    which, unlike the derivative of :math:`U`, exists at repeated eigenvalues. Here :math:`\tilde H` is kept
    as :math:`U^T (A - A_0) U` with :math:`A_0 = A` detached: zero, but differentiable in `A`.

    References
    ----------
    Bhatia, *Matrix Analysis* (1997), theorem V.3.3; Lewis and Sendov, *Twice differentiable spectral
    functions* (2001), for functions :math:`p` that couple the eigenvalues.
    """

    values: Tensor
    vectors: Tensor
    change: Tensor | None

    def rebuild(self, p: Tensor, ratios: Callable[[], Tensor]) -> Tensor:
        """F(A), from p and, when it is differentiated, the divided differences off the diagonal."""
        if self.change is None:
            return (self.vectors * p[..., None, :]) @ self.vectors.mT
        off = off_diagonal(ratios().detach()) * self.change
        return self.vectors @ (torch.diag_embed(p) + off) @ self.vectors.mT


def eigen(a: Tensor) -> Eigen:
    """The eigenvalues, differentiable, and eigenvectors of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(a.detach())
    if not tracked(a):
        return Eigen(values, vectors, None)
    change = vectors.mT @ (a - a.detach()) @ vectors
    return Eigen(values + change.diagonal(dim1=-2, dim2=-1), vectors, change)


def symmetrize(a: Tensor) -> Tensor:
    """The symmetric part, the projection on the symmetric matrices."""
    return (a + a.mT) / 2


def is_symmetric(a: Tensor, tol: float) -> Tensor:
    """Whether the antisymmetric part vanishes within `tol`."""
    return is_zero((a - a.mT) / 2, tol, 2)


def is_positive(a: Tensor, tol: float) -> Tensor:
    """Whether the negative part of the symmetric part vanishes within `tol`."""
    values, vectors = torch.linalg.eigh(symmetrize(a))
    return is_zero((vectors * values.clamp(max=0.0)[..., None, :]) @ vectors.mT, tol, 2)


def positive_part_ratios(x: Tensor) -> Tensor:
    """The divided differences of ``max(x, 0)``; 1 between two zeros."""
    part, size = x.clamp(min=0.0), x.abs()
    total = size[..., :, None] + size[..., None, :]
    both = part[..., :, None] + part[..., None, :]
    return torch.where(total > 0, both / torch.where(total > 0, total, 1.0), 1.0)


def off_diagonal(a: Tensor) -> Tensor:
    """The matrix with its diagonal made 0."""
    return a.masked_fill(torch.eye(a.shape[-1], dtype=torch.bool, device=a.device), 0.0)
