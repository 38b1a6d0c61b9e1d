"""An affine set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True, eq=False)
class AffineSet(ProxFunction):
    r"""The indicator of :math:`\{x : A x = b\}`, which must not be empty.

    .. math:: \Pi(v) = v - A^+ (A v - b)

    with :math:`A^+` the pseudoinverse, so that redundant equations do no harm. It is computed once,
    unless `A` is differentiated.

    Parameters
    ----------
    A : Tensor
        Shape (..., m, n); leading dimensions broadcast against the batch.
    b : Tensor
        Shape (..., m), in the range of `A`.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.2.1.
    """

    A: Tensor
    b: Tensor
    ndim: ClassVar[int] = 1

    @cached_property
    def _fixed_pinv(self) -> Tensor:
        return torch.linalg.pinv(self.A.detach())

    @property
    def pinv(self) -> Tensor:
        """The pseudoinverse of `A`."""
        return torch.linalg.pinv(self.A) if self.A.requires_grad else self._fixed_pinv

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return v - _matvec(self.pinv, _matvec(self.A, v) - self.b)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        size = v.shape[-1]
        identity = torch.eye(size, dtype=v.dtype, device=v.device)
        return (identity - self.pinv @ self.A).expand(*v.shape[:-1], size, size)

    def domain_recession(self, d: Tensor) -> Tensor:
        return d - _matvec(self.pinv, _matvec(self.A, d))

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(_matvec(self.pinv, _matvec(self.A, d)), tol, 1), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        multiplier = _matvec(self.pinv.mT, y)
        in_range = is_zero(y - _matvec(self.A.mT, multiplier), tol, 1)
        return zero_or_inf(in_range, y) + (self.b * multiplier).sum(dim=-1)


def _matvec(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrices times vectors, where one matrix may serve a batch of vectors."""
    return x @ matrix.mT if matrix.dim() == 2 else (matrix @ x[..., None])[..., 0]
