"""A quadratic form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True, eq=False)
class QuadForm(ProxFunction):
    r"""The quadratic form :math:`f(x) = x^T Q x`, without a ½.

    .. math:: \mathrm{prox}_{tf}(v) = (I + 2tQ)^{-1} v = U\,(I + 2t\Lambda)^{-1} U^T v,
              \qquad Q = U \Lambda U^T

    The eigenvectors are computed once and serve every `t`; when `Q` is differentiated, the linear
    system is solved instead.

    Parameters
    ----------
    Q : Tensor
        Shape (..., n, n), symmetric positive semidefinite; leading dimensions broadcast against the batch.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.1.1.
    """

    Q: Tensor
    ndim: ClassVar[int] = 1

    @cached_property
    def _eigen(self) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(self.Q.detach())
        return values.clamp(min=0.0), vectors

    def value(self, x: Tensor) -> Tensor:
        return ((x[..., None, :] @ self.Q)[..., 0, :] * x).sum(dim=-1)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        if self.Q.requires_grad:
            identity = torch.eye(v.shape[-1], dtype=v.dtype, device=v.device)
            return torch.linalg.solve(identity + 2 * t[..., None] * self.Q, v[..., None])[..., 0]
        values, vectors = self._eigen
        if vectors.dim() == 2:
            return ((v @ vectors) / (1 + 2 * t * values)) @ vectors.mT
        return (vectors @ ((vectors.mT @ v[..., None])[..., 0] / (1 + 2 * t * values))[..., None])[..., 0]

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        values, vectors = self._eigen
        shrink = (1 / (1 + 2 * self.expand(t, v) * values)).expand(v.shape)
        return (vectors * shrink[..., None, :]) @ vectors.mT

    def recession_domain(self, d: Tensor) -> Tensor:
        return d - self._curved_part(d)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(self._curved_part(d), tol, 1), d)

    def _curved_part(self, d: Tensor) -> Tensor:
        """The projection of `d` onto the range of `Q`."""
        values, vectors = self._eigen
        curved = values > values.amax(dim=-1, keepdim=True) * d.shape[-1] * torch.finfo(d.dtype).eps
        coordinates = (vectors.mT @ d[..., None])[..., 0] * curved
        return (vectors @ coordinates[..., None])[..., 0]

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 1), y)
