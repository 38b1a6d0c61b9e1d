"""An operator on one variable as an operator on the vector of all variables."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from dataclasses import dataclass

import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.algebra import Scaled, Sum
from cvxprox.operators.as_sparse import as_sparse
from cvxprox.operators.base import LinearOperator, Shape, batch_shape, declare
from cvxprox.operators.diagonal import diagonal, is_diagonal
from cvxprox.operators.gram import gram
from cvxprox.operators.move import move
from cvxprox.operators.norm import norm
from cvxprox.operators.scatters import gathers, scatters
from cvxprox.operators.stacked import Stacked
from cvxprox.operators.weighted_column_norms import weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class OnSlice(LinearOperator):
    r""":math:`x \mapsto \mathrm{vec}\, K(x_{start:start+|shape|})` for a vector x of `size` entries.

    The slice is read in C order in the shape of K's arguments, and the result is flattened in C
    order. Where the slice is all of x, neither direction copies.

    Parameters
    ----------
    inner : LinearOperator
        K.
    start : int
        Where the slice starts.
    size : int
        The length of x.
    """

    inner: LinearOperator
    start: int
    size: int

    def __post_init__(self) -> None:
        K = self.inner
        rows = (math.prod(K.shape_out),)
        declare(self, (self.size,), rows, K.dtype_in, K.dtype_out, K.device)

    @property
    def stop(self) -> int:
        """The end of the slice."""
        return self.start + math.prod(self.inner.shape_in)

    def forward(self, x: Tensor) -> Tensor:
        batch = x.shape[:-1]
        value = self.inner.forward(x[..., self.start : self.stop].reshape(batch + self.inner.shape_in))
        return value.reshape(batch_shape(value, self.inner.shape_out) + self.shape_out)

    def adjoint(self, y: Tensor) -> Tensor:
        value = self.inner.adjoint(y.reshape(y.shape[:-1] + self.inner.shape_out))
        flat = value.reshape((*batch_shape(value, self.inner.shape_in), self.stop - self.start))
        return embed(flat, self.start, self.size)


@dataclass(frozen=True, eq=False, repr=False)
class SquareOnSlice(LinearOperator):
    """A square operator K on a slice of x, zero on the rest: the Gram operator of an `OnSlice`."""

    inner: LinearOperator
    start: int
    size: int

    def __post_init__(self) -> None:
        K = self.inner
        declare(self, (self.size,), (self.size,), K.dtype_in, K.dtype_out, K.device)

    @property
    def stop(self) -> int:
        """The end of the slice."""
        return self.start + math.prod(self.inner.shape_in)

    def forward(self, x: Tensor) -> Tensor:
        return self._embedded(self.inner.forward(self._slice(x, self.inner.shape_in)))

    def adjoint(self, y: Tensor) -> Tensor:
        return self._embedded(self.inner.adjoint(self._slice(y, self.inner.shape_out)))

    def _slice(self, x: Tensor, shape: Shape) -> Tensor:
        return x[..., self.start : self.stop].reshape(x.shape[:-1] + shape)

    def _embedded(self, value: Tensor) -> Tensor:
        flat = value.reshape((*batch_shape(value, self.inner.shape_in), self.stop - self.start))
        return embed(flat, self.start, self.size)


def embed(slice_: Tensor, start: int, size: int) -> Tensor:
    """A vector of zeros of length `size` with `slice_` at `start`."""
    if slice_.shape[-1] == size:
        return slice_
    return torch.nn.functional.pad(slice_, (start, size - start - slice_.shape[-1]))


@gram.register
def _(K: OnSlice) -> LinearOperator:
    return SquareOnSlice(gram(K.inner), K.start, K.size)


@norm.register
def _(K: OnSlice, tol: float = 1e-6, max_iter: int = 100) -> Tensor:
    return norm(K.inner, tol, max_iter)


@norm.register
def _(K: SquareOnSlice, tol: float = 1e-6, max_iter: int = 100) -> Tensor:
    return norm(K.inner, tol, max_iter)


@move.register
def _(K: OnSlice, device: torch.device | str, dtype: torch.dtype) -> LinearOperator:
    return OnSlice(move(K.inner, device, dtype), K.start, K.size)


@move.register
def _(K: SquareOnSlice, device: torch.device | str, dtype: torch.dtype) -> LinearOperator:
    return SquareOnSlice(move(K.inner, device, dtype), K.start, K.size)


@as_sparse.register
def _(K: OnSlice) -> sp.csr_array:
    return _widened(as_sparse(K.inner), K.start, K.size)


@as_sparse.register
def _(K: SquareOnSlice) -> sp.csr_array:
    wide = _widened(as_sparse(K.inner), K.start, K.size)
    return sp.csr_array(_widened(sp.csr_array(wide.T), K.start, K.size).T)


def _widened(A: sp.csr_array, start: int, size: int) -> sp.csr_array:
    return sp.csr_array((A.data, A.indices + start, A.indptr), shape=(A.shape[0], size))


@weighted_column_norms.register
def _(K: OnSlice, weight: Tensor) -> Tensor:
    inside = weighted_column_norms(K.inner, weight.expand(K.shape_out).reshape(K.inner.shape_out))
    return embed(inside.reshape(K.stop - K.start), K.start, K.size)


@is_diagonal.register
def _(K: SquareOnSlice) -> bool:
    return is_diagonal(K.inner)


@diagonal.register
def _(K: SquareOnSlice) -> Tensor:
    return embed(diagonal(K.inner).reshape(K.stop - K.start), K.start, K.size)


@scatters.register(OnSlice)
@scatters.register(SquareOnSlice)
def _(K: OnSlice | SquareOnSlice) -> bool:
    return scatters(K.inner)


@gathers.register(OnSlice)
@gathers.register(SquareOnSlice)
def _(K: OnSlice | SquareOnSlice) -> bool:
    return gathers(K.inner)


@functools.singledispatch
def _slice_of(K: LinearOperator) -> tuple[int, int]:
    return 0, math.prod(K.shape_in)


@_slice_of.register(OnSlice)
@_slice_of.register(SquareOnSlice)
def _(K: OnSlice | SquareOnSlice) -> tuple[int, int]:
    return K.start, K.stop


@_slice_of.register
def _(K: Scaled) -> tuple[int, int]:
    return _slice_of(K.inner)


@weighted_column_norms.register
def _(K: Sum, weight: Tensor) -> Tensor:
    """Of terms on slices that lie apart the sum."""
    slices = sorted(_slice_of(term) for term in K.terms)
    if len(K.shape_in) == 1 and all(a[1] <= b[0] for a, b in itertools.pairwise(slices)):
        return functools.reduce(operator.add, (weighted_column_norms(term, weight) for term in K.terms))
    return weighted_column_norms.dispatch(LinearOperator)(K, weight)


@norm.register
def _(K: Stacked, tol: float = 1e-6, max_iter: int = 100) -> Tensor:
    """Where every block reads all of the vector in the same shape, that of the operators stacked."""
    whole = [b.inner for b in K.blocks if isinstance(b, OnSlice) and (b.start, b.stop) == (0, b.size)]
    alike = len(whole) == len(K.blocks) and len({inner.shape_in for inner in whole}) == 1
    return norm.dispatch(LinearOperator)(Stacked(tuple(whole)) if alike else K, tol, max_iter)
