"""The infinity norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.water_level import water_level


@dataclass(frozen=True)
class NormInf(ProxFunction):
    r"""The infinity norm :math:`f(x) = \max_i |x_i|`.

    .. math:: \mathrm{prox}_{tf}(v)_i = \mathrm{sign}(v_i) \min(|v_i|, \theta), \qquad
              \textstyle\sum_i \max(|v_i| - \theta, 0) = t

    and 0 when :math:`\|v\|_1 \le t`.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.5.2.
    """

    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        return x.abs().amax(dim=-1)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        size = v.abs()
        level = water_level(size, self.expand(t, v)).clamp(min=0.0)
        return torch.where(size < level, v, level * v.sign())

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.value(d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 1), y)
