"""For every prox that is not convex but the denoiser: examples, and points it must not be worse than."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import cvxprox.prox as px
from cvxprox.prox import ProxFunction

from .case import F64, tensor


@dataclass
class NonConvexCase:
    """One function on points of one shape.

    `candidates` gives, for a point v, points of the domain with their values. They include minimisers of
    the definition of the prox up to the distance of neighbours in a grid.
    """

    f: ProxFunction
    shape: tuple[int, ...]
    candidates: Callable[[Tensor], tuple[Tensor, Tensor]]
    is_indicator: bool = True
    differentiable: bool = True

    def __str__(self) -> str:
        return type(self.f).__name__ + "x".join(map(str, self.shape))


def supports(v: Tensor) -> tuple[Tensor, Tensor]:
    """Every choice of entries of `v`, the others 0; and how many were chosen."""
    chosen = tensor(*itertools.product((0, 1), repeat=v.numel())).reshape(-1, v.numel())
    return v * chosen, chosen.sum(-1)


def among(supports: tuple[Tensor, Tensor], most: int) -> tuple[Tensor, Tensor]:
    points, count = supports
    return points[count <= most], torch.zeros_like(count[count <= most])


def free(points: Tensor) -> tuple[Tensor, Tensor]:
    return points, points.new_zeros(len(points))


def circle(count: int) -> Tensor:
    angle = torch.linspace(0, 2 * math.pi, count + 1, dtype=F64)[:-1]
    return torch.stack([angle.cos(), angle.sin()], -1)


def ball_grid() -> Tensor:
    """A grid on the sphere in space."""
    height = torch.linspace(-1, 1, 401, dtype=F64)[:, None, None]
    return torch.cat([(1 - height**2).sqrt() * circle(400), height.expand(-1, 400, 1)], -1).reshape(-1, 3)


def ranks(v: Tensor) -> tuple[Tensor, Tensor]:
    """Zero, the best multiples of many matrices of rank 1, and `v`; and their ranks. Of order 2."""
    left, right = circle(1000)[:500], circle(1000)
    unit = left[:, None, :, None] * right[None, :, None, :]
    best = (unit * v).sum((-2, -1), keepdim=True) * unit
    points = torch.cat([torch.zeros(1, 2, 2, dtype=F64), best.reshape(-1, 2, 2), v[None]])
    count = torch.ones(len(points), dtype=F64)
    count[0], count[-1] = 0, 2
    return points, count


_MODULI = 1.7
_BITS = tensor(*itertools.product((0, 1), repeat=3)).reshape(-1, 3)

NONCONVEX = [
    NonConvexCase(px.Norm0(), (4,), supports, is_indicator=False),
    NonConvexCase(px.SparseK(2), (4,), lambda v: among(supports(v), 2)),
    NonConvexCase(px.SparseK(0), (3,), lambda v: among(supports(v), 0)),
    NonConvexCase(px.SparseK(9), (3,), lambda v: among(supports(v), 9)),
    NonConvexCase(px.RankPenalty(), (2, 2), ranks, is_indicator=False),
    NonConvexCase(px.RankAtMost(1), (2, 2), lambda v: among(ranks(v), 1)),
    NonConvexCase(px.RankAtMost(2), (2, 2), lambda v: among(ranks(v), 2)),
    NonConvexCase(px.UnitNorm(), (2,), lambda v: free(circle(20000))),
    NonConvexCase(px.UnitNorm(), (3,), lambda v: free(ball_grid())),
    NonConvexCase(px.Binary(), (3,), lambda v: free(_BITS), differentiable=False),
    NonConvexCase(px.PhaseRetrieval(_MODULI), (2,), lambda v: free(_MODULI * circle(20000))),
    NonConvexCase(
        px.PhaseRetrieval(tensor(_MODULI)[0]), (1,), lambda v: free(tensor(_MODULI, -_MODULI)[:, None])
    ),
]
