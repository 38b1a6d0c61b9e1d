"""The layout of a stuffed problem: which rows of ``A x + b`` are the points of which function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from cvxpy.constraints import ExpCone, NonNeg, PowCone3D, SvecPSD, Zero
from cvxpy.constraints.constraint import Constraint
from cvxpy.constraints.second_order import SOC

from cvxprox import prox
from cvxprox.reductions.norm_balls import BOX
from cvxprox.reductions.prox_term import ProxTerm

MOST_SIZES = 4
EMPTY_ROW = -1
"""Stands for a row of zeros that pads a point to the size of its batch."""


NO_COLUMN = -1
"""Stands for the placeholder of a term that is not in the objective: its weight is zero."""


@dataclass(frozen=True)
class Piece:
    """The share of one constraint or prox term in a batch of functions.

    `rows` has shape ``(count, *point)``; `weights` are the columns of the placeholder and
    `data` the rows whose constants are the numbers of the function, each of shape ``(count,)``.
    """

    key: Hashable
    build: Callable[..., prox.ProxFunction]
    rows: np.ndarray
    name: str
    constraint: Constraint
    weights: np.ndarray | None = None
    data: tuple[np.ndarray, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True)
class BoxRows:
    """Rows with an interval: ``lower <= A x + b <= upper`` with bounds 0, inf or a ball's radius."""

    rows: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    radius: np.ndarray  # row of the radius, or -1


@dataclass
class Layout:
    """Rows of all constraints, sorted into interval rows and pieces of functions."""

    size: int = 0
    box: list[BoxRows] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    sources: list[tuple[int, Constraint]] = field(default_factory=list)  # end of the rows, origin
    duals: dict[int, Callable[[np.ndarray], np.ndarray | float]] = field(default_factory=dict)

    def source(self, row: int) -> Constraint:
        """The constraint or term that a row belongs to."""
        return next(origin for stop, origin in self.sources if row < stop)

    def add(self, constraint: Constraint, columns: dict[int, int], origin: Constraint) -> None:
        """Append the rows of one constraint, lowered from `origin`.

        `columns` gives the first column of a variable.
        """
        starts = self.size + np.cumsum([0, *(arg.size for arg in constraint.args)])
        self.size = int(starts[-1])
        self.sources.append((self.size, origin))
        rows = [np.arange(a, b) for a, b in pairwise(starts)]
        _ADD[type(constraint)](self, constraint, rows, columns)


def _interval(layout: Layout, con: Constraint, rows: np.ndarray, low: float, high: float, sign: int) -> None:
    full = np.full(rows.size, 0.0)
    layout.box.append(BoxRows(rows, full + low, full + high, np.full(rows.size, -1)))
    layout.duals[con.id] = lambda y: _shaped(sign * y[rows], con)


def _shaped(values: np.ndarray, con: Constraint) -> np.ndarray | float:
    return float(values[0]) if con.args[0].shape == () else values.reshape(con.args[0].shape, order="F")


def _add_zero(layout: Layout, con: Zero, rows: list[np.ndarray], columns: dict[int, int]) -> None:
    _interval(layout, con, rows[0], 0.0, 0.0, 1)


def _add_nonneg(layout: Layout, con: NonNeg, rows: list[np.ndarray], columns: dict[int, int]) -> None:
    _interval(layout, con, rows[0], 0.0, np.inf, -1)


def _add_soc(layout: Layout, con: SOC, rows: list[np.ndarray], columns: dict[int, int]) -> None:
    points = np.column_stack([rows[0], rows[1].reshape(rows[0].size, -1)])
    layout.pieces.append(Piece("SecondOrderCone", prox.SecondOrderCone, points, str(con), con))
    layout.duals[con.id] = lambda y: -y[points].ravel()


def _add_psd(layout: Layout, con: SvecPSD, rows: list[np.ndarray], columns: dict[int, int]) -> None:
    order = con.cone_sizes()[0]
    points = rows[0].reshape(con.num_cones(), -1)
    build = lambda: prox.PsdCone(order)  # noqa: E731
    layout.pieces.append(Piece(("PsdCone", order), build, points, str(con), con))
    layout.duals[con.id] = lambda y: -y[points].ravel()


def _add_exp(layout: Layout, con: ExpCone, rows: list[np.ndarray], columns: dict[int, int]) -> None:
    points = np.column_stack(rows)
    layout.pieces.append(Piece("ExponentialCone", prox.ExponentialCone, points, str(con), con))
    layout.duals[con.id] = lambda y: -y[points].ravel()


def _add_power(layout: Layout, con: PowCone3D, rows: list[np.ndarray], columns: dict[int, int]) -> None:
    points = np.column_stack(rows)
    alpha = np.broadcast_to(np.ravel(con.alpha.value, order="F"), len(points)).copy()
    build = lambda *_: prox.PowerCone3D(torch.as_tensor(alpha))  # noqa: E731
    layout.pieces.append(Piece(("PowerCone3D", con.id), build, points, str(con), con))
    layout.duals[con.id] = lambda y: -y[points].T


def _add_term(layout: Layout, con: ProxTerm, rows: list[np.ndarray], columns: dict[int, int]) -> None:
    spec = con.spec
    points = rows[0][spec.index]
    count = len(points)
    data = tuple(np.broadcast_to(r, count) for r in rows[1:])
    if spec.key == BOX:
        flat, width = points.ravel(), points.shape[1]
        radius = np.repeat(data[0], width)
        zero = np.zeros(flat.size)
        layout.box.append(BoxRows(flat, zero, zero, radius))
    elif con.placeholder is not None:
        first = columns.get(con.placeholder.id)  # None: only the domain matters, the weight is zero
        weights = np.full(count, NO_COLUMN) if first is None else first + np.arange(count)
        if is_separable(spec.build):
            weights = np.repeat(weights, points.shape[1])
            data = tuple(np.repeat(d, points.shape[1]) for d in data)
            points = points.ravel()
        layout.pieces.append(
            Piece(spec.key, spec.build, points, con.name(), con, weights, data, spec.sign * spec.scale)
        )
    else:
        layout.pieces.append(Piece(spec.key, spec.build, points, con.name(), con, None, data))
    if spec.dual is not None:
        dual, shape = spec.dual, con.origin.shape
        layout.duals[con.id] = lambda y: (
            dual(y[points]).reshape(shape, order="F") if shape else float(dual(y[points])[0])
        )


def is_separable(build: object) -> bool:
    """Whether `build` is a class of separable functions."""
    return isinstance(build, type) and issubclass(build, prox.ProxFunction) and build.ndim == 0


_ADD: dict[type, Callable[[Layout, Constraint, list[np.ndarray], dict[int, int]], None]] = {
    Zero: _add_zero,
    NonNeg: _add_nonneg,
    SOC: _add_soc,
    SvecPSD: _add_psd,
    ExpCone: _add_exp,
    PowCone3D: _add_power,
    ProxTerm: _add_term,
}


def batches(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Group the pieces that one call can evaluate.

    Where a paddable function has points of more than `MOST_SIZES` sizes, they are brought to the
    next power of two, so that cones of many sizes make few batches.
    """
    grouped: dict[tuple[Hashable, tuple[int, ...]], list[Piece]] = {}
    for piece in pieces:
        grouped.setdefault((piece.key, piece.rows.shape[1:]), []).append(piece)
    sizes = Counter(key for key, _ in grouped)
    merged: dict[tuple[Hashable, tuple[int, ...]], list[Piece]] = {}
    for (key, shape), members in grouped.items():
        if sizes[key] > MOST_SIZES and _paddable(members[0]):
            shape = (1 << int(shape[0] - 1).bit_length(),)
            members = [_padded(piece, shape[0]) for piece in members]
        merged.setdefault((key, shape), []).extend(members)
    return list(merged.values())


def _paddable(piece: Piece) -> bool:
    con = piece.constraint
    return isinstance(con, SOC) or (isinstance(con, ProxTerm) and con.spec.pad)


def _padded(piece: Piece, width: int) -> Piece:
    rows = np.full((len(piece.rows), width), EMPTY_ROW)
    rows[:, : piece.rows.shape[1]] = piece.rows
    return replace(piece, rows=rows)
