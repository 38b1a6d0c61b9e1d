"""The positive part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True)
class Positive(ProxFunction):
    r"""The positive part :math:`f(x) = \max(x, 0)`.

    .. math:: \mathrm{prox}_{tf}(v) = v - \min(\max(v, 0), t)

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), section 6.9.
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return x.clamp(min=0.0)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        return v - torch.clamp(v, torch.zeros_like(t), t)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return ((v < 0) | (v > t)).to(v.dtype)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return d.clamp(min=0.0)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
