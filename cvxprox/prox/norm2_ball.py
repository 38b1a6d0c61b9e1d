"""The Euclidean ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True, eq=False)
class Norm2Ball(ProxFunction):
    r"""The indicator of :math:`\|x\|_2 \le r`.

    .. math:: \Pi(v) = \min\bigl(1,\; r / \|v\|_2\bigr)\, v

    Parameters
    ----------
    radius : Tensor or float
        :math:`r \ge 0`; broadcasts against the batch.

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), section 6.9.
    """

    radius: Tensor | float
    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        radius = self.expand(self.radius, v)
        size = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        outside = size > radius
        return v * torch.where(outside, radius / torch.where(outside, size, 1.0), 1.0)

    def domain_recession(self, d: Tensor) -> Tensor:
        return torch.zeros_like(d)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(d, tol, 1), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self.radius * torch.linalg.vector_norm(y, dim=-1)
