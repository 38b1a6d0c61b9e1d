"""What the indicators of bounded sets share."""

from __future__ import annotations

from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


class BoundedSet(ProxFunction):
    """The indicator of a bounded set: no direction stays in it."""

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.dim() - self.ndim])

    def domain_recession(self, d: Tensor) -> Tensor:
        return d.new_zeros(d.shape)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(d, tol, self.ndim), d)
