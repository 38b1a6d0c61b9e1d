"""The square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.step import as_number


@dataclass(frozen=True)
class Square(ProxFunction):
    r"""The square :math:`f(x) = x^2`, without a ½.

    .. math:: \mathrm{prox}_{tf}(v) = \frac{v}{1 + 2t}

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.1.1.
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return x.square()

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return v * (1 / (1 + 2 * as_number(t, v)))

    def recession_domain(self, d: Tensor) -> Tensor:
        return torch.zeros_like(d)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(d, tol, 0), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
