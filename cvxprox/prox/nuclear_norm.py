"""The nuclear norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.singular import soft_threshold_singular_values


@dataclass(frozen=True)
class NuclearNorm(ProxFunction):
    r"""The nuclear norm :math:`f(X) = \sum_i \sigma_i(X)`.

    .. math:: \mathrm{prox}_{tf}(V) = U \mathrm{diag}(\max(\sigma - t, 0))\, W^T, \qquad
              V = U \mathrm{diag}(\sigma)\, W^T

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.7.3.
    """

    ndim: ClassVar[int] = 2
    twice: ClassVar[bool] = False

    def value(self, x: Tensor) -> Tensor:
        return torch.linalg.svdvals(x).sum(dim=-1)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        level = t[..., 0] if t.dim() else t
        return soft_threshold_singular_values(v, lambda _: level)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.value(d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 2), y)
