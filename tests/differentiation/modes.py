"""What the tests of modes share: a loss, its gradient, and finite differences of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation import Differentiation, SessionEngine, Solved
from cvxprox.options import Options

from .programs import Case

ALGORITHMS = ("admm", "admm_vxu", "ladmm", "pdhg", "pgd", "fista")


def engine(algorithm: str = "admm", **options: Any) -> SessionEngine:
    accurate = {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iter": 5000}
    return SessionEngine(Options().with_changes({"algorithm": algorithm, **accurate, **options}))


def loss(point: Point) -> Tensor:
    """Of x and z. The dual y of total variation is not unique."""
    x, z, _ = point
    ramp = [torch.linspace(-1, 1, v.shape[-1], dtype=v.dtype) for v in (x, z)]
    return (x * ramp[0]).sum() + 0.3 * x.square().sum() + (z * ramp[1]).sum()


def gradients(mode: Differentiation, case: Case, own: SessionEngine) -> tuple[Solved, tuple[Tensor, ...]]:
    theta = case.leaves()
    solved = mode.solve(own, case.task(*theta))
    return solved, torch.autograd.grad(loss(solved.point), theta)


def directions(case: Case, count: int = 2) -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(3)
    return [
        tuple(torch.randn(t.shape, generator=generator, dtype=t.dtype) * t.abs().mean() for t in case.theta)
        for _ in range(count)
    ]


def along(parts: Sequence[Tensor], direction: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(parts, direction, strict=True)]).sum()


def moved(case: Case, direction: Sequence[Tensor], step: float) -> tuple[Tensor, ...]:
    return tuple(t + step * d for t, d in zip(case.theta, direction, strict=True))


def difference(
    mode: Differentiation, case: Case, direction: Sequence[Tensor], *engines: SessionEngine
) -> float:
    """The central finite difference of the loss."""
    step = 1e-6
    ends = [
        loss(mode.solve(own, case.task(*moved(case, direction, s))).point)
        for s, own in zip((step, -step), engines, strict=True)
    ]
    return float(ends[0] - ends[1]) / (2 * step)


def cosine(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    u, v = (torch.cat([t.reshape(-1) for t in parts]) for parts in (a, b))
    return float(u @ v / (u.norm() * v.norm()))
