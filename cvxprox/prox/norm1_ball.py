"""The l1 ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.ball import Ball
from cvxprox.prox.water_level import water_level


@dataclass(frozen=True, eq=False)
class Norm1Ball(Ball):
    r"""The indicator of :math:`\|x\|_1 \le r`.

    .. math:: \Pi(v)_i = \mathrm{sign}(v_i)\max(|v_i| - \theta, 0), \qquad
              \textstyle\sum_i \max(|v_i| - \theta, 0) = r

    and `v` itself when :math:`\|v\|_1 \le r`.

    Parameters
    ----------
    radius : Tensor or float
        :math:`r \ge 0`; broadcasts against the batch.

    References
    ----------
    Condat, *Fast projection onto the simplex and the l1 ball* (2016), section 2.
    """

    ndim: ClassVar[int] = 1

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        size = v.abs()
        level = water_level(size, self.expand(self.radius, v)).clamp(min=0.0)
        return torch.where(size < level, 0.0, v - level * v.sign())

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self.radius * y.abs().amax(dim=-1)
