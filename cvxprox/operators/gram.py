"""Gram operators K*K, in the simplest form the structure of K allows."""

from __future__ import annotations

import functools

import scipy.sparse as sp
import torch

from cvxprox.operators.algebra import Composed, Identity, Scaled, Sum, compose, conjugate
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.bases import PixelBasis
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.sparse_matrix import SparseMatrix
from cvxprox.operators.spectral import Spectral
from cvxprox.operators.spectrum import Spectrum, gram_spectrum
from cvxprox.operators.stacked import Stacked


@functools.singledispatch
def gram(K: LinearOperator) -> LinearOperator:
    r"""The operator :math:`K^*K`.

    Diagonal, dense, sparse and stacked operators keep their structure (``is_diagonal(gram(K))``
    is then an exact answer). The default is made from the spectrum of :math:`K^*K` where that is known,
    and composes the adjoint with `K` otherwise.
    """
    closed = gram_spectrum(K)
    return compose(K.T, K) if closed is None else _from_spectrum(closed, K)


def _from_spectrum(closed: Spectrum, K: LinearOperator) -> LinearOperator:
    if closed.is_scalar:
        identity = Identity(K.shape_in, K.dtype_in, K.device)
        known_one = not closed.values.requires_grad and float(closed.values) == 1.0
        return identity if known_one else closed.values * identity
    if closed.basis == PixelBasis():
        return Diagonal(closed.values.to(K.dtype_in), K.shape_in)
    return Spectral(closed, K.shape_in, K.dtype_in, K.device)


@gram.register
def _(K: Identity) -> LinearOperator:
    return K


@gram.register
def _(K: Scaled) -> LinearOperator:
    if K.dtype_out.is_complex and not K.dtype_in.is_complex and not K.inner.dtype_out.is_complex:
        # A complex multiple of a real operator: Re(conj(c) c) is real.
        return torch.as_tensor(K.scalar).abs().square() * gram(K.inner)
    return (conjugate(K.scalar) * K.scalar).real * gram(K.inner)


@gram.register
def _(K: Composed) -> LinearOperator:
    middle = gram(K.outer)
    match middle:
        case Identity():
            return gram(K.inner)
        case Scaled(scalar=c, inner=Identity()):
            return c * gram(K.inner)
    closed = gram_spectrum(K)
    if closed is not None:
        return _from_spectrum(closed, K)
    return compose(K.inner.T, compose(middle, K.inner))


@gram.register
def _(K: Stacked) -> LinearOperator:
    return Sum(tuple(gram(block) for block in K.blocks))


@gram.register
def _(K: Matrix) -> LinearOperator:
    return Matrix(K.matrix.mH @ K.matrix)


@gram.register
def _(K: Diagonal) -> LinearOperator:
    weight = K.weight.abs().square().to(K.dtype_in)
    return Diagonal(weight, K.shape_in)


@gram.register
def _(K: SparseMatrix) -> LinearOperator:
    return SparseMatrix(sp.csr_array(K.matrix.conj().T @ K.matrix), K.dtype_in, K.device)


@gram.register
def _(K: Gather) -> LinearOperator:
    count = K.adjoint(torch.ones(K.shape_out, dtype=K.dtype_in, device=K.device))
    return Diagonal(count, K.shape_in)
