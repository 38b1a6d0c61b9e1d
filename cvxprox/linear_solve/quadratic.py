"""The matrix of the proximal step as a sum of squares on the variables that x consists of."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cvxprox.linear_solve.cross_spectrum import cross_spectrum, root, square_spectrum
from cvxprox.linear_solve.pieces import Weight, constant, parts, pieces_with_rows
from cvxprox.operators import (
    LinearOperator,
    OnSlice,
    PixelBasis,
    Scaled,
    SparseEntries,
    SparseMatrix,
    Spectrum,
    SquareOnSlice,
    Sum,
    gram_spectrum,
    weighted_column_norms,
)
from cvxprox.operators.base import Shape
from cvxprox.operators.scatters import gathers
from cvxprox.program import ProxProgram

P_SOURCE = 0
"""Index of P among the weights of the terms; piece j of K has j + 1."""


@dataclass(frozen=True)
class Variable:
    """Entries ``start:stop`` of x, which operators read in a shape."""

    start: int
    stop: int
    shape: Shape

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.stop - self.start

    @property
    def label(self) -> str:
        """The shape."""
        return "×".join(map(str, self.shape))

    def of(self, x: Tensor) -> Tensor:
        """The entries, in their shape."""
        return x[..., self.start : self.stop].reshape(x.shape[:-1] + self.shape)


@dataclass(frozen=True)
class Square:
    r"""A term :math:`c\,w\,F^*F` of the matrix, with :math:`F = \sum_k F_k` on slices of x.

    Attributes
    ----------
    source : int
        Which weight w: 1 for P, the penalty of a piece of K.
    scale : float or Tensor
        The constant c.
    factors : tuple of OnSlice
        :math:`F_k`. Where only the square S = F*F is known, `whole` is S and `factors` are empty.
    whole : SquareOnSlice or None
    """

    source: int
    scale: Weight
    factors: tuple[OnSlice, ...]
    whole: SquareOnSlice | None = None

    def slices(self) -> tuple[OnSlice | SquareOnSlice, ...]:
        """The operators that say which slices of x the term reads."""
        return self.factors if self.whole is None else (self.whole,)

    def reads(self, v: Variable) -> bool:
        """Whether a slice contains the variable."""
        return any(part.start <= v.start and v.stop <= part.stop for part in self.slices())


def squares(program: ProxProgram) -> tuple[Square, ...]:
    """The terms of :math:`P + K^TRK`."""
    found = [] if program.P is None else list(_squares_of(program.P))
    for j, piece in enumerate(pieces_with_rows(program.K)):
        if piece.stop > piece.start:
            found.append(Square(j + 1, 1.0, piece.parts))
    return tuple(found)


@functools.singledispatch
def _squares_of(P: LinearOperator) -> Iterator[Square]:
    F = root(P)
    if F is not None:
        yield Square(P_SOURCE, 1.0, parts(F))
    else:
        yield Square(P_SOURCE, 1.0, (), SquareOnSlice(P, 0, P.shape_in[0]))


@_squares_of.register
def _(P: Sum) -> Iterator[Square]:
    for term in P.terms:
        yield from _squares_of(term)


@_squares_of.register
def _(P: Scaled) -> Iterator[Square]:
    for term in _squares_of(P.inner):
        yield Square(P_SOURCE, P.scalar.real * term.scale, term.factors, term.whole)


@_squares_of.register
def _(P: SquareOnSlice) -> Iterator[Square]:
    for scale, S in _scaled_terms(P.inner, 1.0):
        F = root(S)
        if F is not None:
            yield Square(P_SOURCE, scale, (OnSlice(F, P.start, P.size),))
        else:
            yield Square(P_SOURCE, scale, (), SquareOnSlice(S, P.start, P.size))


def _scaled_terms(S: LinearOperator, scale: Weight) -> Iterator[tuple[Weight, LinearOperator]]:
    match S:
        case Scaled():
            yield from _scaled_terms(S.inner, scale * S.scalar.real)
        case Sum():
            for term in S.terms:
                yield from _scaled_terms(term, scale)
        case _:
            yield scale, S


def variables(terms: tuple[Square, ...], size: int) -> tuple[Variable, ...] | None:
    """The finest slices of a vector of length `size` that the terms read; None if slices overlap.

    A vector that contains others is read as their union. What no term reads is a variable of its own.
    """
    shapes: dict[tuple[int, int], Shape] = {}
    for term in terms:
        for part in term.slices():
            shape = part.inner.shape_in
            known = shapes.get((part.start, part.stop), ())
            shapes[part.start, part.stop] = shape if len(shape) > len(known) else known
    ends: list[Variable] = []
    for (start, stop), shape in sorted(shapes.items(), key=lambda item: item[0][1] - item[0][0]):
        inside = [v for v in ends if v.start < stop and start < v.stop]
        if any(v.start < start or v.stop > stop for v in inside):
            return None
        if not inside:
            ends.append(Variable(start, stop, shape))
        elif len(shape) > 1 and stop > start:
            return None
        else:
            ends.extend(_gaps(inside, start, stop))
    ends.extend(_gaps(ends, 0, size))
    return tuple(sorted((v for v in ends if v.stop > v.start), key=lambda v: v.start))


def _gaps(taken: list[Variable], start: int, stop: int) -> list[Variable]:
    free = []
    for v in sorted(taken, key=lambda v: v.start):
        if v.start > start:
            free.append(Variable(start, v.start, (v.start - start,)))
        start = max(start, v.stop)
    return [*free, Variable(start, stop, (stop - start,))] if stop > start else free


Blocks = dict[tuple[int, int], Spectrum]


def blocks_of(term: Square, xs: tuple[Variable, ...]) -> Blocks | None:
    """The spectra of the blocks of a term by pairs of variables ``i <= j``; None if one has none."""
    if len(term.slices()) == 1:
        part = term.slices()[0]
        whole = square_spectrum(part.inner) if term.whole is not None else _gram_of(part.inner)
        spread = None if whole is None else _spread(term.scale * _real(whole), part, xs)
        return None if spread is None else {(i, i): s for i, s in spread.items()}
    index = {(v.start, v.stop): (i, v) for i, v in enumerate(xs)}
    if any((part.start, part.stop) not in index for part in term.factors):
        return None
    blocks: Blocks = {}
    for A in term.factors:
        for B in term.factors:
            (i, x), (j, _) = index[A.start, A.stop], index[B.start, B.stop]
            if i > j:
                continue
            if not A.inner.shape_in == B.inner.shape_in == x.shape:
                return None
            own = cross_spectrum(A.inner, B.inner)
            if own is not None:
                own = term.scale * own
                own = own if (i, j) not in blocks else blocks[i, j] + own
            if own is None:
                return None
            blocks[i, j] = own
    return {(i, j): _real(s) if i == j else s for (i, j), s in blocks.items()}


@functools.singledispatch
def _gram_of(K: LinearOperator) -> Spectrum | None:
    return gram_spectrum(K)


@_gram_of.register
def _(K: Scaled) -> Spectrum | None:
    own = _gram_of(K.inner)
    return None if own is None else torch.as_tensor(K.scalar).abs().square() * own


@_gram_of.register
def _(K: SparseMatrix) -> Spectrum | None:
    """Rows of one entry only: products of others are off the diagonal, and may fill the memory."""
    A = K.matrix
    if A.nnz and np.diff(A.indptr).max() > 1:
        return None
    norms = np.bincount(A.indices, np.abs(A.data) ** 2, minlength=A.shape[1])
    return Spectrum(PixelBasis(), torch.as_tensor(norms, dtype=K.dtype_in.to_real(), device=K.device))


@_gram_of.register
def _(K: SparseEntries) -> Spectrum | None:
    if not gathers(K):
        return None
    return Spectrum(PixelBasis(), weighted_column_norms(K, K.values.new_ones(())))


def _spread(
    own: Spectrum, part: OnSlice | SquareOnSlice, xs: tuple[Variable, ...]
) -> dict[int, Spectrum] | None:
    """A spectrum on a slice as spectra on the variables in it; None if its basis does not split."""
    inside = {i: v for i, v in enumerate(xs) if part.start <= v.start and v.stop <= part.stop}
    if own.is_scalar:
        return dict.fromkeys(inside, own)
    if len(inside) == 1 and next(iter(inside.values())).shape == part.inner.shape_in:
        return dict.fromkeys(inside, own)
    if own.basis != PixelBasis() or own.values.dim() > len(part.inner.shape_in):
        return None
    values = own.values.expand(part.inner.shape_in).reshape(math.prod(part.inner.shape_in))
    spread = {}
    for i, v in inside.items():
        own_values = values[v.start - part.start : v.stop - part.start]
        number = constant(own_values)
        if number is None:
            spread[i] = Spectrum(PixelBasis(), own_values.reshape(v.shape))
        elif isinstance(number, Tensor) or number:
            spread[i] = Spectrum(PixelBasis(), own_values[0])
    return spread


def _real(own: Spectrum) -> Spectrum:
    """The eigenvalues of a positive semidefinite operator without their rounding errors."""
    values = own.values.real if own.values.is_complex() else own.values
    return Spectrum(own.basis, values.clamp_min(0))
