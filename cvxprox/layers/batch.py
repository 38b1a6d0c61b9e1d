"""Batches of tensors, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from cvxprox.algorithms import Point

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Flat(Generic[Key]):
    """Tensors with the same batch, flattened to one dimension, or with none.

    Attributes
    ----------
    batched : dict of Key to Tensor
        Of shape ``(samples, *shape)``.
    shared : dict of Key to Tensor
        Of shape ``shape``: the same for all samples.
    """

    batched: dict[Key, Tensor]
    shared: dict[Key, Tensor]

    @classmethod
    def of(cls, tensors: Mapping[Key, Tensor], ndims: Mapping[Key, int], batch: tuple[int, ...]) -> Flat[Key]:
        """From tensors whose batch dimensions broadcast to `batch`; `ndims` are those of single samples."""
        flat: Flat[Key] = cls({}, {})
        for key, t in tensors.items():
            cut = t.dim() - ndims[key]
            if cut:
                shape = t.shape[cut:]
                flat.batched[key] = t.expand(*batch, *shape).reshape(math.prod(batch), *shape)
            else:
                flat.shared[key] = t
        return flat

    def sample(self, number: int) -> dict[Key, Tensor]:
        """The tensors of one sample, without batch dimension."""
        return {**self.shared, **{key: t[number] for key, t in self.batched.items()}}

    def some(self, numbers: Sequence[int]) -> dict[Key, Tensor]:
        """The tensors of some samples, those that differ with a batch dimension."""
        chosen = {}
        for key, t in self.batched.items():
            chosen[key] = t if len(numbers) == len(t) else t[torch.tensor(numbers, device=t.device)]
        return {**self.shared, **chosen}


def scattered(
    tensors: Sequence[tuple[Sequence[int], Tensor]], samples: int, shape: tuple[int, ...], like: Tensor
) -> Tensor:
    """Tensors of some samples at their places, with NaN at those of others."""
    if len(tensors) == 1 and len(tensors[0][0]) == samples:
        return tensors[0][1]
    dtype = tensors[0][1].dtype if tensors else like.dtype
    full = torch.full((samples, *shape), float("nan"), dtype=dtype, device=like.device)
    if not tensors:
        return full
    numbers = torch.tensor([number for group, _ in tensors for number in group], device=like.device)
    return full.index_copy(0, numbers, torch.cat([t for _, t in tensors]))


def stacked_points(points: Sequence[Point]) -> Point:
    """Points of single samples as a batch."""
    return Point(*(torch.stack(parts) for parts in zip(*points, strict=True)))


def unstacked(point: Point) -> list[Point]:
    """The points of the samples of a batch."""
    return [Point(*parts) for parts in zip(*(t.unbind(0) for t in point), strict=True)]
