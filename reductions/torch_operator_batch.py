"""Batch dimensions in front of the dimensions that CVXPY knows."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

Shape = tuple[int, ...]


def batch_of(x: Tensor, ndim: int) -> Shape:
    """The batch dimensions of a tensor whose last `ndim` dimensions are the expression's."""
    return tuple(x.shape[: x.dim() - ndim])


def align(x: Tensor, ndim: int, target: int) -> Tensor:
    """Give the expression `target` dimensions, by ones between the batch and its own."""
    if ndim == target:
        return x
    batch = batch_of(x, ndim)
    return x.reshape(batch + (1,) * (target - ndim) + tuple(x.shape[len(batch) :]))


def reshape(x: Tensor, ndim: int, shape: Shape) -> Tensor:
    """Reshape the expression, in C order."""
    return x.reshape(batch_of(x, ndim) + tuple(shape))


def reverse(x: Tensor, ndim: int) -> Tensor:
    """Reverse the order of the expression's dimensions."""
    lead = x.dim() - ndim
    return x.permute([*range(lead), *reversed(range(lead, x.dim()))])


def join(xs: Sequence[Tensor], ndim: int, axis: int) -> Tensor:
    """Concatenate expressions of `ndim` dimensions along one of them."""
    batches = [batch_of(x, ndim) for x in xs]
    if any(batch != batches[0] for batch in batches):
        batch = torch.broadcast_shapes(*batches)
        xs = [x.expand(batch + tuple(x.shape[len(own) :])) for x, own in zip(xs, batches, strict=True)]
    return torch.cat(list(xs), dim=axis - ndim)


def promote(*xs: Tensor) -> list[Tensor]:
    """The tensors in their common element type."""
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in xs))
    return [x.to(dtype) for x in xs]
