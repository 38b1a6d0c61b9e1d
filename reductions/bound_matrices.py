"""The matrices of a stuffed program as functions of torch tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox import prox
from cvxprox.errors import ReductionError
from cvxprox.program import Block
from cvxprox.reductions.layout import EMPTY_ROW, Piece, batches
from cvxprox.reductions.parametric import ParametricMatrix, ParametricProgram
from cvxprox.reductions.torch_values import TorchValues

MOST_RUNS = 16


class Run(NamedTuple):
    """`size` entries of the vector of parameters from `start` on, times `scale`."""

    start: int
    size: int
    scale: float


@dataclass(frozen=True, eq=False)
class Pattern:
    """A sparse matrix whose entries are `source` entries of a vector of values."""

    matrix: sp.csr_array  # its data are the positions in the values
    values: TorchValues

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.matrix.shape
        return rows, columns

    @cached_property
    def runs(self) -> list[Run] | None:
        """The dense matrix as few runs of parameters, one after the other; None if it is not."""
        values = self.values
        rows, columns = self.shape
        whole = self.places.size == rows * columns and self.full
        if values.source is None or not whole or not self.places.size:
            return None
        entries = np.arange(values.constant.size) if self.source is None else self.source
        if not np.isin(entries, values.rows).all():
            return None
        order = np.searchsorted(values.rows, entries)
        positions = values.source[order]
        scales = np.ones(positions.size) if values.scale is None else values.scale[order]
        cuts = np.flatnonzero((np.diff(positions) != 1) | (np.diff(scales) != 0)) + 1
        if cuts.size >= MOST_RUNS:
            return None
        starts, stops = np.append(0, cuts), np.append(cuts, positions.size)
        return [
            Run(int(positions[a]), int(b - a), float(scales[a])) for a, b in zip(starts, stops, strict=True)
        ]

    @cached_property
    def constant(self) -> Tensor | None:
        """The dense matrix if no parameter touches its entries."""
        chosen = np.arange(self.values.constant.size) if self.source is None else self.source
        if np.isin(chosen, self.values.rows).any():
            return None
        full = np.zeros(math.prod(self.shape))
        full[self.places] = self.values.constant[chosen]
        return torch.from_numpy(full.reshape(self.shape))

    def rows(self, rows: np.ndarray) -> Pattern:
        """The given rows; row -1 is empty."""
        A = self.matrix
        if (rows == EMPTY_ROW).any():
            A = sp.csr_array(
                (A.data, A.indices, np.append(A.indptr, A.nnz)), shape=(A.shape[0] + 1, A.shape[1])
            )
            rows = np.where(rows == EMPTY_ROW, A.shape[0] - 1, rows)
        return Pattern(sp.csr_array(A[rows]), self.values)

    @cached_property
    def source(self) -> np.ndarray | None:
        """The position of every entry in the values; None where they are in order."""
        source = self.matrix.data - 1
        in_order = source.size == self.values.constant.size and (source == np.arange(source.size)).all()
        return None if in_order else source

    @cached_property
    def places(self) -> np.ndarray:
        """The place of every entry in the dense matrix, flattened."""
        coo = self.matrix.tocoo()
        return coo.row.astype(np.int64) * self.shape[1] + coo.col

    def entries(self, values: Tensor) -> Tensor:
        """The entries in the order of the matrix, of shape ``(*batch, nnz)``."""
        return values if self.source is None else values.index_select(-1, _index(self.source, values))

    def dense(self, values: Tensor) -> Tensor:
        """The matrix, of shape ``(*batch, rows, columns)``."""
        rows, columns = self.shape
        entries = self.entries(values)
        if self.places.size != rows * columns or not self.full:
            full = values.new_zeros(*entries.shape[:-1], rows * columns)
            entries = full.index_copy(-1, _index(self.places, values), entries)
        return entries.reshape((*entries.shape[:-1], rows, columns))

    @cached_property
    def full(self) -> bool:
        """Whether all entries of the dense matrix are there, in order."""
        return bool((self.places == np.arange(self.places.size)).all())


def pattern_of(
    matrix: ParametricMatrix, columns: np.ndarray, starts: np.ndarray, order: np.ndarray | None, square: bool
) -> Pattern:
    """The pattern of a parametric matrix, with its columns (and rows) in another order."""
    positions = np.arange(1, matrix.indices.size + 1)
    A = sp.csc_array((positions, matrix.indices, matrix.indptr), shape=(matrix.rows, matrix.indptr.size - 1))
    if order is not None:
        A = A[order][:, order] if square else A[:, order]
    return Pattern(sp.csr_array(A), TorchValues(matrix.values, columns, starts))


@dataclass(frozen=True, eq=False)
class Squares:
    """Rows of weighted squares."""

    pattern: Pattern
    rows: np.ndarray
    pieces: list[Piece]


class BoundMatrices:
    """The constraints and terms of a stuffed program that are written as matrices.

    Rows of intervals come first, then the batches of points; sums of squares are apart in `squares`.

    Parameters
    ----------
    parametric : ParametricProgram
    columns : ndarray of int
        The position in the vector of parameters of every column of CVXPY's tensors.
    starts : ndarray of int
        Where the parameters start in it, and its end.
    apart : bool
        Whether squares are apart.
    """

    def __init__(
        self, parametric: ParametricProgram, columns: np.ndarray, starts: np.ndarray, apart: bool
    ) -> None:
        part, layout = parametric.structured, parametric.layout
        order = None if part is None else part.order
        self.layout = layout
        self.A = pattern_of(parametric.A, columns, starts, order, square=False)
        self.P = (
            None if parametric.P is None else pattern_of(parametric.P, columns, starts, order, square=True)
        )
        self.shift = TorchValues(parametric.A.offset, columns, starts)
        self.shift_rows = parametric.A.offset_rows
        self.costs = TorchValues(parametric.q, columns, starts)
        self.kept = parametric.kept
        box = layout.box
        self.box_rows = np.concatenate([np.empty(0, dtype=int), *(b.rows for b in box)])
        self.lower = np.concatenate([np.empty(0), *(b.lower for b in box)])
        self.upper = np.concatenate([np.empty(0), *(b.upper for b in box)])
        self.radius = np.concatenate([np.empty(0, dtype=int), *(b.radius for b in box)])
        grouped = batches(layout.pieces)
        squares = [g for g in grouped if apart and g[0].build is prox.Square]
        self.batches = [g for g in grouped if not any(g is s for s in squares)]
        points = [np.concatenate([piece.rows for piece in pieces]) for pieces in self.batches]
        self.shapes = [p.shape for p in points]
        self.rows = np.concatenate([self.box_rows, *(p.ravel() for p in points)])
        self.K = self.A.rows(self.rows)
        self.squares = [
            Squares(self.A.rows(rows), rows, g)
            for g in squares
            for rows in [np.concatenate([piece.rows for piece in g]).ravel()]
        ]

    @property
    def count(self) -> int:
        """The number of interval rows."""
        return self.box_rows.size

    def offsets(self, theta: Tensor) -> Tensor:
        """The constants of all rows of A, of shape ``(*batch, rows)``, with a zero at the end."""
        values = self.shift(theta)
        full = values.new_zeros(*values.shape[:-1], self.A.shape[0] + 1)
        return full.index_copy(-1, _index(self.shift_rows, theta), values)

    def shifts(self, offsets: Tensor) -> tuple[Tensor, prox.Box]:
        """b of the rows of K, and their intervals.

        Raises
        ------
        ValueError
            If an infinite bound can never hold, or a function is shifted by infinity.
        """
        b = offsets[..., _index(self.rows, offsets)]
        lower, upper = (torch.from_numpy(v).to(b) for v in (self.lower, self.upper))
        is_ball = self.radius >= 0
        if is_ball.any():
            radius, ball = offsets[..., _index(self.radius, offsets)], _index(is_ball, offsets)
            lower, upper = torch.where(ball, -radius, lower), torch.where(ball, radius, upper)
        infinite = b.detach().isinf()
        if bool(infinite.any()):  # a bound at infinity is no bound
            self._check_infinite(b.detach(), infinite, is_ball)
            lower = torch.where(infinite[..., : self.count], -torch.inf, lower)
            b = torch.where(infinite, 0.0, b)
        return b, prox.Box(lower, upper)

    def _check_infinite(self, b: Tensor, infinite: Tensor, is_ball: np.ndarray) -> None:
        impossible = infinite.clone()
        fixed = torch.from_numpy((self.lower == self.upper) | is_ball).to(b.device)
        impossible[..., : self.count] &= (b[..., : self.count] < 0) | fixed
        if bool(impossible.any()):
            row = int(impossible.reshape(-1, impossible.shape[-1]).any(0).nonzero()[0])
            raise ValueError(f"Problem data contains Inf, in `{self.layout.source(int(self.rows[row]))}`.")

    def blocks(self, box: prox.Box, offsets: Tensor, costs: Tensor) -> list[Block]:
        """The blocks of the rows of K."""
        found, start = [], self.count
        if start:
            found.append(Block(box, 0, start, (start,), None, "intervals"))
        for pieces, shape in zip(self.batches, self.shapes, strict=True):
            stop = start + int(np.prod(shape))
            data = [
                offsets[..., _index(np.concatenate(parts), offsets)]
                for parts in zip(*(piece.data for piece in pieces), strict=True)
            ]
            weight = None if pieces[0].weights is None else weights_of(pieces, costs)
            names = "; ".join(dict.fromkeys(piece.name for piece in pieces))
            found.append(Block(pieces[0].build(*data), start, stop, tuple(shape), weight, names[:120]))
            start = stop
        return found

    def dual_rows(self, y: np.ndarray) -> np.ndarray:
        """The dual point of the rows of K at the rows of A."""
        full = np.zeros(self.layout.size)
        real = self.rows != EMPTY_ROW
        full[self.rows[real]] = y[real]
        return full


def weights_of(pieces: list[Piece], costs: Tensor) -> Tensor:
    """The weights of the points of several pieces, of shape ``(*batch, count)``.

    Raises
    ------
    ReductionError
        If a weight is negative.
    """
    padded = torch.nn.functional.pad(costs, (0, 1))  # at NO_COLUMN
    columns = np.concatenate([piece.weights for piece in pieces])
    weight = padded[..., _index(columns, costs)]
    scales = np.concatenate([np.full(piece.weights.size, piece.scale) for piece in pieces])  # type: ignore[union-attr]
    if (scales != 1.0).any():
        weight = weight * torch.from_numpy(scales).to(weight)
    if bool((weight < 0).any()):
        bad = (weight < 0).reshape(-1, weight.shape[-1]).any(0).cpu().numpy()
        ends = np.cumsum([piece.weights.size for piece in pieces])  # type: ignore[union-attr]
        piece = pieces[int(np.searchsorted(ends, int(np.flatnonzero(bad)[0]), side="right"))]
        raise ReductionError(
            f"the term `{piece.name}` has a weight of the wrong sign, so the problem is not convex "
            "at these values. Check the signs of the parameters that multiply it."
        )
    return weight


def _index(index: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(np.require(index, requirements=("C", "W"))).to(like.device)
