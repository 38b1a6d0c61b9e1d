"""The pieces of K: which rows and which part of x each belongs to."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from torch import Tensor

from cvxprox.operators import LinearOperator, OnSlice, Scaled, Stacked, Sum
from cvxprox.operators.base import differentiated

Weight = float | Tensor


@functools.singledispatch
def pieces(K: LinearOperator) -> tuple[LinearOperator, ...]:
    """The operators that `K` stacks; `K` itself if it is not `Stacked`."""
    return (K,)


@pieces.register
def _(K: Stacked) -> tuple[LinearOperator, ...]:
    return K.blocks


@functools.singledispatch
def parts(K: LinearOperator) -> tuple[OnSlice, ...]:
    """An operator on a vector x as a sum of operators on slices of x."""
    return (OnSlice(K, 0, K.shape_in[0]),)


@parts.register
def _(K: OnSlice) -> tuple[OnSlice, ...]:
    return (K,)


@parts.register
def _(K: Scaled) -> tuple[OnSlice, ...]:
    return tuple(OnSlice(Scaled(K.scalar, part.inner), part.start, part.size) for part in parts(K.inner))


@parts.register
def _(K: Sum) -> tuple[OnSlice, ...]:
    return tuple(part for term in K.terms for part in parts(term))


@dataclass(frozen=True)
class Piece:
    """Rows ``start:stop`` of K, as a sum of operators on slices of x."""

    start: int
    stop: int
    parts: tuple[OnSlice, ...]


def pieces_with_rows(K: LinearOperator) -> tuple[Piece, ...]:
    """The pieces of `K` in the order of their rows."""
    found, start = [], 0
    for piece in pieces(K):
        stop = start + piece.shape_out[0]
        found.append(Piece(start, stop, parts(piece)))
        start = stop
    return tuple(found)


def piece_weights(K: LinearOperator, rho: Tensor) -> tuple[Weight, ...] | None:
    """One penalty for every piece of `K`; None if the penalties vary within one."""
    weights, start = [], 0
    for piece in pieces(K):
        stop = start + piece.shape_out[0]
        weight = constant(rho[..., start:stop])
        if weight is None:
            return None
        weights.append(weight)
        start = stop
    return tuple(weights)


def constant(values: Tensor) -> Weight | None:
    """The number that all entries of a vector are; None if they differ.

    A number and not a tensor, so that products with it need no second array; a 0-d tensor where
    gradients are asked for.
    """
    if not values.numel():
        return 0.0
    first = values.reshape(-1)[0]
    if any(values.stride()) and not bool((values == first).all()):
        return None
    return first if differentiated(values) else float(first)
