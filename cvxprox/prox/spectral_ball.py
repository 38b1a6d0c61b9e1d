"""The spectral norm ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.ball import Ball
from cvxprox.prox.singular import soft_threshold_singular_values


@dataclass(frozen=True, eq=False)
class SpectralBall(Ball):
    r"""The indicator of :math:`\sigma_{\max}(X) \le r`.

    .. math:: \Pi(V) = U \mathrm{diag}(\min(\sigma, r))\, W^T, \qquad V = U \mathrm{diag}(\sigma)\, W^T

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
        level = radius[..., 0] if radius.dim() else radius
        return v - soft_threshold_singular_values(v, lambda _: level)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self.radius * torch.linalg.svdvals(y).sum(dim=-1)
