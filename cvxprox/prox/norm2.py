"""The Euclidean norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, tracked, zero_or_inf
from cvxprox.prox.lengths import inverse_lengths, lengths
from cvxprox.prox.step import as_number


@dataclass(frozen=True)
class Norm2(ProxFunction):
    r"""The Euclidean norm :math:`f(x) = \|x\|_2`.

    .. math:: \mathrm{prox}_{tf}(v) = \max\bigl(1 - t / \|v\|_2,\; 0\bigr)\, v

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.5.1.
    """

    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x, dim=-1) if tracked(x, 0.0) else lengths(x)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        if not tracked(v, t):
            t = as_number(t, v)
            return v * inverse_lengths(v).mul_(-t).add_(1.0).clamp_(min=0.0)[..., None]
        t = self.expand(t, v)
        size = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        return v * ((size - t).clamp(min=0.0) / torch.maximum(size, t))

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        size = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
        longer = (size > t).to(v.dtype)
        ratio = t / torch.maximum(size, t)
        unit = v / torch.maximum(size, t)
        diagonal = torch.diag_embed((1 - ratio).expand(v.shape))
        return (longer[..., None]) * (diagonal + (ratio * unit)[..., :, None] * unit[..., None, :])

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.value(d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 1), y)
