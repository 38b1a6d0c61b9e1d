"""The negative entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.wright_omega import wright_omega


@dataclass(frozen=True)
class NegEntropy(ProxFunction):
    r"""The negative entropy :math:`f(x) = x \log x`, on :math:`x \ge 0` with :math:`0 \log 0 = 0`.

    .. math:: \mathrm{prox}_{tf}(v) = t\, W\bigl(e^{v/t - 1} / t\bigr)

    References
    ----------
    Chierchia, Chouzenoux, Combettes and Pesquet, *The Proximity Operator Repository*, "entropy".
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        inside = x >= 0
        return torch.where(inside, torch.xlogy(x, torch.where(inside, x, 1.0)), torch.inf)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        return t * wright_omega(v / t - 1 - t.log())

    def recession_domain(self, d: Tensor) -> Tensor:
        return torch.zeros_like(d)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(d, tol, 0), d)  # superlinear

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(y <= tol, y)
