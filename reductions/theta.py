"""The vector of all parameters."""

from __future__ import annotations

import cvxpy as cp
import torch
from torch import Tensor

from cvxprox.reductions.leaf_maps import Tensors
from cvxprox.reductions.torch_values import TorchValues


class Theta:
    """The vector of all parameters and a one; without batch dimensions for numbers that have none."""

    def __init__(self, parameters: list[cp.Parameter], values: Tensors, like: Tensor) -> None:
        self.flat: list[Tensor] = []
        for p in parameters:
            value = values[p.id].to(like)
            self.flat.append(value.reshape(*value.shape[: value.dim() - p.ndim], -1))
        self.one = like.new_ones(1)
        self.made: dict[tuple[int, ...], Tensor] = {}

    def batched_for(self, values: TorchValues) -> bool:
        """Whether a parameter with batch dimensions touches these numbers."""
        return any(self.flat[k].dim() > 1 for k in values.parameters)

    def parts(self, start: int, size: int) -> list[Tensor]:
        """The tensors that hold `size` entries from `start` on, of shape ``(*batch, entries)``."""
        found, first = [], 0
        for flat in self.flat:
            last = first + flat.shape[-1]
            low, high = max(start, first), min(start + size, last)
            if low < high:
                whole = high - low == flat.shape[-1]
                found.append(flat if whole else flat[..., low - first : high - first])
            first = last
        return found

    def of(self, values: TorchValues) -> Tensor:
        """The entries of which these numbers are a function."""
        key = values.parameters
        if key not in self.made:
            parts = [self.flat[k] for k in key]
            batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
            self.made[key] = torch.cat([part.expand(*batch, -1) for part in (*parts, self.one)], -1)
        return self.made[key]
