"""Merge interval rows that are multiples of one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class MergedRows:
    r"""Rows ``lower <= K x <= upper`` without parallel rows, and the way back for the duals.

    Attributes
    ----------
    kept : ndarray of int, shape (k,)
        Original rows that represent the others.
    lower, upper : ndarray, shape (k,)
        Their intersected intervals.
    group : ndarray of int, shape (m,)
        Position in `kept` of the row that represents an original row.
    lower_share, upper_share : ndarray, shape (m,)
        Part of the multiplier that an original row receives when the bound is active, divided
        by the factor :math:`\alpha` of ``K_row = alpha * K_kept``. Rows that supply the same
        bound share it equally, so that symmetric constraints have symmetric duals.
    """

    kept: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    group: np.ndarray
    lower_share: np.ndarray
    upper_share: np.ndarray

    def original_duals(self, y: np.ndarray) -> np.ndarray:
        """The multipliers of the original rows from those of the kept ones."""
        y = y[self.group]
        return np.maximum(y, 0) * self.upper_share + np.minimum(y, 0) * self.lower_share


def merge_parallel(K: sp.csr_array, lower: np.ndarray, upper: np.ndarray) -> MergedRows:
    """Merge parallel rows of `K` (sorted indices), intersecting their intervals.

    ``a <= k'x`` and ``k'x <= b``, written as two constraints, become one row. Rows whose
    intersection would be empty stay apart: the algorithm must find the certificate. Rows with a
    single nonzero come last, by column: the linear solve folds them.
    """
    representative, factor = _representatives(K)
    while True:
        kept, group = np.unique(representative, return_inverse=True)
        flip = factor < 0  # bounds of every row in units of its representative
        low = np.where(flip, upper, lower) / factor
        high = np.where(flip, lower, upper) / factor
        lows, highs = np.full(kept.size, -np.inf), np.full(kept.size, np.inf)
        np.maximum.at(lows, group, low)
        np.minimum.at(highs, group, high)
        empty = (lows > highs)[group] & (representative != np.arange(group.size))
        if not empty.any():
            break
        representative = np.where(empty, np.arange(group.size), representative)
        factor = np.where(empty, 1.0, factor)
    low_owner, high_owner = low == lows[group], high == highs[group]
    lower_share = low_owner / np.bincount(group, low_owner, kept.size).clip(1)[group] / factor
    upper_share = high_owner / np.bincount(group, high_owner, kept.size).clip(1)[group] / factor
    order = _bounds_last(K, kept)
    position = np.empty_like(order)
    position[order] = np.arange(order.size)
    return MergedRows(kept[order], lows[order], highs[order], position[group], lower_share, upper_share)


def _bounds_last(K: sp.csr_array, kept: np.ndarray) -> np.ndarray:
    """An order of the kept rows with the single nonzeros at the end, by column."""
    if not K.nnz:
        return np.arange(kept.size)
    column = K.indices[np.minimum(K.indptr[:-1][kept], K.nnz - 1)]
    return np.argsort(np.where(np.diff(K.indptr)[kept] == 1, column, -1), kind="stable")


def _representatives(K: sp.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """For every row the first row parallel to it, and its factor to that row."""
    rows = np.arange(K.shape[0])
    length = np.diff(K.indptr)
    if not K.shape[0] or not length.any():
        return rows, np.ones(K.shape[0])
    pivot = np.ones(K.shape[0])
    pivot[length > 0] = K.data[K.indptr[:-1][length > 0]]
    pivot[pivot == 0] = 1.0
    normal = K.data / np.repeat(pivot, length)
    probe = np.random.default_rng(0).standard_normal(K.shape[1])
    # equal rows sum in equal order: their hashes are equal to the last bit
    digest = sp.csr_array((normal, K.indices, K.indptr), shape=K.shape) @ probe
    digest[length == 0] = np.random.default_rng(1).standard_normal(int((length == 0).sum()))
    _, first, inverse = np.unique(digest, return_index=True, return_inverse=True)
    if first.size == rows.size:
        return rows, np.ones(K.shape[0])
    candidate = first[inverse]
    pairs = np.flatnonzero((candidate != rows) & (length == length[candidate]))
    reps = candidate[pairs]
    flat = lambda which: _flat_entries(K.indptr, which)  # noqa: E731
    here, there = flat(pairs), flat(reps)
    same = (K.indices[here] == K.indices[there]) & (normal[here] == normal[there])
    owner = np.repeat(np.arange(pairs.size), length[pairs])
    good = pairs[np.bincount(owner, ~same, minlength=pairs.size) == 0]
    representative = rows.copy()
    representative[good] = candidate[good]
    return representative, pivot / pivot[representative]


def _flat_entries(indptr: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions of all entries of `rows`, one row after the other."""
    length = indptr[rows + 1] - indptr[rows]
    shift = np.repeat(indptr[rows] - np.cumsum(np.append(0, length[:-1])), length)
    return np.arange(length.sum()) + shift
