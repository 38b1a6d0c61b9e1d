"""Operators stacked on top of each other."""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators.base import LinearOperator, batch_shape, declare, match_kind


@dataclass(frozen=True, eq=False, repr=False)
class Stacked(LinearOperator):
    r""":math:`x \mapsto (\mathrm{vec}\,K_1x, \ldots, \mathrm{vec}\,K_px)`, one vector.

    The results are flattened in C order and joined, so they may differ in shape; `split` takes
    the vector apart again. The adjoint is :math:`\sum_i K_i^* y_i`.
    """

    blocks: tuple[LinearOperator, ...]

    def __post_init__(self) -> None:
        K = self.blocks[0]
        for other in self.blocks[1:]:
            if other.shape_in != K.shape_in:
                raise ValueError(f"cannot stack {K} and {other}: they act on different shapes.")
        kind = functools.reduce(torch.promote_types, (block.dtype_out for block in self.blocks))
        declare(self, K.shape_in, (sum(self.sizes),), K.dtype_in, kind, K.device)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of entries of each piece."""
        return tuple(math.prod(block.shape_out) for block in self.blocks)

    def split(self, y: Tensor) -> tuple[Tensor, ...]:
        """The pieces of a stacked vector, each in the shape of its operator's results."""
        pieces = y.split(self.sizes, dim=-1)
        return tuple(
            piece.reshape(y.shape[:-1] + block.shape_out)
            for piece, block in zip(pieces, self.blocks, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        results = [block.forward(x) for block in self.blocks]
        batches = [batch_shape(r, b.shape_out) for r, b in zip(results, self.blocks, strict=True)]
        batch = torch.broadcast_shapes(*batches)
        pieces = [
            r.reshape((*own, size)).expand((*batch, size))
            for r, own, size in zip(results, batches, self.sizes, strict=True)
        ]
        return torch.cat(pieces, dim=-1)

    def adjoint(self, y: Tensor) -> Tensor:
        parts = (
            block.adjoint(match_kind(piece, block.dtype_out))
            for block, piece in zip(self.blocks, self.split(y), strict=True)
        )
        return functools.reduce(operator.add, parts)
