"""The Huber function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.step import as_number, clip


@dataclass(frozen=True, eq=False)
class Huber(ProxFunction):
    r"""The Huber function of CVXPY, twice the usual one.

    .. math:: f(x) = \begin{cases} x^2 & |x| \le M \\ 2M|x| - M^2 & |x| > M \end{cases}

    .. math:: \mathrm{prox}_{tf}(v) = v - 2t\,\min\bigl(\max\bigl(\tfrac{v}{1 + 2t}, -M\bigr), M\bigr)

    Parameters
    ----------
    m : Tensor or float
        :math:`M > 0`; broadcasts against `x`.

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), section 6.7.
    """

    m: Tensor | float = 1.0
    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        size = x.abs()
        return torch.where(size <= self.m, x.square(), 2 * self.m * size - self.m**2)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        number, bound = as_number(t, v), as_number(self.m, v)
        if not isinstance(number, Tensor) and not isinstance(bound, Tensor):
            inner = clip(v, -bound * (1 + 2 * number), bound * (1 + 2 * number))
            return (v - inner).add_(inner, alpha=1 / (1 + 2 * number))
        t = self.expand(t, v)
        m = self.expand(self.m, v)
        return torch.where(v.abs() <= m * (1 + 2 * t), v / (1 + 2 * t), v - 2 * t * m * v.sign())

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        return torch.where(v.abs() < self.m * (1 + 2 * t), 1 / (1 + 2 * t), 1.0)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return 2 * self.m * d.abs()

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
