"""Dual values as functions of torch tensors, found by probing CVXPY's own inversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Duals = Callable[[np.ndarray, np.ndarray], dict[int, "np.ndarray | float"]]
"""The dual values of the user's constraints, by id, from the dual point y of a program, and z."""


@dataclass(frozen=True)
class DualMap:
    """Every entry of a dual value is a multiple of one entry of y: `factor` times that at `index`."""

    index: np.ndarray
    factor: np.ndarray

    def __call__(self, y: Tensor) -> Tensor:
        """The dual value, of shape ``(*batch, *shape)``."""
        index = torch.from_numpy(self.index.ravel()).to(y.device)
        factor = torch.from_numpy(self.factor.ravel()).to(y.device, y.dtype)
        return (y.index_select(-1, index) * factor).reshape((*y.shape[:-1], *self.index.shape))


@dataclass(frozen=True)
class ComplexDualMap:
    """The same for complex values."""

    real: DualMap
    imag: DualMap

    def __call__(self, y: Tensor) -> Tensor:
        """The dual value, of shape ``(*batch, *shape)``."""
        return torch.complex(self.real(y), self.imag(y))


def dual_maps(duals: Duals, rows: int) -> dict[int, DualMap | ComplexDualMap]:
    """The maps of the constraints whose duals are such multiples, by id.

    CVXPY's inversion is applied to two vectors whose ratios differ from entry to entry, which tells
    which entry it reads, and to a third, which tells whether that was all.
    """
    generator = np.random.default_rng(0)
    first, third, z = (1 + generator.random(rows) for _ in range(3))
    ratios = 1 + np.arange(rows) / max(rows, 1)
    answers = [duals(y, z) for y in (first, first * ratios, third)]
    found: dict[int, DualMap | ComplexDualMap] = {}
    for key in answers[0]:
        values = [np.asarray(answer[key]) for answer in answers]
        if values[0].dtype == object:
            continue
        parts = [
            _map([part(v) for v in values], first, third)
            for part in ((np.real, np.imag) if np.iscomplexobj(values[0]) else (np.real,))
        ]
        if all(part is not None for part in parts):
            found[key] = parts[0] if len(parts) == 1 else ComplexDualMap(*parts)  # type: ignore[assignment, arg-type]
    return found


def _map(values: list[np.ndarray], first: np.ndarray, third: np.ndarray) -> DualMap | None:
    rows = first.size
    seen = values[0] != 0
    ratio = np.divide(values[1], values[0], out=np.ones(values[0].shape), where=seen)
    index = np.rint((ratio - 1) * rows).astype(np.int64)
    if rows == 0 or ((index < 0) | (index >= rows)).any():
        return None
    factor = np.where(seen, values[0] / first[index], 0.0)
    if not np.allclose(values[2], factor * third[index], rtol=1e-9, atol=1e-12):
        return None
    return DualMap(index, factor)
