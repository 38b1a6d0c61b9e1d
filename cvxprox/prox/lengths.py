"""The lengths of many points, for shrinking and normalising them."""

from __future__ import annotations

import torch
from torch import Tensor

FEW = 3  # components up to which their squares are summed one by one
SOME = 64  # the same where points are not contiguous


def inverse_lengths(v: Tensor) -> Tensor:
    r""":math:`1 / \|v\|_2` over the last dimension, ``inf`` at 0, in new memory; not differentiable."""
    if _contiguous_or_long(v):
        return torch.linalg.vector_norm(v, dim=-1).reciprocal_()
    return _squared(v).rsqrt_()


def lengths(v: Tensor) -> Tensor:
    r""":math:`\|v\|_2` over the last dimension; not differentiable.

    The reductions of torch take 90 ms for a million pairs that are stored component by component,
    as differences of images are, and the sum of their squares 0.6 ms.
    """
    if _contiguous_or_long(v):
        return torch.linalg.vector_norm(v, dim=-1)
    return _squared(v).sqrt_()


def _contiguous_or_long(v: Tensor) -> bool:
    size = v.shape[-1]
    return size > SOME or (size > FEW and v.stride(-1) == 1)


def _squared(v: Tensor) -> Tensor:
    first, *others = v.unbind(-1)
    total = first.square()
    for component in others:
        total.addcmul_(component, component)
    return total
