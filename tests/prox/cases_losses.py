"""Cases of loss functions and of the simplex."""

from __future__ import annotations

import cvxpy as cp
import torch

import cvxprox.prox as px

from .case import F64, Case, finite, subject_to, tensor

_COUNTS = tensor(2.0, 0.8, 5.0, 0.0)
_TAU = tensor(0.1, 0.5, 0.8, 0.0, 1.0)


def poisson_model(x: cp.Variable) -> tuple[cp.Expression, list]:
    return cp.sum(x) - _COUNTS[:3].numpy() @ cp.log(x[:3]), [x[3] >= 0]


LOSSES = [
    Case(px.Poisson(_COUNTS), (4,), poisson_model, directions=[tensor(1, 0, 2, 1)], normals=[-_COUNTS]),
    Case(px.Hinge(), (5,), finite(lambda x: cp.sum(cp.pos(1 - x)))),
    Case(
        px.Quantile(_TAU),
        (5,),
        finite(lambda x: _TAU.numpy() @ cp.pos(x) + (1 - _TAU.numpy()) @ cp.neg(x)),
    ),
    Case(px.Quantile(0.3), (3,), finite(lambda x: cp.sum(0.3 * cp.pos(x) + 0.7 * cp.neg(x)))),
    Case(
        px.Simplex(),
        (4,),
        subject_to(lambda x: [x >= 0, cp.sum(x) == 1]),
        spread=0.7,
        scales_with_t=False,
        directions=[tensor(1, -1, 0, 0)],
        normals=[torch.ones(4, dtype=F64)],
    ),
    Case(
        px.Simplex(tensor(2.5)[0]),
        (5,),
        subject_to(lambda x: [x >= 0, cp.sum(x) == 2.5]),
        scales_with_t=False,
    ),
]
