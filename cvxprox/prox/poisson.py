"""The negative log-likelihood of Poisson counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import tracked, zero_or_inf
from cvxprox.prox.step import as_number


@dataclass(frozen=True, eq=False)
class Poisson(ProxFunction):
    r"""The negative log-likelihood of a mean `x` after `b` counts, up to a constant.

    .. math:: f(x) = x - b \log x \quad\text{on } x \ge 0, \qquad 0 \log 0 = 0

    .. math:: \mathrm{prox}_{tf}(v) = \tfrac12\Bigl(v - t + \sqrt{(v - t)^2 + 4tb}\Bigr)

    Parameters
    ----------
    counts : Tensor
        :math:`b \ge 0`, not necessarily integers; broadcasts against `x`.

    References
    ----------
    Figueiredo and Bioucas-Dias, *Restoration of Poissonian Images Using Alternating Direction
    Optimization* (2010), section III-C.
    """

    counts: Tensor | float
    ndim: ClassVar[int] = 0

    def value(self, x: Tensor) -> Tensor:
        counts = self.expand(self.counts, x)
        inside = (x > 0) | ((x == 0) & (counts == 0))
        return torch.where(inside, x - torch.xlogy(counts, torch.where(inside, x, 1.0)), torch.inf)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        if not tracked(v, t, self.counts):
            return self._prox_in_place(v, as_number(t, v))
        t = self.expand(t, v)
        product, w = t * self.expand(self.counts, v), v - t
        square = w.square() + 4 * product
        # the root has no derivative at 0, where the prox has a kink
        root = torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)
        negative = w < 0
        larger = (torch.where(negative, -w, w) + root) / 2
        return torch.where(negative, product / torch.where(negative, larger, 1.0), larger)

    def _prox_in_place(self, v: Tensor, t: Tensor | float) -> Tensor:
        """The prox without the guards of its derivatives."""
        product, w = self.expand(self.counts, v) * t, v - t
        larger = torch.addcmul(4 * product, w, w).sqrt_().add_(w.abs()).mul_(0.5)
        return torch.where(w < 0, product / larger, larger)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return d.clamp(min=0.0) + zero_or_inf(d >= -tol, d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(y <= tol, y)
