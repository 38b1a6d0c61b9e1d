"""What lies beyond the edges of a tensor, one axis at a time."""

from __future__ import annotations

import abc

import numpy as np
import torch
from torch import Tensor

from cvxprox.operators.fast_size import fast_size


class Boundary(abc.ABC):
    """The rule by which the entries outside of 0..n-1 follow from those inside.

    A convolution with a kernel of m entries reads n + m - 1 of them: `before` on the left of the
    tensor and `after` on its right. It is done as a circular one of length `period`, applied to
    what `extend` gives, of which the first n entries are kept.
    """

    @abc.abstractmethod
    def positions(self, index: np.ndarray, n: int) -> np.ndarray:
        """The entries that any positions stand for, -1 for zero."""

    @abc.abstractmethod
    def period(self, n: int, m: int) -> int:
        """The length of the circular convolution."""

    @abc.abstractmethod
    def origin(self, m: int) -> int:
        """The element of the kernel at the origin of the circular convolution."""

    def extend(self, x: Tensor, axis: int, m: int) -> Tensor:
        """The tensor with what the circular convolution needs written out."""
        return x

    def fold(self, y: Tensor, axis: int, n: int, m: int) -> Tensor:
        """The adjoint of `extend` on the result of the circular adjoint convolution."""
        return y.narrow(axis, 0, n)


def middle(m: int) -> int:
    """The element of a kernel of m entries that is its origin."""
    return m // 2


class Circular(Boundary):
    """The tensor again and again."""

    def positions(self, index: np.ndarray, n: int) -> np.ndarray:
        return index % n

    def period(self, n: int, m: int) -> int:
        return n

    def origin(self, m: int) -> int:
        return middle(m)


class Zero(Boundary):
    """Zeros."""

    def positions(self, index: np.ndarray, n: int) -> np.ndarray:
        return np.where((index >= 0) & (index < n), index, -1)

    def period(self, n: int, m: int) -> int:
        # Entries that wrap around need only be zero, on whichever side reads further.
        return fast_size(n + max(middle(m), m - 1 - middle(m)))

    def origin(self, m: int) -> int:
        return middle(m)


class Reflect(Boundary):
    """The mirror image with the entry at the edge repeated, and again beyond that."""

    def positions(self, index: np.ndarray, n: int) -> np.ndarray:
        index = index % (2 * n)
        return np.where(index < n, index, 2 * n - 1 - index)

    def period(self, n: int, m: int) -> int:
        return fast_size(n + m - 1)

    def origin(self, m: int) -> int:
        return m - 1

    def extend(self, x: Tensor, axis: int, m: int) -> Tensor:
        left, right = self._borders(x.shape[axis], m, x.device)
        return torch.cat([x.index_select(axis, left), x, x.index_select(axis, right)], dim=axis)

    def fold(self, y: Tensor, axis: int, n: int, m: int) -> Tensor:
        left, right = self._borders(n, m, y.device)
        start, stop = len(left), len(left) + n
        inside = y.narrow(axis, start, n)
        inside = inside.index_add(axis, left, y.narrow(axis, 0, start))
        return inside.index_add(axis, right, y.narrow(axis, stop, len(right)))

    def _borders(self, n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor]:
        before, after = m - 1 - middle(m), middle(m)
        read = self.positions(np.arange(-before, n + after), n)
        return (
            torch.as_tensor(read[:before], device=device),
            torch.as_tensor(read[before + n :], device=device),
        )


BOUNDARIES: dict[str, Boundary] = {"circular": Circular(), "zero": Zero(), "reflect": Reflect()}


def boundary(name: str) -> Boundary:
    """The boundary of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in BOUNDARIES:
        raise ValueError(f"unknown boundary {name!r}: it is one of {', '.join(map(repr, BOUNDARIES))}.")
    return BOUNDARIES[name]
