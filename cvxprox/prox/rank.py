"""The rank of a matrix, as a penalty and as a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.nonconvex import NonConvexFunction
from cvxprox.prox.singular import keep_singular_values


@dataclass(frozen=True)
class RankPenalty(NonConvexFunction):
    r"""The rank :math:`f(X) = \mathrm{rank}\, X`.

    .. math:: \mathrm{prox}_{tf}(V) = U \mathrm{diag}(h(\sigma))\, W^T, \qquad
              h(\sigma) = \sigma \ \text{ if } \sigma > \sqrt{2t}, \text{ else } 0

    for :math:`V = U \mathrm{diag}(\sigma) W^T`.

    References
    ----------
    Hiriart-Urruty and Le, *From Eckart and Young approximation to Moreau envelopes and vice versa* (2013),
    section 3.
    """

    ndim: ClassVar[int] = 2

    def value(self, x: Tensor) -> Tensor:
        return torch.linalg.matrix_rank(x).to(x.dtype)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        level = (2 * (t[..., 0] if t.dim() else t)).sqrt()
        return keep_singular_values(v, lambda values: values > level)


@dataclass(frozen=True)
class RankAtMost(NonConvexFunction):
    r"""The indicator of :math:`\mathrm{rank}\, X \le r`. The prox keeps the `r` largest singular values.

    Parameters
    ----------
    r : int
        Nonnegative.

    References
    ----------
    Eckart and Young, *The approximation of one matrix by another of lower rank* (1936).
    """

    r: int
    ndim: ClassVar[int] = 2

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-2])

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        def first(values: Tensor) -> Tensor:
            return (torch.arange(values.shape[-1], device=values.device) < self.r).expand(values.shape)

        return keep_singular_values(v, first)
