"""The largest eigenvalue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf
from cvxprox.prox.spectral import eigen, is_symmetric, positive_part_ratios, symmetrize
from cvxprox.prox.water_level import water_level


@dataclass(frozen=True)
class LambdaMax(ProxFunction):
    r"""The largest eigenvalue :math:`f(X) = \lambda_{\max}(X)`, on the symmetric matrices.

    .. math:: \mathrm{prox}_{tf}(V) = U \mathrm{diag}(\min(\lambda, \theta))\, U^T, \qquad
              \textstyle\sum_i \max(\lambda_i - \theta, 0) = t

    with :math:`U \mathrm{diag}(\lambda) U^T` the symmetric part of `V`.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.7.2.
    """

    ndim: ClassVar[int] = 2
    twice: ClassVar[bool] = False

    def value(self, x: Tensor) -> Tensor:
        return torch.linalg.eigvalsh(symmetrize(x))[..., -1]

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        even = symmetrize(v)
        decomposition = eigen(even)
        values = decomposition.values
        level = water_level(values, t[..., 0] if t.dim() else t)
        excess = (values - level).clamp(min=0.0)
        return even - decomposition.rebuild(excess, lambda: positive_part_ratios(values - level))

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.value(d) + zero_or_inf(is_symmetric(d, tol), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(symmetrize(y), tol, 2), y)
