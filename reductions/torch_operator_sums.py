"""Torch equivalents of the atoms that add entries, or act on each of them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import torch
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.conj import conj
from cvxpy.atoms.affine.cumsum import cumsum
from cvxpy.atoms.affine.imag import imag
from cvxpy.atoms.affine.real import real
from cvxpy.atoms.affine.sum import Sum
from cvxpy.atoms.affine.trace import Trace
from cvxpy.atoms.affine.unary_operators import NegExpression
from cvxpy.atoms.affine.wraps import Wrap
from cvxpy.atoms.cumprod import cumprod
from cvxpy.atoms.elementwise.power import Power
from numpy.lib.array_utils import normalize_axis_tuple
from torch import Tensor

from cvxprox.reductions.torch_operator import TorchFunction, torch_operator
from cvxprox.reductions.torch_operator_batch import Shape, align, batch_of, reshape


def add(ndims: Sequence[int], shape: Shape) -> TorchFunction:
    """Sum of tensors whose expressions have these dimensions, broadcast to `shape`."""
    shape, ndim = tuple(shape), len(shape)

    def total(*xs: Tensor) -> Tensor:
        terms = (align(x, own, ndim) for x, own in zip(xs, ndims, strict=True))
        out = functools.reduce(operator.add, terms)
        return out.expand(batch_of(out, ndim) + shape)

    return total


@torch_operator.register
def _(atom: AddExpression) -> TorchFunction:
    return add([arg.ndim for arg in atom.args], atom.shape)


@torch_operator.register
def _(atom: NegExpression) -> TorchFunction:
    return operator.neg


@torch_operator.register
def _(atom: Sum) -> TorchFunction:
    ndim = atom.args[0].ndim
    if ndim == 0:
        return identity
    axes = tuple(range(ndim)) if atom.axis is None else normalize_axis_tuple(atom.axis, ndim)
    dims = tuple(axis - ndim for axis in axes)
    return (lambda x: x.sum(dim=dims, keepdim=bool(atom.keepdims))) if dims else identity


@torch_operator.register
def _(atom: Trace) -> TorchFunction:
    return lambda x: torch.diagonal(x, dim1=-2, dim2=-1).sum(dim=-1)


@torch_operator.register
def _(atom: cumsum) -> TorchFunction:
    return along_axis(atom, torch.cumsum)


@torch_operator.register
def _(atom: cumprod) -> TorchFunction:
    # Not affine, and yet an AffAtom: here for products of parameters.
    return along_axis(atom, torch.cumprod)


def along_axis(atom: cumsum | cumprod, function: TorchFunction) -> TorchFunction:
    """A cumulative operation along the atom's axis; along the C-order vector without one."""
    arg = atom.args[0]
    if atom.axis is None or arg.ndim == 0:
        return lambda x: reshape(function(reshape(x, arg.ndim, (arg.size,)), dim=-1), 1, atom.shape)
    (axis,) = normalize_axis_tuple(atom.axis, arg.ndim)
    return lambda x: function(x, dim=axis - arg.ndim)


@torch_operator.register
def _(atom: real) -> TorchFunction:
    return torch.real


@torch_operator.register
def _(atom: imag) -> TorchFunction:
    return lambda x: torch.imag(x) if x.is_complex() else torch.zeros_like(x)


@torch_operator.register
def _(atom: conj) -> TorchFunction:
    return lambda x: torch.conj_physical(x) if x.is_complex() else x


@torch_operator.register
def _(atom: Wrap) -> TorchFunction:
    return identity


@torch_operator.register
def _(atom: Power) -> TorchFunction:
    # power(x, 1) is affine without being an AffAtom; other powers occur on parameters.
    if atom.p_used == 1:
        return identity
    if atom.p_used is not None:
        return lambda x: x**atom.p_used
    return lambda x: x ** float(atom.p.value)


def identity(x: Tensor) -> Tensor:
    return x
