"""The absolute value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, tracked, zero_or_inf
from cvxprox.prox.step import as_number, clip


@dataclass(frozen=True)
class Abs(ProxFunction):
    r"""The absolute value :math:`f(x) = |x|`; summed, the l1 norm.

    .. math:: \mathrm{prox}_{tf}(v) = v - \min(\max(v, -t), t) = \mathrm{sign}(v)\max(|v| - t, 0)

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.5.2.
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return x.abs()

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = as_number(t, v)
        clipped = clip(v, -t, t)
        return v - clipped if tracked(v, t) else torch.sub(v, clipped, out=clipped)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return (v.abs() > t).to(v.dtype)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return d.abs()

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
