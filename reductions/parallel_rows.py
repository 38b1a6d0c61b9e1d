"""Merge interval rows that are multiples of one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class ParallelRows:
    r"""Groups of parallel rows of a matrix.

    Attributes
    ----------
    kept : ndarray of int, shape (k,)
        One row of every group. Rows with a single nonzero come last, by column: the linear solve
        folds them.
    group : ndarray of int, shape (m,)
        Position in `kept` of the group of every row.
    factor : ndarray, shape (m,)
        :math:`\alpha` of ``K_row = alpha * K_kept``.
    """

    kept: np.ndarray
    group: np.ndarray
    factor: np.ndarray

    def intersect(self, lower: np.ndarray, upper: np.ndarray) -> Intervals:
        """The intersection of the intervals of every group."""
        if self.kept.size == self.group.size and (self.kept == np.arange(self.kept.size)).all():
            one = np.ones(lower.size)
            return Intervals(lower, upper, self.group, one, one)
        flip = self.factor < 0  # bounds of every row in units of its representative
        low = np.where(flip, upper, lower) / self.factor
        high = np.where(flip, lower, upper) / self.factor
        lows, highs = np.full(self.kept.size, -np.inf), np.full(self.kept.size, np.inf)
        np.maximum.at(lows, self.group, low)
        np.minimum.at(highs, self.group, high)
        return Intervals(
            lows,
            highs,
            self.group,
            self._shares(low == lows[self.group]),
            self._shares(high == highs[self.group]),
        )

    def _shares(self, owner: np.ndarray) -> np.ndarray:
        count = np.bincount(self.group, owner, self.kept.size)
        return owner / count.clip(1)[self.group] / self.factor


@dataclass(frozen=True)
class Intervals:
    """Intervals of the kept rows and the way back for the multipliers.

    `lower_share` and `upper_share` are the parts of a multiplier that the original rows receive
    when a bound is active. Rows that supply the same bound share it equally, so that symmetric
    constraints have symmetric duals.
    """

    lower: np.ndarray
    upper: np.ndarray
    group: np.ndarray
    lower_share: np.ndarray
    upper_share: np.ndarray

    @property
    def empty(self) -> bool:
        """Whether some rows contradict each other."""
        return bool((self.lower > self.upper).any())

    def original_duals(self, y: np.ndarray) -> np.ndarray:
        """The multipliers of the original rows from those of the kept ones."""
        y = y[self.group]
        return np.maximum(y, 0) * self.upper_share + np.minimum(y, 0) * self.lower_share


def parallel_rows(K: sp.csr_array, merge: bool = True) -> ParallelRows:
    """Find the parallel rows of `K` (sorted indices, no explicit zeros).

    ``a <= k'x`` and ``k'x <= b``, written as two constraints, are one row of an interval program.
    With ``merge=False`` the rows are only reordered.
    """
    length = np.diff(K.indptr)
    rows = np.arange(K.shape[0])
    first = (
        K.indices[np.minimum(K.indptr[:-1], max(K.nnz - 1, 0))] if K.nnz else np.zeros(rows.size, dtype=int)
    )
    representative, factor = (
        _representatives(K, length, first) if merge and K.nnz else (rows, np.ones(rows.size))
    )
    is_kept = representative == rows
    kept = rows[is_kept]
    single = length[kept] == 1
    if single.any():
        kept = np.concatenate([kept[~single], kept[single][np.argsort(first[kept[single]], kind="stable")]])
    position = np.empty(rows.size, dtype=int)
    position[kept] = np.arange(kept.size)
    return ParallelRows(kept, position[representative], factor)


def _representatives(K: sp.csr_array, length: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every row the first row parallel to it, and its factor to that row."""
    rows = np.arange(K.shape[0])
    pivot = np.ones(K.shape[0])
    filled = length > 0
    pivot[filled] = K.data[K.indptr[:-1][filled]]
    normal = K.data / np.repeat(pivot, length)
    # equal rows sum in equal order: their hashes are equal to the last bit
    probe = np.random.default_rng(0).random(K.shape[1])
    digest = sp.csr_array((normal, K.indices, K.indptr), shape=K.shape) @ probe
    order = np.argsort(digest, kind="stable")
    ordered = digest[order]
    fresh = np.append(True, ordered[1:] != ordered[:-1])
    if fresh.all():
        return rows, np.ones(rows.size)
    candidate = np.empty_like(rows)
    candidate[order] = order[np.maximum.accumulate(np.where(fresh, np.arange(rows.size), 0))]
    pairs = np.flatnonzero((candidate != rows) & (length == length[candidate]) & filled)
    here, there = _entries(K.indptr, pairs), _entries(K.indptr, candidate[pairs])
    differ = (K.indices[here] != K.indices[there]) | (normal[here] != normal[there])
    owner = np.repeat(np.arange(pairs.size), length[pairs])
    good = pairs[np.bincount(owner, differ, minlength=pairs.size) == 0]
    representative = rows.copy()
    representative[good] = candidate[good]
    return representative, pivot / pivot[representative]


def _entries(indptr: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions of all entries of `rows`, one row after the other."""
    length = indptr[rows + 1] - indptr[rows]
    start = indptr[rows] - np.cumsum(length) + length
    return np.arange(length.sum()) + np.repeat(start, length)
