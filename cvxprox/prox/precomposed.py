"""A function of a scaled and shifted argument."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import tracked
from cvxprox.prox.step import as_number


@dataclass(frozen=True, eq=False)
class Precomposed(ProxFunction):
    r"""The function :math:`F(x) = f(s x + b)`.

    .. math:: \mathrm{prox}_{tF}(v) = \frac1s\bigl(\mathrm{prox}_{s^2 t f}(s v + b) - b\bigr)

    and `v` itself where :math:`s = 0`. There the derivative in `s` is taken as zero.

    Parameters
    ----------
    function : ProxFunction
        f.
    scale : Tensor or float
        s; for a separable f it broadcasts against `x`, for another one against the batch: one number
        for a point. Any sign.
    shift : Tensor or float
        b, of the shape of one point or of all; where :math:`s = 0` it must be in the domain of f.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 2.2.
    """

    function: ProxFunction
    scale: Tensor | float = 1.0
    shift: Tensor | float = 0.0

    @property
    def ndim(self) -> int:  # type: ignore[override]
        """That of `function`."""
        return self.function.ndim

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether `function` is."""
        return self.function.convex

    def at(self, iteration: int) -> ProxFunction:
        inner = self.function.at(iteration)
        return self if inner is self.function else Precomposed(inner, self.scale, self.shift)

    def value(self, x: Tensor) -> Tensor:
        return self.function.value(self.expand(self.scale, x) * x + self.shift)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        s = as_number(self.scale, v)
        if not isinstance(s, Tensor) and s:
            return self._prox_of_number(s, v, t)
        constant, scale = self._scale(v)
        image = self.function.prox(scale * v + self.shift, self._step(v, t))
        return torch.where(constant, v, (image - self.shift) / scale)

    def _prox_of_number(self, s: float, v: Tensor, t: Tensor | float) -> Tensor:
        argument = v + self.shift if s == 1 else s * v + self.shift
        image = self.function.prox(argument, s**2 * t)
        image = image - self.shift if tracked(image, self.shift) else image.sub_(self.shift)
        return image if s == 1 else image / s

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        constant, scale = self._scale(v)
        inner = self.function.derivative(scale * v + self.shift, self._step(v, t))
        if self.ndim == 0:
            return torch.where(constant, 1.0, inner)
        identity = torch.eye(inner.shape[-1], dtype=v.dtype, device=v.device)
        return torch.where(self._of_points(constant)[..., None, None], identity, inner)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        constant, scale = self._scale(d)
        growth = self.function.recession(scale.sign() * d, tol)
        return torch.where(self._of_points(constant), 0.0, self._of_points(scale.abs()) * growth)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        constant, scale = self._scale(y)
        turned = scale.sign() * y
        # the barrier cone's part: what the support leaves out within tol is not multiplied by b either
        normal = turned - self.function.domain_recession(turned)
        moment = self._sum(normal * self.shift)
        support = (self.function.domain_support(turned, tol) - moment) / self._of_points(scale.abs())
        everywhere = torch.where(self._largest(y) <= tol, 0.0, torch.inf).to(y.dtype)
        return torch.where(self._of_points(constant), everywhere, support)

    def domain_recession(self, d: Tensor) -> Tensor:
        constant, scale = self._scale(d)
        sign = scale.sign()
        return torch.where(constant, d, sign * self.function.domain_recession(sign * d))

    def recession_domain(self, d: Tensor) -> Tensor:
        constant, scale = self._scale(d)
        sign = scale.sign()
        return torch.where(constant, d, sign * self.function.recession_domain(sign * d))

    def _scale(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Where the scale is zero, and the scale with ones there."""
        scale = self.expand(self.scale, v)
        constant = scale == 0
        return constant, torch.where(constant, 1.0, scale)

    def _step(self, v: Tensor, t: Tensor | float) -> Tensor:
        return t * self._of_points(self._scale(v)[1]).square()

    def _of_points(self, x: Tensor) -> Tensor:
        """Numbers that broadcast against points as numbers of the shape of the batch."""
        return x.reshape(x.shape[: x.dim() - self.ndim]) if x.dim() else x

    def _sum(self, x: Tensor) -> Tensor:
        return x.flatten(x.dim() - self.ndim).sum(-1) if self.ndim else x

    def _largest(self, x: Tensor) -> Tensor:
        return x.abs().flatten(x.dim() - self.ndim).amax(-1) if self.ndim else x.abs()
