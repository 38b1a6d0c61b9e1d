"""For every convex prox: examples, and the same function written in CVXPY."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor

import cvxprox.prox as px
from cvxprox.prox import ProxFunction

from .case import F64, INF, Case, finite, subject_to, tensor
from .cases_composed import COMPOSED
from .cases_losses import LOSSES


def psd_model(x: cp.Variable) -> tuple[None, list]:
    matrix = cp.Variable((3, 3), PSD=True)
    entries = [matrix[i, j] * (1 if i == j else math.sqrt(2)) for j in range(3) for i in range(j + 1)]
    return None, [x == cp.hstack(entries)]


_A = tensor(1, 2, -1, 0.5, 0, 1, 1, -1).reshape(2, 4)
_B = tensor(1.0, -2.0)
_ROOT = tensor(1, 0.3, -0.5, 0.2, 1, 0.4, 0, 0, 0).reshape(3, 3)  # a singular Q
_Q = _ROOT.mT @ _ROOT
_LOWER, _UPPER = tensor(-1, 0, -INF, 0, 0.5, -INF), tensor(1, INF, 0.5, 0, 0.5, INF)
_FINITE_LOWER, _FINITE_UPPER = np.maximum(_LOWER.numpy(), -1e3), np.minimum(_UPPER.numpy(), 1e3)


def sym(x: cp.Variable) -> list:
    return [x == x.T]


CASES = [
    Case(
        px.Box(_LOWER, _UPPER),
        (6,),
        subject_to(lambda x: [x >= _FINITE_LOWER, x <= _FINITE_UPPER]),
        scales_with_t=False,
        directions=[torch.zeros(6, dtype=F64)],
        normals=[torch.zeros(6, dtype=F64)],
    ),
    Case(px.Abs(), (5,), finite(lambda x: cp.norm1(x))),
    Case(px.Positive(), (5,), finite(lambda x: cp.sum(cp.pos(x)))),
    Case(px.Square(), (4,), finite(cp.sum_squares), directions=[torch.zeros(4, dtype=F64)]),
    Case(px.Huber(tensor(0.5)[0]), (6,), finite(lambda x: cp.sum(cp.huber(x, 0.5)))),
    Case(px.Exp(), (4,), finite(lambda x: cp.sum(cp.exp(x)))),
    Case(px.NegLog(), (4,), finite(lambda x: -cp.sum(cp.log(x)))),
    Case(px.NegEntropy(), (4,), finite(lambda x: -cp.sum(cp.entr(x)))),
    Case(px.Logistic(), (4,), finite(lambda x: cp.sum(cp.logistic(x)))),
    Case(
        px.SecondOrderCone(),
        (4,),
        subject_to(lambda x: [cp.SOC(x[0], x[1:])]),
        directions=[tensor(1, 0.6, 0, 0.7), tensor(1, 0.6, 0, 0.9)],
        normals=[tensor(-1, 0.6, 0, 0.7), tensor(-1, 0.6, 0, 0.9)],
    ),
    Case(px.Norm2(), (4,), finite(lambda x: cp.norm(x, 2)), spread=0.7),
    Case(px.NormInf(), (4,), finite(lambda x: cp.norm(x, "inf")), spread=0.5),
    Case(px.Max(), (4,), finite(cp.max)),
    Case(px.SumLargest(2), (5,), finite(lambda x: cp.sum_largest(x, 2))),
    Case(px.SumLargest(2.4), (5,), finite(lambda x: cp.sum_largest(x, 2.4)), spread=0.5),
    Case(px.SumLargest(7), (5,), finite(lambda x: cp.sum(x))),
    Case(px.LogSumExp(), (4,), finite(lambda x: cp.log_sum_exp(x))),
    Case(px.Norm2Ball(2.0), (3,), subject_to(lambda x: [cp.norm(x, 2) <= 2.0]), scales_with_t=False),
    Case(px.Norm1Ball(tensor(2.0)[0]), (4,), subject_to(lambda x: [cp.norm1(x) <= 2.0]), scales_with_t=False),
    Case(
        px.SquaredDistance(px.Box(tensor(-1, 0, 0.5), tensor(1, INF, 0.5))),
        (3,),
        finite(
            lambda x: (
                cp.sum_squares(cp.pos(cp.hstack([x[0] - 1, -1 - x[0], -x[1]]))) / 2
                + cp.square(x[2] - 0.5) / 2
            )
        ),
        directions=[tensor(0, 1, 0)],
    ),
    Case(
        px.SquaredDistance(px.Norm2Ball(2.0)),
        (3,),
        finite(lambda x: cp.square(cp.pos(cp.norm(x, 2) - 2.0)) / 2),
        directions=[torch.zeros(3, dtype=F64)],
    ),
    Case(
        px.AffineSet(_A, _B),
        (4,),
        subject_to(lambda x: [_A.numpy() @ x == _B.numpy()]),
        directions=[tensor(0, 1, 2, 2.0) - tensor(0, 1, 2, 2.0) @ torch.linalg.pinv(_A) @ _A],
        normals=[tensor(2.0, 1.0) @ _A],
    ),
    Case(
        px.QuadForm(_Q),
        (3,),
        finite(lambda x: cp.sum_squares(_ROOT.numpy() @ x)),
        directions=[torch.linalg.eigh(_Q).eigenvectors[:, 0]],
    ),
    Case(
        px.ExponentialCone(),
        (3,),
        subject_to(lambda x: [cp.ExpCone(x[0], x[1], x[2])]),
        directions=[tensor(-1, 0, 2), tensor(1, 1, 2.8), tensor(1, 1, 2.7)],
        normals=[tensor(0, -1, -1), tensor(1, 0, -0.4), tensor(1, 0, -0.3)],
    ),
    Case(
        px.PowerCone3D(tensor(0.3)[0]),
        (3,),
        subject_to(lambda x: [cp.PowCone3D(x[0], x[1], x[2], 0.3)]),
        directions=[tensor(1, 2, -1.6), tensor(1, 2, -1.7)],
        normals=[tensor(-0.3, -1.4, 1.6), tensor(-0.3, -1.4, 1.7)],
    ),
    Case(px.NuclearNorm(), (2, 3), finite(cp.normNuc), spread=1.0),
    Case(px.NuclearNorm(), (3, 2), finite(cp.normNuc), spread=1.0),
    Case(px.SpectralNorm(), (3, 2), finite(cp.sigma_max), spread=0.7),
    Case(px.SpectralNorm(), (2, 3), finite(cp.sigma_max), spread=0.7),
    Case(px.NuclearBall(1.5), (3, 2), subject_to(lambda x: [cp.normNuc(x) <= 1.5]), scales_with_t=False),
    Case(px.SpectralBall(1.5), (3, 3), subject_to(lambda x: [cp.sigma_max(x) <= 1.5]), scales_with_t=False),
    Case(px.LambdaMax(), (3, 3), lambda x: (cp.lambda_max((x + x.T) / 2), sym(x)), spread=0.7),
    Case(px.NegLogDet(), (3, 3), lambda x: (-cp.log_det((x + x.T) / 2), sym(x))),
    Case(
        px.PsdCone(3),
        (6,),
        psd_model,
        directions=[tensor(1, 0.5, 1, 0, 0, 0)],
        normals=[tensor(-1, 0.5, -1, 0, 0, 0)],
    ),
    *LOSSES,
    *COMPOSED,
]


def concrete(base: type = ProxFunction) -> Iterator[type]:
    """Every prox that exists."""
    for child in base.__subclasses__():
        if not inspect.isabstract(child):
            yield child
        yield from concrete(child)


def batch_sum(x: Tensor, ndim: int) -> Tensor:
    """A separable function's values are summed over the point, to compare with CVXPY's."""
    return x.sum(-1) if ndim == 0 else x
