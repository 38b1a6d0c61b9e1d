"""The Euclidean ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.ball import Ball


@dataclass(frozen=True, eq=False)
class Norm2Ball(Ball):
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

    ndim: ClassVar[int] = 1

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        radius = self.expand(self.radius, v)
        size = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        outside = size > radius
        return v * torch.where(outside, radius / torch.where(outside, size, 1.0), 1.0)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self.radius * torch.linalg.vector_norm(y, dim=-1)
