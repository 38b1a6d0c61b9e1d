"""The three-dimensional power cone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cvxprox.prox.cone import Cone
from cvxprox.prox.domain import tracked


@dataclass(frozen=True, eq=False)
class PowerCone3D(Cone):
    r"""The indicator of :math:`\{(x, y, z) : x^\alpha y^{1 - \alpha} \ge |z|,\; x, y \ge 0\}`.

    Outside the cone and its polar, and for :math:`z \ne 0`, the projection is

    .. math:: \bigl(\phi_x(r),\; \phi_y(r),\; \mathrm{sign}(z)\, r\bigr), \qquad
              \phi_x(r) = \tfrac12\bigl(x + \sqrt{x^2 + 4\alpha\, r(|z| - r)}\bigr)

    and likewise :math:`\phi_y` with :math:`1 - \alpha`, where :math:`0 < r < |z|` is the root of
    :math:`\phi_x^\alpha \phi_y^{1 - \alpha} = r`. Divided by `r` and in logarithms the equation is
    decreasing; it is solved by safeguarded Newton steps for :math:`q = \log(r / (|z| - r))`.

    Parameters
    ----------
    alpha : Tensor or float
        :math:`0 < \alpha < 1`; broadcasts against the batch.

    References
    ----------
    Hien, *Differential properties of Euclidean projection onto power cone*, Mathematical Methods of
    Operations Research 82 (2015), section 2.
    """

    alpha: Tensor | float
    ndim: ClassVar[int] = 1

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        alpha = self._alpha(v)
        x, y, z = v.unbind(-1)
        plane, inside, polar = self._cases(v.detach(), alpha.detach())
        simple = plane | inside | polar
        # any point that has a root stands in for those that need none
        size = torch.where(simple, 1.0, z.abs())
        x, y = torch.where(simple, 0.0, x) / size, torch.where(simple, 0.0, y) / size
        q = _root(x.detach(), y.detach(), alpha.detach())
        for _ in range(2 if tracked(v, alpha) else 0):  # each gives one derivative more
            error, slope = _equation(q, x, y, alpha)
            q = q - error / slope.detach()
        r = q.sigmoid()
        p = torch.stack([_phi(q, x, alpha)[0], _phi(q, y, 1 - alpha)[0], torch.where(z < 0, -r, r)], dim=-1)
        corner = torch.cat([v[..., :2].clamp(min=0.0), torch.zeros_like(v[..., 2:])], dim=-1)
        p = torch.where(plane[..., None], corner, p * size[..., None])
        return torch.where(inside[..., None], v, p).masked_fill(polar[..., None], 0.0)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        r"""1 along the ray, 0 along the normal, :math:`1/(1 + |v - p| c)` across, with `c` the curvature."""
        with torch.no_grad():
            alpha = self._alpha(v)
            x, y, z = v.unbind(-1)
            plane, inside, polar = self._cases(v, alpha)
            curved = ~(plane | inside | polar)
            size = torch.where(curved, z.abs(), 1.0)
            x, y = torch.where(curved, x, 0.0) / size, torch.where(curved, y, 0.0) / size
            q = _root(x, y, alpha)
            r, sign = q.sigmoid(), torch.where(z < 0, -1.0, 1.0).to(v.dtype)
            x, y = _phi(q, x, alpha)[0], _phi(q, y, 1 - alpha)[0]
            tiny = torch.finfo(v.dtype).tiny
            ray = F.normalize(torch.stack([x, y, sign * r], dim=-1), dim=-1, eps=tiny)
            normal = torch.stack([alpha * y, (1 - alpha) * x, -sign * x ** (1 - alpha) * y**alpha], dim=-1)
            across = torch.linalg.cross(ray, F.normalize(normal, dim=-1, eps=tiny))
            bend = (across[..., 0] / x.clamp(min=tiny) - across[..., 1] / y.clamp(min=tiny)).square()
            kept = 1 / (1 + (-q).sigmoid() * r * alpha * (1 - alpha) * bend)
            slope = ray[..., :, None] * ray[..., None, :]
            slope = slope + kept[..., None, None] * across[..., :, None] * across[..., None, :]
            flat = torch.cat([(v[..., :2] > 0).to(v.dtype), torch.zeros_like(v[..., 2:])], dim=-1)
            diagonal = torch.where(plane[..., None], flat, inside[..., None].to(v.dtype))
        return torch.where(curved[..., None, None], slope, torch.diag_embed(diagonal))

    def _alpha(self, v: Tensor) -> Tensor:
        alpha = self.alpha if isinstance(self.alpha, Tensor) else v.new_full((), self.alpha)
        return alpha.to(v).expand(v.shape[:-1])

    def _cases(self, v: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where z is 0, else where the point is in the cone, else in its polar."""
        x, y, z = v[..., 0], v[..., 1], v[..., 2].abs()
        plane = z <= torch.finfo(v.dtype).tiny ** 0.5 * v.abs().amax(dim=-1)
        above = (x.clamp(min=0.0) ** alpha) * (y.clamp(min=0.0) ** (1 - alpha))
        below = ((-x / alpha).clamp(min=0.0) ** alpha) * ((-y / (1 - alpha)).clamp(min=0.0) ** (1 - alpha))
        inside = ~plane & (above >= z)
        return plane, inside, ~plane & ~inside & (below >= z)


def _phi(q: Tensor, x: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The entry of the projection for ``|z| = 1``, its logarithm and the slope of that in `q`."""
    r, rest = q.sigmoid(), (-q).sigmoid()
    product = alpha * r * rest
    negative = x < 0
    root = torch.hypot(x, 2 * product.sqrt())
    larger = (torch.where(negative, -x, x) + root) / 2
    smaller = product / larger
    # far below 0 the entry underflows, but not its logarithm
    log_smaller = alpha.log() + F.logsigmoid(q) + F.logsigmoid(-q) - larger.log()
    log_phi = torch.where(negative, log_smaller, larger.log())
    slope = torch.where(negative, larger, smaller) * (rest - r) / root
    return torch.where(negative, smaller, larger), log_phi, slope


def _equation(q: Tensor, x: Tensor, y: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """The decreasing function of `q` and its slope."""
    _, log_x, slope_x = _phi(q, x, alpha)
    _, log_y, slope_y = _phi(q, y, 1 - alpha)
    error = alpha * log_x + (1 - alpha) * log_y - F.logsigmoid(q)
    return error, alpha * slope_x + (1 - alpha) * slope_y - (-q).sigmoid()


def _root(x: Tensor, y: Tensor, alpha: Tensor) -> Tensor:
    """The root of the equation for ``|z| = 1``."""
    limit = 350.0 if x.dtype == torch.float64 else 40.0
    eps = torch.finfo(x.dtype).eps
    with torch.no_grad():
        q = torch.zeros_like(x + alpha)
        low, high = q - limit - 1, q + limit + 1
        for _ in range(60):
            error, slope = _equation(q, x, y, alpha)
            low, high = torch.where(error > 0, q, low), torch.where(error > 0, high, q)
            trial = (q - error / slope).clamp(-limit, limit)
            noise = 64 * eps * (1 + q.abs())
            # the logarithms in the error are as large as -q
            solved = ((trial - q).abs() <= noise) | (error.abs() <= 4 * eps * -q) | (high - low <= noise)
            trial = torch.where((trial > low) & (trial < high), trial, (low + high) / 2)
            q = torch.where(solved, q, trial)
            if bool(solved.all()):
                break
    return q
