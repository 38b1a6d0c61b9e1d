"""Optimality to near rounding, on large batches over many orders of magnitude."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import cvxprox.prox as px

from .case import F64

SIZE = 5000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def over_scales(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Tensor:
    return torch.tensor(rng.choice([-1, 1], shape) * 10 ** rng.uniform(low, high, shape))


def test_equations_of_the_exponential_functions(rng: np.random.Generator) -> None:
    """The equation's residual over its derivative is the error; it is compared with v, or with x."""
    v = over_scales(rng, -3, 6, (SIZE,))
    t = over_scales(rng, -8, 8, (SIZE,)).abs()
    x = px.Exp().prox(v, t)
    assert (((x + t * x.exp() - v) / (1 + t * x.exp())).abs() <= 1e-12 * (x.abs() + 1e-3)).all()
    x = px.Logistic().prox(v, t)
    p = x.sigmoid()
    assert (((x + t * p - v) / (1 + t * p * (1 - p))).abs() <= 1e-12 * v.abs()).all()
    x = px.NegLog().prox(v, t)
    assert (((x - t / x - v) / (1 + t / x**2)).abs() <= 1e-12 * x).all()
    x = px.NegEntropy().prox(v, t)
    normal = x > 1e-290
    x, v, t = x[normal], v[normal], t[normal]
    error = (x / t + x.log() + 1 - v / t) / (1 + x / t)  # relative to x
    assert (error.abs() <= 1e-12 + 1e-15 * (v / t).abs() / (1 + x / t)).all()


def test_log_sum_exp_is_stationary(rng: np.random.Generator) -> None:
    for n in (1, 3, 200):
        for t in (1e-8, 1e-2, 1.0, 30.0, 1e4):
            v = over_scales(rng, -3, 4, (200, n))
            x = px.LogSumExp().prox(v, t)
            residual = (x + t * x.softmax(-1) - v).abs().amax(-1)
            assert (residual <= 1e-12 * (v.abs().amax(-1) + t) * max(1.0, t)).all(), (n, t)


def check_moreau(p: Tensor, v: Tensor, rays: Tensor, polar_rays: Tensor) -> None:
    """p in K and v - p in its polar, tested against generators of each; p and v - p orthogonal."""
    size = v.abs().amax(-1)
    d = v - p
    assert ((p * d).sum(-1).abs() <= 1e-12 * size**2).all()
    assert ((d[..., None, :] * rays).sum(-1).amax(-1) <= 1e-12 * size).all()
    assert ((p[..., None, :] * polar_rays).sum(-1).amax(-1) <= 1e-12 * size).all()


def points(rng: np.random.Generator) -> dict[str, Tensor]:
    return {
        "unit": torch.tensor(rng.standard_normal((SIZE, 3))),
        "scales": over_scales(rng, -8, 8, (SIZE, 3)),
        "small": over_scales(rng, -12, 0, (SIZE, 3)),
        "huge": over_scales(rng, 7, 8, (SIZE, 3)),
        "flat": over_scales(rng, -1, 1, (SIZE, 3)) * torch.tensor(rng.integers(0, 2, (SIZE, 3))),
    }


def test_exponential_cone(rng: np.random.Generator) -> None:
    rho = torch.cat([torch.linspace(-30, 30, 121, dtype=F64), torch.tensor([-200.0, 200.0], dtype=F64)])
    left, right = rho.clamp(max=0).exp(), (-rho).clamp(max=0).exp()
    x_axis, y_axis, z_axis = torch.eye(3, dtype=F64)
    rays = F.normalize(torch.stack([rho * right, right, left], -1), dim=-1)
    rays = torch.cat([rays, torch.stack([-x_axis, z_axis])])
    polar = F.normalize(torch.stack([left, (1 - rho) * left, -right], -1), dim=-1)
    polar = torch.cat([polar, torch.stack([-y_axis, -z_axis])])
    for v in points(rng).values():
        p = px.ExponentialCone().prox(v, 1.0)
        check_moreau(p, v, rays, polar)
    x, y = torch.tensor(rng.standard_normal((2, SIZE)))
    on_boundary = torch.stack([x, y.abs(), y.abs() * (x / y.abs()).clamp(max=20).exp()], -1)
    close = on_boundary + 1e-9 * torch.tensor(rng.standard_normal((SIZE, 3)))
    check_moreau(px.ExponentialCone().prox(close, 1.0), close, rays, polar)


@pytest.mark.parametrize("alpha", [0.5, 0.01, 0.999, None])
def test_power_cone(alpha: float | None, rng: np.random.Generator) -> None:
    spread = torch.linspace(-40, 40, 41, dtype=F64)
    for v in points(rng).values():
        a = torch.full((SIZE,), alpha, dtype=F64) if alpha else torch.tensor(rng.uniform(0.001, 0.999, SIZE))
        p = px.PowerCone3D(a).prox(v, 1.0)
        a, s = a[:, None], spread.expand(SIZE, -1)
        logs = torch.stack([(1 - a) * s, -a * s, torch.zeros_like(s)], -1)
        logs = logs - logs.amax(-1, keepdim=True)
        weights = torch.stack([a, 1 - a, torch.ones_like(a)], -1)
        rays = logs.exp()
        # the polar is -(alpha x, (1 - alpha) y, z)
        polar = -weights * rays
        flip = torch.tensor([1.0, 1, -1], dtype=F64)
        check_moreau(p, v, torch.cat([rays, flip * rays], 1), torch.cat([polar, flip * polar], 1))
