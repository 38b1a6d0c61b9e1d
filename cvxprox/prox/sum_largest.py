"""The sum of the largest entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


@dataclass(frozen=True)
class SumLargest(ProxFunction):
    r"""The sum of the `k` largest entries, :math:`f(x) = \max\{y^T x : 0 \le y \le 1,\; \sum_i y_i = k\}`.

    A fraction of `k` counts that fraction of the next entry, as in CVXPY; from `k = n` on it is the sum.

    .. math:: \mathrm{prox}_{tf}(v)_i = v_i - \min(\max(v_i - \theta, 0), t), \qquad
              \textstyle\sum_i \min(\max(v_i - \theta, 0), t) = k t

    The last sum is piecewise linear in :math:`\theta` with kinks at :math:`v_i` and :math:`v_i - t`;
    sorting these gives its root.

    Parameters
    ----------
    k : float
        :math:`k > 0`, not necessarily an integer.

    References
    ----------
    Wang and Lu, *Projection onto the capped simplex* (2015), section 2.
    """

    k: float
    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        size = x.shape[-1]
        if self.k >= size:
            return x.sum(dim=-1)
        whole = int(self.k)
        top = x.topk(whole + 1, dim=-1).values
        return top[..., :whole].sum(dim=-1) + (self.k - whole) * top[..., whole]

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        size = v.shape[-1]
        t = self.expand(t, v)
        if self.k >= size:
            return v - t
        kinks, order = torch.cat([v, v - t], dim=-1).sort(dim=-1, descending=True)
        turn = torch.where(order < size, 1.0, -1.0).to(v.dtype)
        slope, offset = turn.cumsum(-1), (turn * kinks).cumsum(-1)
        # offset - slope * kink is the sum at a kink; the root comes after the last kink where it is below k t
        before = ((offset - slope * kinks) < self.k * t).sum(dim=-1, keepdim=True).clamp(1, 2 * size - 1) - 1
        level = (offset.gather(-1, before) - self.k * t) / slope.gather(-1, before).clamp(min=1.0)
        return v - torch.clamp(v - level, torch.zeros_like(t), t)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.value(d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 1), y)
