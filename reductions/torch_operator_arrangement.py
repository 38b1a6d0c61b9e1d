"""Torch equivalents of the atoms that rearrange entries: shape, order, selection, joining."""

from __future__ import annotations

import functools

import numpy as np
import torch
from cvxpy.atoms.affine.broadcast_to import broadcast_to
from cvxpy.atoms.affine.concatenate import Concatenate
from cvxpy.atoms.affine.diag import diag_mat, diag_vec
from cvxpy.atoms.affine.hstack import Hstack
from cvxpy.atoms.affine.index import index, special_index
from cvxpy.atoms.affine.promote import Promote
from cvxpy.atoms.affine.reshape import reshape as reshape_atom
from cvxpy.atoms.affine.transpose import transpose
from cvxpy.atoms.affine.upper_tri import upper_tri
from cvxpy.atoms.affine.vstack import Vstack
from torch import Tensor

from cvxprox.reductions.torch_operator import TorchFunction, torch_operator
from cvxprox.reductions.torch_operator_batch import Shape, align, batch_of, join, reshape, reverse


def gather(positions: np.ndarray, ndim: int, shape: Shape) -> TorchFunction:
    """Select entries by their positions in the argument flattened in C order."""
    flat = torch.from_numpy(np.ascontiguousarray(positions, dtype=np.int64).reshape(-1))

    @functools.cache
    def on(device: torch.device) -> Tensor:
        return flat.to(device)

    def select(x: Tensor) -> Tensor:
        batch = batch_of(x, ndim)
        entries = x.reshape((*batch, -1 if x.numel() else 0)).index_select(-1, on(x.device))
        return entries.reshape(batch + shape)

    return select


@torch_operator.register
def _(atom: reshape_atom) -> TorchFunction:
    ndim, shape = atom.args[0].ndim, atom.shape
    if atom.order == "C":
        return lambda x: reshape(x, ndim, shape)
    return lambda x: reverse(reshape(reverse(x, ndim), ndim, shape[::-1]), len(shape))


@torch_operator.register
def _(atom: transpose) -> TorchFunction:
    ndim = atom.args[0].ndim
    if atom.axes is None:
        return lambda x: reverse(x, ndim)
    axes = [int(axis) % ndim for axis in atom.axes]

    def permute(x: Tensor) -> Tensor:
        lead = x.dim() - ndim
        return x.permute([*range(lead), *(lead + axis for axis in axes)])

    return permute


@torch_operator.register
def _(atom: Promote) -> TorchFunction:
    ndim, shape = atom.args[0].ndim, tuple(atom.shape)
    return lambda x: reshape(x, ndim, (1,) * len(shape)).expand(batch_of(x, ndim) + shape)


@torch_operator.register
def _(atom: broadcast_to) -> TorchFunction:
    ndim, shape = atom.args[0].ndim, tuple(atom.shape)
    return lambda x: align(x, ndim, len(shape)).expand(batch_of(x, ndim) + shape)


@torch_operator.register
def _(atom: index) -> TorchFunction:
    arg = atom.args[0]
    if len(atom.key) == arg.ndim and all(piece is not None and piece.step > 0 for piece in atom.key):
        # Views: much faster backwards than a gather.
        key = (Ellipsis, *(slice(int(p.start), int(p.stop), int(p.step)) for p in atom.key))
        return lambda x: reshape(x[key], arg.ndim, atom.shape)
    positions = np.arange(arg.size).reshape(arg.shape)
    return gather(positions[atom._orig_key], arg.ndim, atom.shape)


@torch_operator.register
def _(atom: special_index) -> TorchFunction:
    arg = atom.args[0]
    return gather(np.arange(arg.size).reshape(arg.shape)[atom.key], arg.ndim, atom.shape)


@torch_operator.register
def _(atom: upper_tri) -> TorchFunction:
    # CVXPY gives the shape (..., tri, 1) but the value (..., tri): the shape counts in expressions.
    ndim = atom.args[0].ndim
    rows, columns = np.triu_indices(atom.args[0].shape[-1], k=1)
    return lambda x: reshape(x[..., rows, columns], ndim - 1, atom.shape)


@torch_operator.register
def _(atom: diag_vec) -> TorchFunction:
    return lambda x: torch.diag_embed(x, offset=int(atom.k))


@torch_operator.register
def _(atom: diag_mat) -> TorchFunction:
    return lambda x: torch.diagonal(x, offset=int(atom.k), dim1=-2, dim2=-1)


def stack_as(atom: Hstack | Vstack | Concatenate, least: int, axis: int) -> TorchFunction:
    """Join along `axis`, after arguments of fewer than `least` dimensions were given leading ones."""
    ndims = [arg.ndim for arg in atom.args]
    ndim = max(least, ndims[0])

    def join_all(*xs: Tensor) -> Tensor:
        return join([align(x, own, ndim) for x, own in zip(xs, ndims, strict=True)], ndim, axis)

    return join_all


@torch_operator.register
def _(atom: Hstack) -> TorchFunction:
    return stack_as(atom, least=1, axis=0 if atom.args[0].ndim <= 1 else 1)


@torch_operator.register
def _(atom: Vstack) -> TorchFunction:
    return stack_as(atom, least=2, axis=0)


@torch_operator.register
def _(atom: Concatenate) -> TorchFunction:
    if atom.axis is not None:
        return stack_as(atom, least=1, axis=atom.axis)
    args = atom.args

    def join_flat(*xs: Tensor) -> Tensor:
        return join([reshape(x, arg.ndim, (arg.size,)) for x, arg in zip(xs, args, strict=True)], 1, 0)

    return join_flat
