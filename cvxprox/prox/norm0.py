"""The number of nonzero entries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cvxprox.prox.nonconvex import NonConvexFunction
from cvxprox.prox.step import as_number


@dataclass(frozen=True)
class Norm0(NonConvexFunction):
    r"""The number of nonzero entries: :math:`f(x) = 1` for :math:`x \ne 0`, :math:`f(0) = 0`.

    .. math:: \mathrm{prox}_{tf}(v) = v \ \text{ if } |v| > \sqrt{2t}, \text{ else } 0

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), example 6.10.
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return (x != 0).to(x.dtype)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = as_number(t, v)
        if isinstance(t, Tensor):
            return torch.where(v.abs() > (2 * t).sqrt(), v, 0.0)
        return F.hardshrink(v, math.sqrt(2 * t))

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return (v.abs() > (2 * self.expand(t, v)).sqrt()).to(v.dtype)
