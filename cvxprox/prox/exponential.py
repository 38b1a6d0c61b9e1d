"""The exponential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.wright_omega import wright_omega


def exp_prox(v: Tensor, log_t: Tensor) -> Tensor:
    r"""The root `x` of :math:`x + t e^x = v`."""
    w = wright_omega(v + log_t)
    # w = v - x = t exp(x): each form is accurate where the other cancels or underflows.
    return torch.where(w > 1, w.log() - log_t, v - w)


@dataclass(frozen=True)
class Exp(ProxFunction):
    r"""The exponential :math:`f(x) = e^x`.

    .. math:: \mathrm{prox}_{tf}(v) = v - W(t e^v)

    with :math:`W` the Lambert function, evaluated as :math:`\omega(v + \log t)` without overflow.

    References
    ----------
    Chierchia, Chouzenoux, Combettes and Pesquet, *The Proximity Operator Repository*, "exponential".
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return x.exp()

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return exp_prox(v, self.expand(t, v).log())

    def recession_domain(self, d: Tensor) -> Tensor:
        return d.clamp(max=0.0)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(d <= tol, d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
