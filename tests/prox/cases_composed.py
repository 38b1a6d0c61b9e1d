"""Cases of functions of scaled, shifted and transformed arguments."""

from __future__ import annotations

import math
from collections.abc import Callable

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor

import cvxprox.prox as px
from cvxprox.operators import (
    ChannelMatrix,
    Convolution,
    Cosine,
    Diagonal,
    Fourier,
    Gather,
    LinearOperator,
    Subsample,
)

from .case import F64, INF, Case, finite, subject_to, tensor

_SCALE, _SHIFT = tensor(2.0, -1.0, 0.5, -3.0, 0.0), tensor(0.3, -0.7, 1.1, 0.4, 0.2)


def affine(x: cp.Variable) -> cp.Expression:
    return cp.multiply(_SCALE.numpy(), x) + _SHIFT.numpy()


def least_squares(operator: LinearOperator, seed: int) -> Case:
    """The squared residual of random data."""
    rng = np.random.default_rng(seed)
    target = torch.tensor(rng.standard_normal(operator.shape_out)).to(operator.dtype_out)
    F, d = dense(operator), target.reshape(-1).numpy()
    kernel = torch.linalg.svd(torch.tensor(np.vstack([F.real, F.imag])))
    flat = kernel.Vh[(kernel.S > 1e-9).sum() :]
    model: Callable = finite(
        lambda x: cp.sum_squares(F.real @ x - d.real) + cp.sum_squares(F.imag @ x - d.imag)
    )
    return Case(px.LeastSquares(operator, target), (F.shape[1],), model, directions=list(flat[:2]))


def dense(operator: LinearOperator) -> np.ndarray:
    """The matrix of an operator on real tensors."""
    size = math.prod(operator.shape_in)
    columns = operator.forward(torch.eye(size, dtype=F64).reshape(size, *operator.shape_in))
    return columns.reshape(size, -1).mT.numpy()


def random(*shape: int) -> Tensor:
    return torch.tensor(np.random.default_rng(1).standard_normal(shape))


_MASK = (random(3, 4) > 0).to(torch.complex128)
_BLUR = Convolution(random(3, 3), (4, 4))

OPERATORS: list[LinearOperator] = [
    Diagonal(tensor(1, -2, 0, 0.5).reshape(2, 2)),
    2.0 * Gather(torch.tensor([0, 3, 3, 1]), (2, 3)),
    Convolution(random(2, 3), (3, 4)),
    Convolution(tensor(1, 2, 1).reshape(1, 3), (2, 4), boundary="reflect"),
    Diagonal(_MASK) @ Fourier((3, 4)),
    Gather(torch.tensor([0, 5, 2]), (2, 3), torch.complex128) @ Fourier((2, 3)),
    Subsample((4, 4), (2, 2), (0, 1)) @ _BLUR,  # the spectrum of FF* is known
    ChannelMatrix(torch.linalg.qr(random(3, 2)).Q.mT, (3, 2), -2),
]

_SWAP = Gather(torch.tensor([[2, 0, 5], [1, 4, 3]]), (6,))
_SWAPPED = [2, 0, 5, 1, 4, 3]

COMPOSED = [
    Case(
        px.Precomposed(px.Huber(0.5), _SCALE, _SHIFT),
        (5,),
        finite(lambda x: cp.sum(cp.huber(affine(x), 0.5))),
    ),
    Case(px.Precomposed(px.Exp(), _SCALE, _SHIFT), (5,), finite(lambda x: cp.sum(cp.exp(affine(x))))),
    Case(
        px.Precomposed(px.NegLog(), _SCALE, _SHIFT + 1),
        (5,),
        finite(lambda x: -cp.sum(cp.log(affine(x) + 1))),
        spread=0.7,
    ),
    Case(
        px.Precomposed(px.Box(tensor(-1, 0, -INF, -2, -1), tensor(1, INF, 0.5, 3, 1)), _SCALE, _SHIFT),
        (5,),
        subject_to(
            lambda x: [
                affine(x)[[0, 1, 3]] >= np.array([-1, 0, -2]),
                affine(x)[[0, 2, 3]] <= np.array([1, 0.5, 3]),
            ]
        ),
        scales_with_t=False,
        directions=[tensor(0, -1, -1, 0, 1)],
        normals=[tensor(1, 1, 1, -1, 0)],
    ),
    Case(px.Precomposed(px.Abs(), -2.0), (3,), finite(lambda x: cp.norm1(-2 * x))),
    Case(px.Precomposed(px.Abs(), shift=_SHIFT), (5,), finite(lambda x: cp.norm1(x + _SHIFT.numpy()))),
    Case(
        px.Precomposed(px.Norm2(), tensor(-1.5)[0], _SHIFT[:4]),
        (4,),
        finite(lambda x: cp.norm(-1.5 * x + _SHIFT[:4].numpy(), 2)),
    ),
    Case(px.Precomposed(px.Max(), 0.0, 1.0), (4,), finite(lambda x: 1.0 + 0 * cp.sum(x))),
    Case(
        px.Precomposed(px.SecondOrderCone(), -2.0, _SHIFT[:3]),
        (3,),
        subject_to(lambda x: [cp.SOC(_SHIFT[0].item() - 2 * x[0], _SHIFT[1:3].numpy() - 2 * x[1:])]),
        directions=[tensor(-1, 0.6, 0.7), tensor(-1, 0.6, 0.9)],
        normals=[tensor(1, 0.6, 0.7), tensor(1, 0.6, 0.9)],
    ),
    Case(
        px.Orthogonal(px.Huber(0.5), 1.5 * _SWAP, (6,)),
        (6,),
        finite(lambda x: cp.sum(cp.huber(1.5 * x, 0.5))),
    ),
    Case(
        px.Orthogonal(px.Norm2(), -2.0 * _SWAP, (3, 2)),
        (6,),
        finite(lambda x: sum(cp.norm(2 * x[_SWAPPED[i : i + 2]], 2) for i in (0, 2, 4))),
    ),
    Case(
        px.Orthogonal(px.Abs(), Cosine((2, 3)), (6,)),
        (6,),
        finite(lambda x: cp.norm1(dense(Cosine((2, 3))) @ x)),
    ),
    Case(
        px.Clipped(px.Huber(0.5), tensor(-0.4, -INF, 0.3, -2), tensor(0.6, 0.5, INF, -1)),
        (4,),
        lambda x: (
            cp.sum(cp.huber(x, 0.5)),
            [x[[0, 2, 3]] >= np.array([-0.4, 0.3, -2]), x[[0, 1, 3]] <= np.array([0.6, 0.5, -1])],
        ),
        directions=[tensor(0, -1, 1, 0), tensor(0, 1, 0, 0)],
        normals=[tensor(1, 1, -1, -1), tensor(1, -1, 0, 0)],
    ),
    Case(
        px.Clipped(px.Abs(), tensor(-0.1, -1, -1), tensor(INF, 1, 0.2)),
        (3,),
        lambda x: (cp.norm1(x), [x >= np.array([-0.1, -1, -1]), x[1:] <= np.array([1, 0.2])]),
        directions=[tensor(1, 0, 0)],
        normals=[tensor(-1, 1, 1), tensor(1, 0, 0)],
    ),
    *(least_squares(operator, seed) for seed, operator in enumerate(OPERATORS)),
]
