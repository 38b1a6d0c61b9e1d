"""The vector of all parameters."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor

from cvxprox.reductions.leaf_maps import Tensors
from cvxprox.reductions.torch_values import TorchValues


class Theta:
    """The vector of all parameters and a one; without batch dimensions for numbers that have none."""

    def __init__(self, parameters: list[cp.Parameter], values: Tensors, like: Tensor) -> None:
        self.flat, self.batched = [], []
        for p in parameters:
            value = values[p.id].to(like)
            batch = value.shape[: value.dim() - p.ndim]
            self.flat.append(value.reshape(*batch, -1))
            self.batched.append(np.full(p.size, bool(batch)))
        self.flat.append(like.new_ones(1))
        self.where = np.concatenate([*self.batched, np.zeros(1, dtype=bool)])
        self.made: dict[bool, Tensor] = {}

    def batched_for(self, values: TorchValues) -> bool:
        """Whether a parameter with batch dimensions touches these numbers."""
        return bool(self.where[values.touched].any())

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
        """The vector for these numbers."""
        batched = self.batched_for(values)
        if batched not in self.made:
            batch = torch.broadcast_shapes(*(f.shape[:-1] for f in self.flat)) if batched else ()
            parts = [
                f.expand(*batch, -1) if batched or f.dim() == 1 else f.detach().flatten(0, -2)[0]
                for f in self.flat
            ]
            self.made[batched] = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        return self.made[batched]
