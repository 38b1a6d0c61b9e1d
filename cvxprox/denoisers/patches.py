"""Random clean patches to train on, cut from photographs at many scales and from dead leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .dead_leaves import Picture, dead_leaves
from .photographs import LUMA, resize

SCALES = (1.0, 0.8, 0.62, 0.48, 0.36)
SMALLEST = 112


@dataclass(frozen=True)
class Patches:
    """A source of batches of clean patches.

    Attributes
    ----------
    channels : int
        1 or 3.
    pyramids : list of list of array
        Every photograph at several scales, of shape (H, W, 3).
    leaves : list of array
        Dead leaves; `refresh` replaces the oldest.
    rng : numpy.random.Generator
        All randomness comes from here.
    synthetic : float
        The fraction of the patches that are cut from dead leaves.
    """

    channels: int
    pyramids: list[list[Picture]]
    leaves: list[Picture]
    rng: np.random.Generator
    synthetic: float = 0.35
    probabilities: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = np.array([np.sqrt(pyramid[0][..., 0].size) for pyramid in self.pyramids])
        object.__setattr__(self, "probabilities", sizes / sizes.sum())

    @staticmethod
    def of(
        channels: int, pictures: Mapping[str, Picture], rng: np.random.Generator, leaves: int = 40
    ) -> Patches:
        """The source that cuts from `pictures` and from as many dead leaves as `leaves` says."""
        pyramids = [_pyramid(picture) for picture in pictures.values()]
        synthetic = [dead_leaves(list(pictures.values()), rng) for _ in range(leaves)]
        return Patches(channels, pyramids, synthetic, rng)

    def batch(self, count: int, size: int) -> Tensor:
        """Patches of shape (count, channels, size, size) in [0, 1]."""
        patches = np.stack([self._patch(size) for _ in range(count)])
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(patches, -1, 1)))

    def refresh(self) -> None:
        """Replace the oldest dead leaves by new ones."""
        self.leaves.pop(0)
        self.leaves.append(dead_leaves([pyramid[0] for pyramid in self.pyramids], self.rng))

    def _patch(self, size: int) -> Picture:
        rng = self.rng
        if self.leaves and rng.random() < self.synthetic:
            picture = self.leaves[rng.integers(len(self.leaves))]
        else:
            pyramid = self.pyramids[rng.choice(len(self.pyramids), p=self.probabilities)]
            # The power favours the first levels, which are the largest.
            picture = pyramid[int(rng.random() ** 1.5 * len(pyramid))]
        top, left = (rng.integers(length - size + 1) for length in picture.shape[:2])
        patch = picture[top : top + size, left : left + size]
        patch = _exposure(_colour(patch, self.channels, rng), rng)
        patch = np.rot90(patch, int(rng.integers(4)))
        return patch[::-1] if rng.random() < 0.5 else patch


def _pyramid(picture: Picture) -> list[Picture]:
    """The picture at those of the scales at which it is not too small."""
    sizes = [tuple(round(scale * length) for length in picture.shape[:2]) for scale in SCALES]
    return [resize(picture, *size) for size in sizes if min(size) >= SMALLEST]


def _colour(patch: Picture, channels: int, rng: np.random.Generator) -> Picture:
    """The patch in gray, by luma or by random weights, or with its colours sometimes exchanged."""
    if channels == 1:
        weights = LUMA if rng.random() < 0.5 else rng.dirichlet([0.5, 0.5, 0.5]).astype(np.float32)
        return (patch @ weights)[..., None]
    return patch[..., rng.permutation(3)] if rng.random() < 0.3 else patch


def _exposure(patch: Picture, rng: np.random.Generator) -> Picture:
    """The patch with another gamma, contrast and brightness."""
    if rng.random() < 0.5:
        return patch
    if rng.random() < 0.5:
        patch = patch ** np.float32(np.exp(rng.uniform(-0.4, 0.4)))
    gain = float(np.exp(rng.uniform(-0.6, 0.25)))
    return np.clip(gain * patch + rng.uniform(0, 1) * max(1 - gain, 0.0), 0, 1).astype(np.float32)
