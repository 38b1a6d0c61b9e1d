"""The negative log-determinant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import zero_or_inf
from cvxprox.prox.neg_log import NegLog
from cvxprox.prox.spectral import eigen, is_positive, is_symmetric, symmetrize


@dataclass(frozen=True)
class NegLogDet(ProxFunction):
    r"""The negative log-determinant :math:`f(X) = -\log\det X`, on the symmetric positive definite matrices.

    .. math:: \mathrm{prox}_{tf}(V) = U \mathrm{diag}(p)\, U^T, \qquad
              p_i = \tfrac12\Bigl(\lambda_i + \sqrt{\lambda_i^2 + 4t}\Bigr)

    with :math:`U \mathrm{diag}(\lambda) U^T` the symmetric part of `V`.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.7.5.
    """

    ndim: ClassVar[int] = 2
    twice: ClassVar[bool] = False

    def value(self, x: Tensor) -> Tensor:
        factor, failed = torch.linalg.cholesky_ex(symmetrize(x))
        diagonal = torch.where((failed == 0)[..., None], factor.diagonal(dim1=-2, dim2=-1), 1.0)
        return -2 * diagonal.log().sum(dim=-1) + zero_or_inf(failed == 0, x)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        t = t[..., 0] if t.dim() else t
        decomposition = eigen(symmetrize(v))
        p = NegLog().prox(decomposition.values, t)

        def ratios() -> Tensor:
            root = p + t / p
            return (p[..., :, None] + p[..., None, :]) / (root[..., :, None] + root[..., None, :])

        return decomposition.rebuild(p, ratios)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_symmetric(d, tol) & is_positive(d, tol), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_positive(-y, tol), y)
