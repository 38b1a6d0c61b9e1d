"""Operators on another device or in another precision."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from torch import Tensor

from cvxprox.operators.algebra import Adjoint, Composed, Identity, Scaled, Sum
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.operators.sparse_matrix import SparseMatrix
from cvxprox.operators.stacked import Stacked

Device = torch.device | str


@functools.singledispatch
def move(K: LinearOperator, device: Device, dtype: torch.dtype) -> LinearOperator:
    """`K` on `device`, acting on tensors of the real type `dtype` or, if it is complex, its counterpart.

    Raises
    ------
    ValueError
        If the operator hides its data, as a `FunctionOperator` does.
    """
    if torch.device(device) == K.device and dtype.to_real() == K.dtype_in.to_real():
        return K
    raise ValueError(
        f"{K} cannot be moved: build it again on {device} in {dtype}, or register its type "
        "with `@cvxprox.operators.move.register`."
    )


def moved_kind(old: torch.dtype, dtype: torch.dtype) -> torch.dtype:
    """The type of the kind (real or complex) of `old` in the precision of `dtype`."""
    return dtype.to_complex() if old.is_complex else dtype.to_real()


def moved_tensor(x: Tensor, device: Device, dtype: torch.dtype) -> Tensor:
    """`x` on `device` in the precision of `dtype`."""
    return x.to(device, moved_kind(x.dtype, dtype))


@move.register
def _(K: Identity, device: Device, dtype: torch.dtype) -> LinearOperator:
    return Identity(K.shape_in, moved_kind(K.dtype_in, dtype), torch.device(device))


@move.register
def _(K: Scaled, device: Device, dtype: torch.dtype) -> LinearOperator:
    scalar = moved_tensor(K.scalar, device, dtype) if isinstance(K.scalar, Tensor) else K.scalar
    return Scaled(scalar, move(K.inner, device, dtype))


@move.register
def _(K: Sum, device: Device, dtype: torch.dtype) -> LinearOperator:
    return Sum(tuple(move(term, device, dtype) for term in K.terms))


@move.register
def _(K: Composed, device: Device, dtype: torch.dtype) -> LinearOperator:
    return Composed(move(K.outer, device, dtype), move(K.inner, device, dtype))


@move.register
def _(K: Adjoint, device: Device, dtype: torch.dtype) -> LinearOperator:
    return Adjoint(move(K.inner, device, dtype))


@move.register
def _(K: Stacked, device: Device, dtype: torch.dtype) -> LinearOperator:
    return Stacked(tuple(move(block, device, dtype) for block in K.blocks))


@move.register
def _(K: Matrix, device: Device, dtype: torch.dtype) -> LinearOperator:
    return Matrix(moved_tensor(K.matrix, device, dtype))


@move.register
def _(K: Diagonal, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, weight=moved_tensor(K.weight, device, dtype))


@move.register
def _(K: SparseMatrix, device: Device, dtype: torch.dtype) -> LinearOperator:
    kind, device = moved_kind(K.dtype_in, dtype), torch.device(device)
    return K if (K.device, K.dtype_in) == (device, kind) else SparseMatrix(K.matrix, kind, device)


@move.register
def _(K: SparseEntries, device: Device, dtype: torch.dtype) -> LinearOperator:
    return SparseEntries(K.matrix, moved_tensor(K.values, device, dtype))


@move.register
def _(K: Gather, device: Device, dtype: torch.dtype) -> LinearOperator:
    return Gather(K.index.to(device), K.shape_in, moved_kind(K.dtype_in, dtype))
