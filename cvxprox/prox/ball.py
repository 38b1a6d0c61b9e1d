"""What the indicators of norm balls share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True, eq=False)
class Ball(ProxFunction):
    r"""The indicator of :math:`\|x\| \le r` for some norm: a bounded set.

    Parameters
    ----------
    radius : Tensor or float
        :math:`r \ge 0`; broadcasts against the batch.
    """

    radius: Tensor | float

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.dim() - self.ndim])

    def domain_recession(self, d: Tensor) -> Tensor:
        return torch.zeros_like(d)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(d, tol, self.ndim), d)
