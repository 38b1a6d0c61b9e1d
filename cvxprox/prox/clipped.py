"""A separable function on an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.box import Box

NEAR = 1e-6
"""The step at which the prox gives the nearest subgradient, relative to the sizes of x and y."""


@dataclass(frozen=True, eq=False)
class Clipped(ProxFunction):
    r"""A separable convex function f, finite everywhere, on the interval :math:`l \le x \le u`.

    .. math:: \mathrm{prox}_{tf}(v) \text{ clipped to } [l, u]

    solves :math:`\min_{l \le x \le u} f(x) + (x - v)^2/(2t)`: a convex function of one variable is least
    at the point of the interval that is nearest to its minimum.

    Parameters
    ----------
    function : ProxFunction
        f, with ``ndim == 0``.
    lower, upper : Tensor
        :math:`l \le u`.

    References
    ----------
    Combettes and Pesquet, *Proximal thresholding algorithm for minimization over orthonormal bases*
    (2007), proposition 12.
    """

    function: ProxFunction
    lower: Tensor
    upper: Tensor
    ndim: ClassVar[int] = 0

    @property
    def box(self) -> Box:
        """The indicator of the interval."""
        return Box(self.lower, self.upper)

    def value(self, x: Tensor) -> Tensor:
        inside = (x >= self.lower) & (x <= self.upper)
        return torch.where(inside, self.function.value(x), torch.inf)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return self.box.prox(self.function.prox(v, t), t)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return self.function.derivative(v, t) * self.box.derivative(self.function.prox(v, t), t)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self.function.recession(d, tol) + self.box.recession(d, tol)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self.box.domain_support(y, tol)

    def domain_recession(self, d: Tensor) -> Tensor:
        return self.box.domain_recession(d)

    def recession_domain(self, d: Tensor) -> Tensor:
        return self.function.recession_domain(self.box.domain_recession(d))

    def bound_share(self, z: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        r"""The part of a subgradient y of :math:`wf + \iota_{[l, u]}` at z that the bounds hold.

        What is left is the subgradient of wf that is nearest to y, by
        :math:`P_{\partial f(z)}(y) = \lim_{t \to 0} (z + ty - \mathrm{prox}_{tf}(z + ty))/t`.
        """
        t = NEAR * (1 + float(z.abs().max())) / (1 + float(y.abs().max())) if z.numel() else 1.0
        v = z + t * y
        inside = (z > self.lower) & (z < self.upper)
        return torch.where(inside, 0.0, y - (v - self.function.prox(v, t * weight)) / t)


def is_finite(function: ProxFunction, like: Tensor) -> bool:
    """Whether a separable function is finite everywhere, at any of its data."""
    ends = (function.domain_support(torch.full_like(like, sign)) for sign in (-1.0, 1.0))
    return all(bool(torch.isposinf(end).all()) for end in ends)
