"""Torch equivalents of the products: of matrices, elementwise, Kronecker, convolution."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from cvxpy.atoms.affine.binary_operators import DivExpression, MulExpression, multiply
from cvxpy.atoms.affine.conv import conv, convolve
from cvxpy.atoms.affine.kron import kron
from cvxpy.atoms.atom import Atom
from torch import Tensor

from cvxprox.operators import SparseMatrix
from cvxprox.reductions.torch_operator import TorchFunction, torch_operator
from cvxprox.reductions.torch_operator_batch import align, promote, reshape


def elementwise(atom: Atom, function: Callable[[Tensor, Tensor], Tensor]) -> TorchFunction:
    """An elementwise function of two arguments, the smaller one broadcast."""
    left, right = atom.args
    ndim = max(left.ndim, right.ndim)
    return lambda x, y: function(align(x, left.ndim, ndim), align(y, right.ndim, ndim))


@torch_operator.register
def _(atom: multiply) -> TorchFunction:
    return elementwise(atom, torch.mul)


@torch_operator.register
def _(atom: DivExpression) -> TorchFunction:
    return elementwise(atom, torch.div)


@torch_operator.register
def _(atom: MulExpression) -> TorchFunction:
    left, right = atom.args
    if left.ndim == 0 or right.ndim == 0:
        return elementwise(atom, torch.mul)
    ndim = max(left.ndim, right.ndim, 2)
    kept = ndim - (left.ndim == 1) - (right.ndim == 1)

    def product(x: Tensor, y: Tensor) -> Tensor:
        x, y = promote(x, y)
        x = align(x.unsqueeze(-2) if left.ndim == 1 else x, max(left.ndim, 2), ndim)
        y = align(y.unsqueeze(-1) if right.ndim == 1 else y, max(right.ndim, 2), ndim)
        out = x @ y
        out = out.squeeze(-1) if right.ndim == 1 else out
        out = out.squeeze(-2 if right.ndim > 1 else -1) if left.ndim == 1 else out
        return reshape(out, kept, atom.shape)

    return product


@torch_operator.register
def _(atom: kron) -> TorchFunction:
    def product(x: Tensor, y: Tensor) -> Tensor:
        out = x[..., :, None, :, None] * y[..., None, :, None, :]
        return reshape(out, 4, atom.shape)

    return product


@torch_operator.register(conv)
@torch_operator.register(convolve)
def _(atom: conv | convolve) -> TorchFunction:
    left, right = atom.args
    # conv also takes columns, and then returns one.
    return lambda x, y: reshape(
        full_convolution(reshape(x, left.ndim, (left.size,)), reshape(y, right.ndim, (right.size,))),
        1,
        atom.shape,
    )


def full_convolution(x: Tensor, y: Tensor) -> Tensor:
    """:math:`c_k = \\sum_{i+j=k} x_i y_j` over the last dimension, batch dimensions broadcast."""
    x, y = promote(x, y)
    batch = torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    taps = x.shape[-1]
    if x.dim() == 1:  # one kernel for the whole batch
        signals, kernels = y.reshape(-1, 1, y.shape[-1]), x.flip(-1)[None, None]
    else:  # a kernel each: one group for every sample
        signals = y.expand((*batch, y.shape[-1])).reshape(1, -1, y.shape[-1])
        kernels = x.expand((*batch, taps)).reshape(-1, 1, taps).flip(-1)
    groups = signals.shape[1]
    out = torch.nn.functional.conv1d(signals, kernels, padding=taps - 1, groups=groups)
    return out.reshape((*batch, out.shape[-1]))


@functools.singledispatch
def sparse_operator(atom: Atom) -> Callable[..., Tensor] | None:
    """The function of an atom one of whose arguments is a constant `SparseMatrix`; None if dense only."""
    return None


@sparse_operator.register
def _(atom: multiply) -> None:
    return None


@sparse_operator.register
def _(atom: MulExpression) -> Callable[..., Tensor] | None:
    left, right = atom.args
    if min(left.ndim, right.ndim) == 0 or max(left.ndim, right.ndim) > 2:
        return None

    def product(x: Tensor | SparseMatrix, y: Tensor | SparseMatrix) -> Tensor:
        match x, y:
            case SparseMatrix(), Tensor():
                return x(y) if right.ndim == 1 else x(y.mT).mT
            case Tensor(), SparseMatrix():
                return y.plain_transpose(x)
        raise TypeError("a sparse product has one sparse constant")

    return product
