"""The upper triangle of a quasi-definite KKT matrix, with entries that can be replaced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class KKTPattern:
    r"""The sparsity of :math:`\begin{bmatrix} P + D_1 & K^T \\ K & -D_2 \end{bmatrix}`.

    :math:`D_1` is diagonal. :math:`D_2` is diagonal, or block diagonal with a given pattern.
    Rows of K with a single nonzero are folded: they contribute :math:`k^2 / d_2` to :math:`D_1`
    instead of a row of their own, which is what a bound on a variable costs.

    Attributes
    ----------
    template : csc_array
        The upper triangle with zeros for :math:`D_1, D_2`.
    top, bottom, inside : ndarray of int
        Positions in ``template.data`` of the two diagonals and of the entries of :math:`D_2`
        off its diagonal (in the order of the pattern's CSR entries).
    diagonal : ndarray
        The diagonal of P.
    folded, kept : ndarray of int
        Rows of K of the two kinds.
    column, value : ndarray
        Column and coefficient of every folded row.
    """

    template: sp.csc_array
    top: np.ndarray
    bottom: np.ndarray
    inside: np.ndarray
    diagonal: np.ndarray
    folded: np.ndarray
    kept: np.ndarray
    column: np.ndarray
    value: np.ndarray

    def matrix(self, top: np.ndarray, bottom: np.ndarray, inside: np.ndarray | float = 0.0) -> sp.csc_array:
        """The matrix with ``P_ii + top`` and ``-bottom`` on its diagonal, ``-inside`` beside it."""
        data = self.template.data.copy()
        data[self.top] = self.diagonal + top
        data[self.bottom] = -bottom
        data[self.inside] = -inside
        return sp.csc_array((data, self.template.indices, self.template.indptr), shape=self.template.shape)

    def fold(self, weights: np.ndarray) -> np.ndarray:
        """The sum of ``weights * k**2`` of the folded rows, by column."""
        n = self.diagonal.size
        return np.bincount(self.column, weights * self.value**2, minlength=n)[:n]


def kkt_pattern(P: sp.csr_array | None, K: sp.csr_array, coupling: sp.csr_array | None = None) -> KKTPattern:
    """Build the pattern.

    Parameters
    ----------
    P, K : csr_array
        With sorted indices.
    coupling : csr_array, optional
        The strictly lower triangle of the pattern of :math:`D_2`. Coupled rows are not folded.
    """
    n = K.shape[1]
    single = np.diff(K.indptr) == 1
    if coupling is not None:
        single &= (np.diff(coupling.indptr) == 0) & (np.bincount(coupling.indices, minlength=K.shape[0]) == 0)
    folded, kept = np.flatnonzero(single), np.flatnonzero(~single)
    column, value = K.indices[K.indptr[:-1][single]], K.data[K.indptr[:-1][single]]
    rest = sp.csr_array(K[kept]) if folded.size else K
    rest = _pad_long_columns(rest)
    if coupling is not None:
        rest = sp.csr_array(sp.hstack([rest, coupling[kept][:, kept]], format="csr"))

    diagonal = np.zeros(n) if P is None else P.diagonal()
    above = sp.csc_array(sp.csr_array((n, n)) if P is None else sp.triu(P, k=1))
    above.sort_indices()
    # the columns of the upper triangle, diagonal entry last: those of P, then the rows of K
    indptr = np.append(0, np.cumsum(np.append(np.diff(above.indptr), np.diff(rest.indptr)) + 1))
    last = indptr[1:] - 1
    other = np.ones(indptr[-1], dtype=bool)
    other[last] = False
    indices = np.empty(indptr[-1], dtype=np.int32)
    data = np.zeros(indptr[-1])
    indices[last] = np.arange(last.size)
    indices[other] = np.concatenate([above.indices, rest.indices])
    data[other] = np.concatenate([above.data, rest.data])
    size = n + kept.size
    template = sp.csc_array((data, indices, indptr.astype(np.int32)), shape=(size, size))
    inside = np.flatnonzero(other & (indices >= n)) if coupling is not None else np.empty(0, dtype=int)
    return KKTPattern(template, last[:n], last[n:], inside, diagonal, folded, kept, column, value)


def coupling_pattern(program: ProxProgram) -> sp.csr_array | None:
    """The strictly lower triangles of the dense blocks of D_2, entries in the order of the blocks.

    None if all functions are separable.
    """
    row, column = [], []
    for block in program.blocks:
        if block.function.ndim:
            low = np.tril_indices(block.size, -1)
            first = block.start + block.size * np.arange(block.shape[0])[:, None]
            row.append((first + low[0]).ravel())
            column.append((first + low[1]).ravel())
    if not row:
        return None
    ij = np.concatenate(row), np.concatenate(column)
    pattern = sp.csr_array((np.ones(ij[0].size), ij), shape=(program.rows, program.rows))
    pattern.sort_indices()
    return pattern


def coupling_entries(program: ProxProgram) -> int:
    """The number of entries of `coupling_pattern`."""
    return sum(b.shape[0] * b.size * (b.size - 1) // 2 for b in program.blocks if b.function.ndim)


def _pad_long_columns(K: sp.csr_array, share: float = 0.25) -> sp.csr_array:
    """Add explicit zeros to the long columns of `K` so that AMD orders them last.

    AMD sets rows of more than ``10 sqrt(order)`` entries aside as dense and otherwise pays a
    quadratic price for them: a column of 8,784 in a system of order 10⁶ misses the threshold
    by little and costs seconds. Columns from `share` of the threshold up that are much longer than
    the others get what they lack.
    """
    rows, n = K.shape
    threshold = int(10 * np.sqrt(rows + n)) + 2
    length = np.bincount(K.indices, minlength=n)
    long = np.flatnonzero(
        (length > share * threshold) & (length <= threshold) & (length > 50 * length.mean())
    )
    if not long.size or threshold >= rows:
        return K
    entries = K.tocoo()
    row, column = [entries.row], [entries.col]
    for j in long:
        free = np.setdiff1d(np.arange(rows), entries.row[entries.col == j], assume_unique=True)
        row.append(free[: threshold - length[j] + 1])
        column.append(np.full(row[-1].size, j))
    data = np.append(entries.data, np.zeros(sum(map(len, row[1:]))))
    return sp.csr_array((data, (np.concatenate(row), np.concatenate(column))), shape=K.shape)
