"""Which entries of a C-ordered result are the points of a function, and how to read them cheaply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Arrangement:
    """How rows become points.

    Attributes
    ----------
    gather : ndarray of int or None
        Positions of the rows that the points are made of; None where all rows serve in order.
    shape : tuple of int
        ``(count, *point)``.
    leading : bool
        Whether the rows are component-major, ``(*point, count)``.
    order : ndarray of int or None
        Point k is the point ``order[k]`` of the original index; None for the same order.
    """

    gather: np.ndarray | None
    shape: tuple[int, ...]
    leading: bool
    order: np.ndarray | None


def arrange(index: np.ndarray, size: int) -> Arrangement:
    """Arrange points given by `index`, shape ``(count, *point)``, into `size` rows.

    The order of the points is free, so it is chosen such that no gathering is needed, if there
    is one: the rows themselves, or component-major rows.
    """
    count, shape = index.shape[0], tuple(index.shape)
    if index.size == size:
        for leading in (False, True):
            rows = np.moveaxis(index, 0, -1) if leading else index
            if _counts_up(rows):
                return Arrangement(None, shape, leading, None)
        first = index.reshape(count, -1)[:, 0]
        order = np.argsort(first, kind="stable")
        ordered = index[order]
        for leading in (False, True):
            rows = np.moveaxis(ordered, 0, -1) if leading else ordered
            if _counts_up(rows):
                return Arrangement(None, shape, leading, order)
    return Arrangement(index.ravel(), shape, False, None)


def _counts_up(rows: np.ndarray) -> bool:
    flat = rows.ravel()
    return (
        bool(flat[0] == 0 and flat[-1] == flat.size - 1 and (np.diff(flat) == 1).all()) if flat.size else True
    )


def fortran_positions(shapes: list[tuple[int, ...]]) -> np.ndarray:
    """The C position of every Fortran position, for arrays that follow each other."""
    parts, start = [np.empty(0, dtype=int)], 0
    for shape in shapes:
        size = int(np.prod(shape, dtype=int))
        parts.append(start + np.arange(size).reshape(shape).ravel(order="F"))
        start += size
    return np.concatenate(parts)
