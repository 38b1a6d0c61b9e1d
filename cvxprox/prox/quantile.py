"""The quantile loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True, eq=False)
class Quantile(ProxFunction):
    r"""The quantile ("pinball") loss :math:`f(x) = \max(\tau x,\; (\tau - 1) x)`.

    .. math:: \mathrm{prox}_{tf}(v) = v - \min\bigl(\max(v, -(1 - \tau) t),\; \tau t\bigr)

    Parameters
    ----------
    tau : Tensor or float
        In [0, 1]; broadcasts against `x`.

    References
    ----------
    Koenker and Bassett, *Regression Quantiles* (1978), section 3.
    """

    tau: Tensor | float
    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        tau = self.expand(self.tau, x)
        return torch.where(x > 0, tau, tau - 1) * x

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t, tau = self.expand(t, v), self.expand(self.tau, v)
        return v - torch.clamp(v, (tau - 1) * t, tau * t)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        t, tau = self.expand(t, v), self.expand(self.tau, v)
        return ((v < (tau - 1) * t) | (v > tau * t)).to(v.dtype)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.value(d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
