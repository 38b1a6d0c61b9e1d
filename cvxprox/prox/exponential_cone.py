"""The exponential cone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.cone import Cone
from cvxprox.prox.domain import tracked


@dataclass(frozen=True)
class ExponentialCone(Cone):
    r"""The indicator of the closure of :math:`\{(x, y, z) : y e^{x/y} \le z,\; y > 0\}`, in CVXPY's order.

    Points of the cone, of its polar, and with :math:`x, y \le 0` (projected on the face :math:`y = 0`) have
    closed forms. Otherwise the projection and the remainder lie on the boundary rays

    .. math:: p = \sigma\,(\rho, 1, e^\rho), \quad \sigma = \frac{(\rho - 1)x + y}{\rho^2 - \rho + 1}, \qquad
              v - p = \mu\,(1, 1 - \rho, -e^{-\rho}), \quad \mu = \frac{x - \rho y}{\rho^2 - \rho + 1}

    where :math:`\rho` is the root of the increasing :math:`\sigma e^\rho - \mu e^{-\rho} = z`, found by
    Newton's method safeguarded by a bracket.

    References
    ----------
    Friberg, *Projection onto the exponential cone: a univariate root-finding problem*, Optimization
    Methods and Software 38 (2023); the bracket as in SCS 3.
    """

    ndim: ClassVar[int] = 1
    twice: ClassVar[bool] = False

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        differentiated = tracked(v)
        with torch.no_grad():
            cases = _Cases(v.detach())
            projection = cases.projection()
            if not differentiated:
                return projection
            slope = cases.derivative()
        return projection + (slope @ (v - v.detach())[..., None])[..., 0]

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        with torch.no_grad():
            return _Cases(v).derivative()


class _Cases:
    """The rays of all points, and where each of the four cases holds."""

    def __init__(self, v: Tensor) -> None:
        tiny = torch.finfo(v.dtype).tiny
        size = v.abs().amax(dim=-1, keepdim=True).clamp(min=tiny)
        # the cone is a cone: unit size, and no squares that underflow
        unit = v / size
        x, y, z = unit.masked_fill(unit.abs() < tiny**0.5, 0.0).unbind(-1)
        self.v, self.unit, self.size = v, unit, size
        positive = y > 0
        self.face = (x <= 0) & ~positive
        ratio = x / torch.where(positive, y, 1.0)
        self.inside = positive & (y * ratio.exp() <= z)
        ratio = y / torch.where(x > 0, x, 1.0)
        self.polar = (x > 0) & (-x * (ratio - 1).exp() >= z)
        self.curved = ~(self.face | self.inside | self.polar)
        x, y, z = (torch.where(self.curved, a, 1.0) for a in (x, y, z))  # any point that has a root
        self.rho = rho = _root(x, y, z)
        self.small = small = (-rho.abs()).exp()
        sigma, mu = _coefficients(x, y, rho)
        # Of the two forms of each coefficient the one that does not cancel where its exponential is large.
        right = rho >= 0
        height = torch.where(right, z + mu * small, sigma * small).clamp(min=0.0)
        self.mu = torch.where(right, mu, (height - z) * small).clamp(min=0.0)
        self.sigma = torch.where(right, height * small, sigma).clamp(min=0.0)
        self.right, self.height = right, height

    def projection(self) -> Tensor:
        x, _, z = self.v.unbind(-1)
        zero = torch.zeros_like(x)
        on_ray = torch.stack([self.rho * self.sigma, self.sigma, self.height], dim=-1) * self.size
        on_face = torch.stack([x, zero, z.clamp(min=0.0)], dim=-1)
        p = torch.where(self.face[..., None], on_face, on_ray)
        return torch.where(self.inside[..., None], self.v, p).masked_fill(self.polar[..., None], 0.0)

    def derivative(self) -> Tensor:
        r"""1 along the ray, 0 along the normal, :math:`1/(1 + |v - p| c)` across, with `c` the curvature.

        Across the ray :math:`u = (\rho, 1, e^\rho)` with normal :math:`d = (1, 1 - \rho, -e^{-\rho})` this is
        :math:`\sigma q / (\sigma q + \mu)` for :math:`q = e^{2\rho} |d|^2 / |u|^2`, as
        :math:`u \times u' = -e^\rho d` and :math:`\langle u'', d \rangle = -1`.
        """
        rho, small, right = self.rho, self.small, self.right
        one = torch.ones_like(rho)
        grow, shrink = torch.where(right, small, one), torch.where(right, one, small)
        ray = torch.stack([rho * grow, grow, shrink], dim=-1)
        normal = torch.stack([shrink, (1 - rho) * shrink, -grow], dim=-1)
        ray_size, normal_size = ray.norm(dim=-1, keepdim=True), normal.norm(dim=-1, keepdim=True)
        ray, normal = ray / ray_size, normal / normal_size
        across = torch.linalg.cross(ray, normal)
        bend = self.sigma * (normal_size / ray_size).square()[..., 0]
        kept = (bend / (bend + self.mu).clamp(min=torch.finfo(rho.dtype).tiny))[..., None, None]
        slope = ray[..., :, None] * ray[..., None, :] + kept * across[..., :, None] * across[..., None, :]
        x, _, z = self.v.unbind(-1)
        flat = torch.stack([torch.ones_like(x), torch.zeros_like(x), (z > 0).to(x.dtype)], dim=-1)
        diagonal = torch.where(self.face[..., None], flat, self.inside[..., None].to(x.dtype))
        return torch.where(self.curved[..., None, None], slope, torch.diag_embed(diagonal))


def _coefficients(x: Tensor, y: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
    scale = rho * (rho - 1) + 1
    return ((rho - 1) * x + y) / scale, (x - rho * y) / scale


def _root(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Newton's method on the increasing function of Friberg, bisecting when it leaves the bracket."""
    low, high = _bracket(x, y, z)
    limit = 700.0 if x.dtype == torch.float64 else 80.0
    precision = 4 * torch.finfo(x.dtype).eps
    rho = (low + high) / 2
    for _ in range(60):
        scale = rho * (rho - 1) + 1
        sigma, mu = ((rho - 1) * x + y) / scale, (x - rho * y) / scale
        grow = rho.clamp(-limit, limit).exp()
        up, down = sigma * grow, mu / grow
        error = up - down - z
        twist = (2 * rho - 1) / scale
        up_slope, down_slope = up + (x / scale) * grow - twist * up, -down - (y / scale) / grow - twist * down
        low, high = torch.where(error < 0, rho, low), torch.where(error < 0, high, rho)
        # a = b with z on the side that is not exponential; near linear in the logarithm
        a = torch.where(rho >= 0, up, up - z)
        b = torch.where(rho >= 0, down + z, down)
        in_log = (a / b).log() / (up_slope / a - down_slope / b)
        plain = error / (up_slope - down_slope)
        trial = rho - torch.where((a > 0) & (b > 0), in_log, plain)
        noise = precision * (1 + rho.abs())
        solved = (error.abs() <= noise * (up.abs() + down.abs() + z.abs())) | (high - low <= noise)
        solved = solved | ((trial - rho).abs() <= noise)
        trial = torch.where((trial >= low) & (trial <= high), trial, (low + high) / 2)
        rho = torch.where(solved, rho, trial)
        if bool(solved.all()):
            break
    return rho


def _bracket(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Friberg's bounds on the root, for points of unit size of the fourth case."""
    inf = torch.full_like(x, torch.inf)
    x_positive, y_positive = x > 0, y > 0
    safe_x, safe_y = torch.where(x_positive, x, 1.0), torch.where(y_positive, y, 1.0)
    to_cone, to_polar = _distances(x, y, z, safe_x, safe_y)
    base_low = torch.where(x_positive, 1 - y / safe_x, -inf)
    base_high = torch.where(y_positive, x / safe_y, inf)
    # where the primal or the dual part alone would carry z
    spread = (x * x + y * y - x * y).sqrt()
    steep = torch.where(x > y, (x - y + spread) / safe_x, safe_y / (spread + y - x))
    flat = torch.where(y > x, (x - spread) / safe_y, (x - y) / (x + spread))
    primal, dual = _coefficients(x, y, steep)[0], _coefficients(x, y, flat)[1]
    low = torch.where(z > 0, (z / primal).log(), -inf).nan_to_num(nan=-torch.inf)
    high = torch.where(z < 0, -(-z / dual).log(), inf).nan_to_num(nan=torch.inf)
    low, high = torch.maximum(low, base_low), torch.minimum(high, base_high)
    # how far the distances to the two cones let the root be from the ends
    reach = torch.minimum(to_polar, to_cone + z).clamp(min=1e-12)
    end = base_low + reach / safe_x / _growth(low)
    high = torch.where(x_positive, torch.minimum(high, torch.maximum(low, end)), high)
    reach = torch.minimum(to_cone, to_polar - z).clamp(min=1e-12)
    end = base_high - reach / safe_y / (_growth(1 - high) / math.e)
    low = torch.where(y_positive, torch.maximum(low, torch.minimum(high, end)), low)
    low, high = torch.minimum(low, high), torch.maximum(low, high)
    return torch.clamp(low, base_low, base_high), torch.clamp(high, base_low, base_high)


def _distances(x: Tensor, y: Tensor, z: Tensor, safe_x: Tensor, safe_y: Tensor) -> tuple[Tensor, Tensor]:
    """Upper bounds on the distances to the cone and its polar, less the parts that y and x alone force."""
    face = x.clamp(min=0.0).square() + y.clamp(min=0.0).square()
    to_cone = (face + z.clamp(max=0.0).square()).sqrt()
    to_polar = (face + z.clamp(min=0.0).square()).sqrt()
    lift = torch.where(y > 0, (safe_y * (x / safe_y).exp() - z).clamp(min=0.0), torch.inf)
    drop = torch.where(x > 0, (z + safe_x * (y / safe_x - 1).exp()).clamp(min=0.0), torch.inf)
    return torch.minimum(to_cone, lift), torch.minimum(to_polar, drop)


def _growth(rho: Tensor) -> Tensor:
    """The least growth of the exponential part right of `rho`; by symmetry, left of ``1 - rho``."""
    value = rho.exp() / (rho * (rho - 1) + 1)
    return torch.where(rho < 2, value.clamp(max=math.exp(2) / 3), value)
