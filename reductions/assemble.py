"""From numbers to a `ProxProgram`: the last reduction before the solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from cvxprox import prox
from cvxprox.errors import ReductionError
from cvxprox.operators import SparseMatrix
from cvxprox.program import Block, ProxProgram
from cvxprox.reductions.layout import EMPTY_ROW, BoxRows, Layout, Piece, batches
from cvxprox.reductions.parallel_rows import MergedRows, merge_parallel
from cvxprox.reductions.stuffing import ParametricProgram


@dataclass(frozen=True)
class Assembled:
    """A numeric program together with the map of its duals to the stuffed problem's rows."""

    program: ProxProgram
    layout: Layout
    box_rows: np.ndarray
    merged: MergedRows | None
    rows: np.ndarray  # row of the stuffed problem behind each row after the intervals, or -1

    def duals(self, y: np.ndarray) -> dict[int, np.ndarray | float]:
        """CVXPY's dual values by constraint id, from the dual point of the program."""
        full = np.zeros(self.layout.size)
        count = 0
        if self.merged is not None:
            count = self.merged.kept.size
            full[self.box_rows] = self.merged.original_duals(y[:count])
        real = self.rows != EMPTY_ROW
        full[self.rows[real]] = y[count:][real]
        return {key: dual(full) for key, dual in self.layout.duals.items()}


def assemble(parametric: ParametricProgram) -> Assembled:
    """Apply the parameters' values and build the program on the CPU in float64.

    Raises
    ------
    ValueError
        If the data contain NaN, or infinities other than in the bounds.
    ReductionError
        If a convex term has a negative weight.
    """
    P, q_full, offset, A, b = parametric.evaluate()
    layout = parametric.layout
    _check_finite(P, q_full, A)
    A = sp.csr_array(A)
    A.sort_indices()
    n = A.shape[1]

    box_rows, K_box, merged = np.empty(0, dtype=int), [], None
    blocks: list[Block] = []
    if layout.box:
        box = _concatenate(layout.box)
        box_rows = box.rows
        radius = np.where(box.radius >= 0, b[box.radius], 0.0)
        shift = b[box_rows]
        lower = np.where(box.radius >= 0, -radius, box.lower) - shift
        upper = np.where(box.radius >= 0, radius, box.upper) - shift
        if np.isnan(lower).any() or np.isnan(upper).any():
            raise ValueError(_NAN)
        rows = A[box_rows]
        rows.eliminate_zeros()
        merged = merge_parallel(rows, lower, upper)
        K_box = [rows[merged.kept]]
        blocks.append(_box_block(merged))

    order: list[np.ndarray] = []
    start = blocks[0].stop if blocks else 0
    for pieces in batches(layout.pieces):
        points = np.concatenate([piece.rows for piece in pieces])
        stop = start + points.size
        blocks.append(_block(pieces, points.shape, start, stop, q_full, b))
        order.append(points.ravel())
        start = stop
    rows_after = np.concatenate(order) if order else np.empty(0, dtype=int)
    K = sp.csr_array(sp.vstack([*K_box, _gather(A, rows_after)])) if K_box else _gather(A, rows_after)
    shift_after = np.where(rows_after == EMPTY_ROW, 0.0, b[rows_after]) if rows_after.size else np.empty(0)
    if not np.isfinite(shift_after).all():
        raise ValueError(_NAN)
    offsets = np.concatenate([np.zeros(blocks[0].stop if K_box else 0), shift_after])

    program = ProxProgram(
        P=None if P is None or P.nnz == 0 else SparseMatrix(sp.csr_array(P)),
        q=torch.from_numpy(np.ascontiguousarray(q_full[parametric.kept])),
        offset=offset,
        K=SparseMatrix(K if K.shape == (start, n) else sp.csr_array((start, n))),
        b=torch.from_numpy(offsets),
        blocks=tuple(blocks),
    )
    return Assembled(program, layout, box_rows, merged, rows_after)


_NAN = "Problem data contains NaN or Inf. Check your parameter values and constants."


def _check_finite(P: sp.csc_array | None, q: np.ndarray, A: sp.csc_array) -> None:
    for values in (q, A.data, *(() if P is None else (P.data,))):
        if not np.isfinite(values).all():
            raise ValueError(_NAN)


def _concatenate(parts: list[BoxRows]) -> BoxRows:
    return BoxRows(
        *(np.concatenate(arrays) for arrays in zip(*(vars(p).values() for p in parts), strict=True))
    )


def _box_block(merged: MergedRows) -> Block:
    count = merged.kept.size
    function = prox.Box(torch.from_numpy(merged.lower), torch.from_numpy(merged.upper))
    equalities = int((merged.lower == merged.upper).sum())
    return Block(
        function, 0, count, (count,), None, f"{equalities} equalities, {count - equalities} intervals"
    )


def _block(
    pieces: list[Piece], shape: tuple[int, ...], start: int, stop: int, q: np.ndarray, b: np.ndarray
) -> Block:
    data = [
        torch.from_numpy(np.concatenate(part))
        for part in zip(*([b[r] for r in p.data] for p in pieces), strict=True)
    ]
    weight = None
    if pieces[0].weights is not None:
        q = np.append(q, 0.0)  # at NO_COLUMN
        weights = np.concatenate([q[p.weights] * p.scale for p in pieces])
        if (weights < 0).any():
            piece = next(p for p in pieces if (q[p.weights] * p.scale < 0).any())
            raise ReductionError(
                f"the term `{piece.name}` has a weight of the wrong sign, so the problem is not convex "
                "at these values. Check the signs of the parameters that multiply it."
            )
        weight = torch.from_numpy(weights)
    names = [piece.name for piece in pieces[:2]]
    label = "; ".join(names) + (f"; and {len(pieces) - 2} more" if len(pieces) > 2 else "")
    return Block(pieces[0].build(*data), start, stop, tuple(shape), weight, label)


def _gather(A: sp.csr_array, rows: np.ndarray) -> sp.csr_array:
    """The given rows of `A`; row -1 is empty."""
    padded = sp.csr_array((A.data, A.indices, np.append(A.indptr, A.nnz)), shape=(A.shape[0] + 1, A.shape[1]))
    return padded[np.where(rows == EMPTY_ROW, A.shape[0], rows)]
