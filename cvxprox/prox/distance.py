"""The squared distance to the domain of another function."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.prox.base import VANISHING_STEP, ProxFunction


@dataclass(frozen=True, eq=False)
class SquaredDistance(ProxFunction):
    r"""Half the squared distance to the closed domain of `inner`.

    .. math:: f(x) = \tfrac12 \|x - \Pi(x)\|_2^2, \qquad
              \mathrm{prox}_{tf}(v) = v + \frac{t}{1 + t} (\Pi(v) - v)

    The projection :math:`\Pi` is the limit of the prox of `inner` at step 0.

    Parameters
    ----------
    inner : ProxFunction

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), example 6.65.
    """

    inner: ProxFunction

    @property
    def ndim(self) -> int:  # type: ignore[override]
        """That of `inner`."""
        return self.inner.ndim

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether `inner` is."""
        return self.inner.convex

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the domain."""
        return self.inner.prox(x, VANISHING_STEP)

    def value(self, x: Tensor) -> Tensor:
        square = 0.5 * (x - self.project(x)).square()
        return square.sum(dim=tuple(range(-self.ndim, 0))) if self.ndim else square

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        step = self.expand(t, v)
        return v + (step / (1 + step)) * (self.project(v) - v)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        inner = self.inner.derivative(v, VANISHING_STEP)
        step = torch.as_tensor(t, dtype=v.dtype, device=v.device)
        share = step / (1 + step)
        if not self.ndim:
            return 1 + share * (inner - 1)
        share = share.reshape((*share.shape, 1, 1)) if share.dim() else share
        identity = torch.eye(inner.shape[-1], dtype=v.dtype, device=v.device)
        return identity + share * (inner - identity)

    def domain_recession(self, d: Tensor) -> Tensor:
        return d

    def recession_domain(self, d: Tensor) -> Tensor:
        return self.inner.domain_recession(d)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        outside = (d - self.inner.domain_recession(d)).abs()
        largest = outside.amax(dim=tuple(range(-self.ndim, 0))) if self.ndim else outside
        return torch.where(largest <= tol, 0.0, torch.inf).to(d.dtype)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        largest = y.abs().amax(dim=tuple(range(-self.ndim, 0))) if self.ndim else y.abs()
        return torch.where(largest <= tol, 0.0, torch.inf).to(y.dtype)
