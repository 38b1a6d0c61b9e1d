"""The binary numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.nonconvex import NonConvexFunction


@dataclass(frozen=True)
class Binary(NonConvexFunction):
    r"""The indicator of :math:`\{0, 1\}`. The prox rounds, and its derivative is zero.

    References
    ----------
    Diamond, Takapoui and Boyd, *A general system for heuristic minimization of convex functions over
    non-convex sets* (2018), section 3.
    """

    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return (v > 0.5).to(v.dtype)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return torch.zeros_like(v)
