"""The hinge loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True)
class Hinge(ProxFunction):
    r"""The hinge loss :math:`f(x) = \max(1 - x, 0)`.

    .. math:: \mathrm{prox}_{tf}(v) = v + \min(\max(1 - v, 0), t)

    References
    ----------
    Chierchia, Chouzenoux, Combettes and Pesquet, *The Proximity Operator Repository*, "hinge loss".
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return (1 - x).clamp(min=0.0)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        # v itself beyond the kink, 1 itself at it
        return torch.where(v > 1, v, (v + t).clamp(max=1.0))

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return ((v > 1) | (v + t < 1)).to(v.dtype)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return (-d).clamp(min=0.0)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
