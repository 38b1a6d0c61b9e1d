"""Selection of entries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators.base import LinearOperator, Shape, batch_shape, declare


@dataclass(frozen=True, eq=False, repr=False)
class Gather(LinearOperator):
    r"""Selection of entries, :math:`(Kx)_i = x_{\pi(i)}`; the adjoint adds them back in place.

    It covers indexing, slicing with any step, transposes, reshapes of any order, replication,
    subsampling and masks.

    Parameters
    ----------
    index : Tensor
        :math:`\pi`, integers of shape `shape_out`: positions in the argument flattened in C order.
    shape_in : tuple of int
        Shape of the argument.
    dtype_in : torch.dtype
        Its element type.

    Raises
    ------
    IndexError
        If a position is negative or past the end.
    """

    index: Tensor
    shape_in: Shape
    dtype_in: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        size = math.prod(self.shape_in)
        if self.index.numel() and not 0 <= int(self.index.min()) <= int(self.index.max()) < size:
            raise IndexError(f"positions must be in 0..{size - 1} for an argument of shape {self.shape_in}.")
        shape_out = tuple(self.index.shape)
        declare(self, self.shape_in, shape_out, self.dtype_in, self.dtype_in, self.index.device)

    def forward(self, x: Tensor) -> Tensor:
        batch = batch_shape(x, self.shape_in)
        flat = x.reshape((*batch, math.prod(self.shape_in)))
        return flat.index_select(-1, self.index.reshape(-1)).reshape(batch + self.shape_out)

    def adjoint(self, y: Tensor) -> Tensor:
        batch = batch_shape(y, self.shape_out)
        zero = torch.zeros((*batch, math.prod(self.shape_in)), dtype=y.dtype, device=y.device)
        flat = y.reshape((*batch, self.index.numel()))
        return zero.index_add(-1, self.index.reshape(-1), flat).reshape(batch + self.shape_in)
