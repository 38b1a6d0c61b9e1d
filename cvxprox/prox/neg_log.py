"""The negative logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import zero_or_inf


@dataclass(frozen=True)
class NegLog(ProxFunction):
    r"""The negative logarithm :math:`f(x) = -\log x`, on :math:`x > 0`.

    .. math:: \mathrm{prox}_{tf}(v) = \tfrac12\bigl(v + \sqrt{v^2 + 4t}\bigr)

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.1.3.
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        inside = x > 0
        return torch.where(inside, -torch.where(inside, x, 1.0).log(), torch.inf)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        negative = v < 0
        # abs() would have derivative 0 at 0, where this branch needs 1
        larger = (torch.where(negative, -v, v) + torch.hypot(v, 2 * t.sqrt())) / 2
        return torch.where(negative, t / larger, larger)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(d >= -tol, d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(y <= tol, y)
