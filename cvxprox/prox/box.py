"""The indicator of a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import zero_or_inf
from cvxprox.prox.step import as_number, clip


@dataclass(frozen=True, eq=False)
class Box(ProxFunction):
    r"""The indicator of the interval :math:`l \le x \le u`.

    .. math:: \mathrm{prox}_{tf}(v) = \min(\max(v, l), u)

    The zero cone is :math:`l = u = 0`, the nonnegative cone :math:`l = 0,\; u = \infty`.

    Parameters
    ----------
    lower, upper : Tensor
        :math:`l \le u`, of the dtype of the points; ``-inf`` and ``inf`` where there is no bound.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.2.4.
    """

    lower: Tensor
    upper: Tensor
    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return clip(v, as_number(self.lower, v), as_number(self.upper, v))

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return ((v > self.lower) & (v < self.upper)).to(v.dtype)

    def domain_recession(self, d: Tensor) -> Tensor:
        d = torch.where(self.upper == torch.inf, d, d.clamp(max=0.0))
        return torch.where(self.lower == -torch.inf, d, d.clamp(min=0.0))

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        inside = ((d <= tol) | (self.upper == torch.inf)) & ((d >= -tol) | (self.lower == -torch.inf))
        return zero_or_inf(inside, d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        # inf * 0 is nan, so a violation within tol is made zero and its bound finite.
        above = torch.where(y <= tol, y.clamp(max=0.0), y) if tol else y
        y = torch.where(self.upper == torch.inf, above, y)
        below = torch.where(y >= -tol, y.clamp(min=0.0), y) if tol else y
        y = torch.where(self.lower == -torch.inf, below, y)
        bound = torch.where(y > 0, self.upper, self.lower)
        return torch.where(y == 0, 0.0, bound) * y
