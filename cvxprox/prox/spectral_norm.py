"""The spectral norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.singular import soft_threshold_singular_values
from cvxprox.prox.water_level import water_level


@dataclass(frozen=True)
class SpectralNorm(ProxFunction):
    r"""The spectral norm :math:`f(X) = \sigma_{\max}(X)`.

    .. math:: \mathrm{prox}_{tf}(V) = U \mathrm{diag}(\min(\sigma, \theta))\, W^T, \qquad
              \textstyle\sum_i \max(\sigma_i - \theta, 0) = t

    and 0 when :math:`\sum_i \sigma_i \le t`.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.7.3.
    """

    ndim: ClassVar[int] = 2
    twice: ClassVar[bool] = False

    def value(self, x: Tensor) -> Tensor:
        return torch.linalg.svdvals(x)[..., 0]

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        mass = t[..., 0] if t.dim() else t
        return v - soft_threshold_singular_values(v, lambda s: water_level(s, mass).clamp(min=0.0))

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.value(d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 2), y)
