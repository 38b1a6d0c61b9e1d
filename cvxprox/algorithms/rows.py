"""Programs whose operators are matrices and those whose operators are not; norms of either."""

from __future__ import annotations

import functools

from torch import Tensor

from cvxprox.linear_solve.pieces import piece_weights, pieces
from cvxprox.operators import (
    Diagonal,
    LinearOperator,
    OnSlice,
    Scaled,
    SparseEntries,
    SparseMatrix,
    Spectrum,
    SquareOnSlice,
    Stacked,
    Sum,
    gram_spectrum,
    norm,
    spectrum,
)
from cvxprox.program import ProxProgram

SAFETY = 1.01
"""On norms that are estimated, from below, by the Lanczos method."""

Slices = dict[tuple[int, int], Spectrum]


def program_is_assembled(program: ProxProgram) -> bool:
    """Whether K and P are sparse matrices, so that their entries can be looked at."""
    kinds = SparseMatrix | SparseEntries
    return isinstance(program.K, kinds) and (program.P is None or isinstance(program.P, kinds))


def curvature(P: LinearOperator | None, d: Tensor) -> float:
    r"""An upper estimate of :math:`\|DPD\|`, for the diagonal D of `d`."""
    if P is None:
        return 0.0
    scale = _uniform(d)
    known = None if scale is None else _largest(_squares(P))
    if known is not None and scale is not None:
        return scale**2 * known
    return SAFETY * _estimate(Diagonal(d) @ P @ Diagonal(d))


def coupling(K: LinearOperator, rho: Tensor, d: Tensor) -> float:
    r"""An upper estimate of :math:`\|R^{1/2}KD\|^2`, for the diagonals R and D of `rho` and `d`."""
    if not rho.numel():
        return 0.0
    scale, weights = _uniform(d), piece_weights(K, rho)
    if scale is not None and weights is not None:
        squares: list[Slices | None] = []
        for weight, piece in zip(weights, pieces(K), strict=True):
            squares.append(_scaled(float(weight), _gram(piece)))
        known = _largest(_merged(squares))
        if known is not None:
            return scale**2 * known
    return SAFETY**2 * _estimate(Diagonal(rho.sqrt()) @ K @ Diagonal(d)) ** 2


def largest(values: Tensor) -> Tensor:
    """The largest entry of a vector, 0-d, and of every vector of a batch; zero if they are empty."""
    if not values.shape[-1]:
        return values.new_zeros(())
    return values.max() if values.dim() == 1 else values.amax(-1, keepdim=True)


def piece_norm(K: LinearOperator) -> float:
    """The norm of a piece of K, to about a percent."""
    known = _largest(_gram(K))
    return float(norm(K, 1e-2, 20)) if known is None else known**0.5


def _estimate(K: LinearOperator) -> float:
    # every step keeps a vector
    return float(norm(K, 1e-4, 100 if K.shape_in[0] <= 100_000 else 25))


def _uniform(d: Tensor) -> float | None:
    if not d.numel():
        return 1.0
    return float(d[0]) if not any(d.stride()) or bool((d == d[0]).all()) else None


def _largest(squares: Slices | None) -> float | None:
    if squares is None:
        return None
    return max((float(s.values.abs().max()) for s in squares.values() if s.values.numel()), default=0.0)


@functools.singledispatch
def _gram(K: LinearOperator) -> Slices | None:
    """The spectra of K*K on disjoint slices of x; None if unknown."""
    return None


@_gram.register
def _(K: OnSlice) -> Slices | None:
    own = gram_spectrum(K.inner)
    return None if own is None else {(K.start, K.stop): own}


@_gram.register
def _(K: Scaled) -> Slices | None:
    return _scaled(abs(complex(K.scalar)) ** 2, _gram(K.inner))


@_gram.register
def _(K: Stacked) -> Slices | None:
    return _merged([_gram(piece) for piece in K.blocks])


@functools.singledispatch
def _squares(P: LinearOperator) -> Slices | None:
    """The spectra of a symmetric P on disjoint slices of x; None if unknown."""
    return None


@_squares.register
def _(P: SquareOnSlice) -> Slices | None:
    own = spectrum(P.inner)
    return None if own is None else {(P.start, P.stop): own}


@_squares.register
def _(P: Scaled) -> Slices | None:
    return _scaled(abs(complex(P.scalar)), _squares(P.inner))


@_squares.register
def _(P: Sum) -> Slices | None:
    return _merged([_squares(term) for term in P.terms])


def _scaled(scale: float, squares: Slices | None) -> Slices | None:
    return None if squares is None else {where: scale * own for where, own in squares.items()}


def _merged(parts: list[Slices | None]) -> Slices | None:
    total: Slices = {}
    for part in parts:
        if part is None:
            return None
        for (start, stop), own in part.items():
            if (start, stop) in total:
                both = total[start, stop] + own
                if both is None:
                    return None
                total[start, stop] = both
            elif any(start < end and begin < stop for begin, end in total):
                return None
            else:
                total[start, stop] = own
    return total
