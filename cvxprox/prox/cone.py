"""What the indicators of closed convex cones share."""

from __future__ import annotations

from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, zero_or_inf


class Cone(ProxFunction):
    r"""The indicator of a closed convex cone :math:`K`; its prox is the projection, for every `t`.

    By Moreau, `d` is in :math:`K` when it is its own projection, and `y` is in the polar cone
    :math:`\{y : y^T x \le 0,\; x \in K\}` when its projection on :math:`K` is 0.
    """

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[: x.dim() - self.ndim])

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(d - self.prox(d, 1.0), tol, self.ndim), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(self.prox(y, 1.0), tol, self.ndim), y)
