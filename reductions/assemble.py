"""From numbers to a `ProxProgram`: the last step before the solver."""

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
from cvxprox.reductions.parallel_rows import Intervals, ParallelRows, parallel_rows
from cvxprox.reductions.parametric import StuffedData


@dataclass(frozen=True)
class Assembled:
    """A numeric program together with the map of its duals to the stuffed problem's rows."""

    program: ProxProgram
    assembly: Assembly
    intervals: Intervals

    def duals(self, y: np.ndarray, z: np.ndarray | None = None) -> dict[int, np.ndarray | float]:
        """CVXPY's dual values by constraint id, from the dual point y of the program; z is not needed."""
        assembly = self.assembly
        full = np.zeros(assembly.layout.size)
        count = assembly.parallel.kept.size
        full[assembly.box.rows] = self.intervals.original_duals(y[:count])
        real = assembly.rows != EMPTY_ROW
        full[assembly.rows[real]] = y[count:][real]
        return {key: dual(full) for key, dual in assembly.layout.duals.items()}


class Assembly:
    """The matrices of a program, ready for vectors: what a re-solve with the same A and P reuses.

    Intervals come first (with parallel rows merged and bounds last), then the batches of points.
    """

    def __init__(self, data: StuffedData, layout: Layout, merge: bool = True) -> None:
        A = sp.csr_array(data.A)
        A.sort_indices()
        self.layout = layout
        self.data = data
        self.box = _concatenate(layout.box)
        in_order = self.box.rows.size == 0 or (np.diff(self.box.rows) == 1).all()
        rows = (
            A[self.box.rows[0] : self.box.rows[-1] + 1]
            if in_order and self.box.rows.size
            else A[self.box.rows]
        )
        if (rows.data == 0).any():
            rows.eliminate_zeros()
        self.parallel: ParallelRows = parallel_rows(rows, merge)
        self.batches = batches(layout.pieces)
        points = [np.concatenate([piece.rows for piece in pieces]) for pieces in self.batches]
        self.shapes = [p.shape for p in points]
        self.rows = np.concatenate([p.ravel() for p in points]) if points else np.empty(0, dtype=int)
        kept = rows if _is_identity(self.parallel.kept, rows.shape[0]) else rows[self.parallel.kept]
        K = sp.csr_array(sp.vstack([kept, _gather(A, self.rows)], format="csr")) if self.rows.size else kept
        self.K = SparseMatrix(K)
        self.P = None if data.P is None or data.P.nnz == 0 else SparseMatrix(sp.csr_array(data.P))

    def fits(self, data: StuffedData) -> bool:
        """Whether `data` have the same matrices."""
        mine = self.data
        if mine.A is data.A and mine.P is data.P:
            return True
        if (mine.P is None) != (data.P is None) or mine.A.nnz != data.A.nnz or mine.A.shape != data.A.shape:
            return False
        return (
            np.array_equal(mine.A.data, data.A.data)
            and np.array_equal(mine.A.indices, data.A.indices)
            and np.array_equal(mine.A.indptr, data.A.indptr)
            and (mine.P is None or _equal(mine.P, data.P))
        )

    def assemble(self, data: StuffedData) -> Assembled | None:
        """The program with the vectors of `data`, or None if merged rows contradict each other.

        Raises
        ------
        ReductionError
            If a convex term has a negative weight.
        """
        intervals = self._intervals(data.b)
        if intervals.empty and self.parallel.kept.size < self.parallel.group.size:
            return None
        count = self.parallel.kept.size
        box = prox.Box(torch.from_numpy(intervals.lower), torch.from_numpy(intervals.upper))
        equalities = int((intervals.lower == intervals.upper).sum())
        blocks = []
        if count:
            label = f"{equalities} equalities, {count - equalities} intervals"
            blocks.append(Block(box, 0, count, (count,), None, label))
        start = count
        for pieces, shape in zip(self.batches, self.shapes, strict=True):
            stop = start + int(np.prod(shape))
            blocks.append(_block(pieces, shape, start, stop, data.q, data.b))
            start = stop
        shift = np.zeros(start)
        shift[count:] = np.where(self.rows == EMPTY_ROW, 0.0, data.b[self.rows])
        if not np.isfinite(shift).all():
            row = int(self.rows[np.flatnonzero(~np.isfinite(shift[count:]))[0]])
            raise ValueError(f"Problem data contains Inf, in `{self.layout.source(row)}`.")
        q = torch.from_numpy(np.ascontiguousarray(data.q[data.kept]))
        program = ProxProgram(self.P, q, data.offset, self.K, torch.from_numpy(shift), tuple(blocks))
        return Assembled(program, self, intervals)

    def _intervals(self, b: np.ndarray) -> Intervals:
        box = self.box
        lower, upper, shift = box.lower, box.upper, b[box.rows]
        is_ball = box.radius >= 0
        if is_ball.any():
            radius = b[box.radius]
            lower, upper = np.where(is_ball, -radius, lower), np.where(is_ball, radius, upper)
        finite_shift = np.isfinite(shift)
        if not finite_shift.all():  # a bound at infinity is no bound
            impossible = ~finite_shift & ((shift < 0) | (lower == upper) | is_ball)
            if impossible.any():
                origin = self.layout.source(int(box.rows[np.flatnonzero(impossible)[0]]))
                raise ValueError(f"Problem data contains Inf: `{origin}` can never hold.")
            shift = np.where(finite_shift, shift, 0.0)
            lower = np.where(finite_shift, lower, -np.inf)
        return self.parallel.intersect(lower - shift, upper - shift)


def assemble(data: StuffedData, layout: Layout, last: Assembly | None = None) -> Assembled:
    """Assemble the program on the CPU in float64, with the matrices of `last` if they still fit."""
    if last is not None and last.layout is layout and last.fits(data):
        assembled = last.assemble(data)
        if assembled is not None:
            return assembled
    assembled = Assembly(data, layout).assemble(data)
    # the algorithm shall find the certificate of rows that contradict each other
    return assembled or Assembly(data, layout, merge=False).assemble(data)  # type: ignore[return-value]


def _equal(a: sp.csc_array, b: sp.csc_array) -> bool:
    return (
        np.array_equal(a.data, b.data)
        and np.array_equal(a.indices, b.indices)
        and np.array_equal(a.indptr, b.indptr)
    )


def _concatenate(parts: list[BoxRows]) -> BoxRows:
    if not parts:
        return BoxRows(np.empty(0, dtype=int), np.empty(0), np.empty(0), np.empty(0, dtype=int))
    return BoxRows(
        *(np.concatenate(arrays) for arrays in zip(*(vars(p).values() for p in parts), strict=True))
    )


def _is_identity(order: np.ndarray, size: int) -> bool:
    return order.size == size and bool((order == np.arange(size)).all())


def _block(
    pieces: list[Piece], shape: tuple[int, ...], start: int, stop: int, q: np.ndarray, b: np.ndarray
) -> Block:
    parts = zip(*([b[r] for r in p.data] for p in pieces), strict=True)
    data = [torch.from_numpy(np.concatenate(part)) for part in parts]
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
    return Block(pieces[0].build(*data), start, stop, tuple(shape), weight, _label(pieces))


def _label(pieces: list[Piece]) -> str:
    names = [piece.name if len(piece.name) <= 60 else piece.name[:57] + "..." for piece in pieces[:2]]
    return "; ".join(names) + (f"; and {len(pieces) - 2} more" if len(pieces) > 2 else "")


def _gather(A: sp.csr_array, rows: np.ndarray) -> sp.csr_array:
    """The given rows of `A`; row -1 is empty."""
    if not (rows == EMPTY_ROW).any():
        return A[rows]
    padded = sp.csr_array((A.data, A.indices, np.append(A.indptr, A.nnz)), shape=(A.shape[0] + 1, A.shape[1]))
    return padded[np.where(rows == EMPTY_ROW, A.shape[0], rows)]
