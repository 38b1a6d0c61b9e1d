"""Operators with batches of data as dense matrices."""

from __future__ import annotations

import functools
import math
import operator

import torch
from torch import Tensor

from cvxprox.operators.algebra import Adjoint, Composed, Identity, Scaled, Sum
from cvxprox.operators.as_dense import as_dense
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.on_slice import OnSlice
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.operators.sparse_matrix import SparseMatrix
from cvxprox.operators.stacked import Stacked


@functools.singledispatch
def batched_dense(K: LinearOperator, dims: int) -> Tensor:
    """The matrix of an operator whose data have at most `dims` batch dimensions.

    Of shape ``(*batch, prod(shape_out), prod(shape_in))``, C order on both sides, where the batch has
    `dims` dimensions or none. Differentiable in the data.
    """
    size = math.prod(K.shape_in)
    unit = torch.eye(size, dtype=K.dtype_in, device=K.device)
    images = K.forward(unit.reshape(size, *(1,) * dims, *K.shape_in))
    batch = tuple(images.shape[1 : images.dim() - len(K.shape_out)])
    batch = batch if math.prod(batch) != 1 else ()  # the data have none
    return images.reshape((size, *batch, math.prod(K.shape_out))).movedim(0, -1)


@batched_dense.register(Matrix)
@batched_dense.register(SparseMatrix)
@batched_dense.register(SparseEntries)
def _(K: LinearOperator, dims: int) -> Tensor:
    return as_dense(K)


@batched_dense.register
def _(K: Identity, dims: int) -> Tensor:
    return torch.eye(math.prod(K.shape_in), dtype=K.dtype_in, device=K.device)


@batched_dense.register
def _(K: Diagonal, dims: int) -> Tensor:
    weight = K.weight
    batch = weight.shape[: max(weight.dim() - len(K.shape_in), 0)]
    return torch.diag_embed(weight.expand((*batch, *K.shape_in)).reshape(*batch, -1))


@batched_dense.register
def _(K: Adjoint, dims: int) -> Tensor:
    return batched_dense(K.inner, dims).mH


@batched_dense.register
def _(K: Scaled, dims: int) -> Tensor:
    return K.scalar * batched_dense(K.inner, dims)


@batched_dense.register
def _(K: Sum, dims: int) -> Tensor:
    return functools.reduce(operator.add, (batched_dense(term, dims) for term in K.terms))


@batched_dense.register
def _(K: Composed, dims: int) -> Tensor:
    if K.outer.dtype_in.is_complex and not K.dtype_out.is_complex:  # taking a part is no matrix
        return batched_dense.dispatch(LinearOperator)(K, dims)
    match K.outer:
        case Gather(index=index):
            return batched_dense(K.inner, dims)[..., index.reshape(-1), :]
        case Diagonal(weight=weight):
            batch = weight.shape[: max(weight.dim() - len(K.shape_out), 0)]
            rows = weight.expand((*batch, *K.shape_out)).reshape((*batch, -1))
            return rows.unsqueeze(-1) * batched_dense(K.inner, dims)
    outer, inner = batched_dense(K.outer, dims), batched_dense(K.inner, dims)
    kind = torch.promote_types(outer.dtype, inner.dtype)
    return outer.to(kind) @ inner.to(kind)


@batched_dense.register
def _(K: OnSlice, dims: int) -> Tensor:
    inner = batched_dense(K.inner, dims)
    return torch.nn.functional.pad(inner, (K.start, K.size - K.stop))


@batched_dense.register
def _(K: Stacked, dims: int) -> Tensor:
    parts = [batched_dense(block, dims) for block in K.blocks]
    batch = torch.broadcast_shapes(*(part.shape[:-2] for part in parts))
    return torch.cat([part.expand(*batch, *part.shape[-2:]) for part in parts], -2)
