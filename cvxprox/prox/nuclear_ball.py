"""The nuclear norm ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.ball import Ball
from cvxprox.prox.singular import soft_threshold_singular_values
from cvxprox.prox.water_level import water_level


@dataclass(frozen=True, eq=False)
class NuclearBall(Ball):
    r"""The indicator of :math:`\sum_i \sigma_i(X) \le r`.

    .. math:: \Pi(V) = U \mathrm{diag}(\max(\sigma - \theta, 0))\, W^T, \qquad
              \textstyle\sum_i \max(\sigma_i - \theta, 0) = r

    and `V` itself when :math:`\sum_i \sigma_i \le r`.

    Parameters
    ----------
    radius : Tensor or float
        :math:`r \ge 0`; broadcasts against the batch.

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), section 7.3.
    """

    ndim: ClassVar[int] = 2
    twice: ClassVar[bool] = False

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        radius = self.expand(self.radius, v)
        mass = radius[..., 0] if radius.dim() else radius
        return soft_threshold_singular_values(v, lambda s: water_level(s, mass).clamp(min=0.0))

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self.radius * torch.linalg.svdvals(y)[..., 0]
