"""What recession and support functions are made of: sizes, and zero where something holds."""

from __future__ import annotations

import torch
from torch import Tensor

from cvxprox.operators.base import recording


def zero_or_inf(holds: Tensor, like: Tensor) -> Tensor:
    """0 where `holds`, ``inf`` elsewhere, in the dtype of `like`."""
    return torch.zeros(holds.shape, dtype=like.dtype, device=like.device).masked_fill_(~holds, torch.inf)


def is_zero(x: Tensor, tol: float, ndim: int) -> Tensor:
    """Whether the infinity norm over the last `ndim` dimensions is at most `tol`."""
    small = x.abs() <= tol
    return small.flatten(-ndim).all(-1) if ndim else small


def tracked(*values: Tensor | float) -> bool:
    """Whether a transform of torch looks at what is computed from any of `values`."""
    return any(isinstance(x, Tensor) and recording(x) for x in values)
