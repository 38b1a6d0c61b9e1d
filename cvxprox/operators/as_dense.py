"""Operators as dense torch matrices."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from cvxprox.operators.base import LinearOperator
from cvxprox.operators.matrix import Matrix
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.operators.sparse_matrix import SparseMatrix


@functools.singledispatch
def as_dense(K: LinearOperator) -> Tensor:
    """The matrix of `K`, of shape ``(prod(shape_out), prod(shape_in))``, C order on both sides.

    Differentiable in the operator's data; batch dimensions of the data lead. For an operator
    that is linear only over the reals it is the action on the real unit vectors.
    """
    size = math.prod(K.shape_in)
    unit = torch.eye(size, dtype=K.dtype_in, device=K.device)
    return _flatten(K.forward(unit.reshape((size, *K.shape_in))), K).mT


def _flatten(images: Tensor, K: LinearOperator) -> Tensor:
    lead = images.shape[: images.dim() - len(K.shape_out)]
    return images.reshape((*lead, math.prod(K.shape_out)))


@as_dense.register
def _(K: Matrix) -> Tensor:
    return K.matrix


@as_dense.register
def _(K: SparseMatrix) -> Tensor:
    return K.pair.matrix.to_dense().to(K.dtype_in)


@as_dense.register
def _(K: SparseEntries) -> Tensor:
    row, column = K.pattern.places
    return K.values.new_zeros(K.pattern.shape).index_put((row, column), K.values)
