"""The logistic function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, tracked, zero_or_inf
from cvxprox.prox.exponential import exp_prox


@dataclass(frozen=True)
class Logistic(ProxFunction):
    r"""The logistic function :math:`f(x) = \log(1 + e^x)`.

    The prox is the root of :math:`x + t\,\sigma(x) = v`, :math:`\sigma(x) = 1/(1 + e^{-x})`. By
    :math:`\sigma(-x) = 1 - \sigma(x)` the root for :math:`v > t/2` is minus the one for
    :math:`t - v`, so let :math:`v \le t/2`, where :math:`x \le 0`. There
    :math:`\tfrac12 e^x \le \sigma(x) \le e^x`, so the root lies within :math:`\log 2` below that of
    :math:`x + \tfrac t2 e^x = v`, and Halley's iteration from there is exact to rounding in three steps.

    References
    ----------
    Briceño-Arias, Chierchia, Chouzenoux and Pesquet, *A random block-coordinate Douglas–Rachford
    splitting method with low computational complexity for binary logistic regression* (2019), section 3.
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return F.softplus(x, threshold=40.0)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        with torch.no_grad():
            mirrored = 2 * v > t
            target = torch.minimum(v, t - v)
            x = exp_prox(target, t.log() - math.log(2)).clamp(max=0.0)
            for _ in range(3):
                p = x.sigmoid()
                slope = t * p * (1 - p)
                residual = x + t * p - target
                x = x - residual / (1 + slope - residual * slope * (0.5 - p) / (1 + slope))
            x = torch.where(mirrored, -x, x)
        if not tracked(v, t):
            return x
        for _ in range(2):  # every step of Newton's method with a fixed slope gives one derivative more
            p = x.sigmoid()
            x = x - (x + t * p - v) / (1 + (t * p * (1 - p)).detach())
        return x

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return d.clamp(min=0.0)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 0), y)
