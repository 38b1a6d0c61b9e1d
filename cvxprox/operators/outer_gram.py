"""The spectrum of KK*, and of K diag(v) K* between."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from cvxprox.operators.algebra import Adjoint, Composed, Scaled
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.bases import FourierBasis, PixelBasis, length
from cvxprox.operators.channel_matrix import ChannelMatrix, isometry_factor
from cvxprox.operators.complex_parts import ComplexPair, RealPair
from cvxprox.operators.cosine import Cosine
from cvxprox.operators.fourier import Fourier, InverseFourier, gram_factor
from cvxprox.operators.on_slice import OnSlice
from cvxprox.operators.scatters import scatters
from cvxprox.operators.spectrum import Spectrum, gram_spectrum, spectrum, transformed
from cvxprox.operators.subsample import Subsample


def outer_gram_spectrum(K: LinearOperator) -> Spectrum | None:
    r"""The spectrum of :math:`KK^*`; None if no fast basis is known in which it is diagonal.

    Known for normal operators with a spectrum; for unitary transforms; for what `scatters` every entry
    to one place, where it is diagonal; and for a `Subsample` of a convolution, where it is a convolution
    on the coarse grid.

    References
    ----------
    Zhao, Wei, Basarab, Dobigeon, Kouamé and Tourneret, *Fast single image super-resolution using a
    new analytical solution for l2-l2 problems* (2016), lemma 1.
    """
    one = torch.ones((), dtype=K.dtype_in.to_real(), device=K.device)
    return conjugated(K, Spectrum(PixelBasis(), one))


@functools.singledispatch
def conjugated(K: LinearOperator, inner: Spectrum) -> Spectrum | None:
    r"""The spectrum of :math:`KSK^*` for an operator S given by its spectrum; None if it is not known.

    By default that of a normal operator K which is diagonal in the basis of S, or of one that
    `scatters` where S is diagonal.
    """
    own = spectrum(K)
    if own is not None:
        return own.squared() @ inner
    if inner.basis == PixelBasis() and scatters(K) and not inner.values.is_complex():
        return Spectrum(PixelBasis(), _through(K, inner.values))
    return None


def _through(K: LinearOperator, values: Tensor) -> Tensor:
    """The diagonal of K diag(v) K* where that is a diagonal matrix: its product with ones."""
    ones = torch.ones(K.shape_out, dtype=K.dtype_out, device=K.device)
    result = K.forward(values * K.adjoint(ones))
    return result.real if result.is_complex() else result


@conjugated.register
def _(K: Scaled, inner: Spectrum) -> Spectrum | None:
    outer = conjugated(K.inner, inner)
    size = torch.as_tensor(K.scalar, device=K.device).abs().square()
    return None if outer is None else size * outer


@conjugated.register
def _(K: Composed, inner: Spectrum) -> Spectrum | None:
    between = conjugated(K.inner, inner)
    result = None if between is None else conjugated(K.outer, between)
    if result is None and inner.basis == PixelBasis() and scatters(K):
        return Spectrum(PixelBasis(), _through(K, inner.values))
    return result


@conjugated.register
def _(K: Adjoint, inner: Spectrum) -> Spectrum | None:
    if inner.is_scalar:
        gram = gram_spectrum(K.inner)
        return None if gram is None else inner.values * gram
    if inner.basis != PixelBasis():
        return conjugated.dispatch(LinearOperator)(K, inner)
    between = transformed(K.inner, inner.values)
    return conjugated.dispatch(LinearOperator)(K, inner) if between is None else between


@conjugated.register
def _(K: OnSlice, inner: Spectrum) -> Spectrum | None:
    """Results are vectors: only entries and constants keep their meaning."""
    if not inner.is_scalar:
        return conjugated.dispatch(LinearOperator)(K, inner)
    outer = conjugated(K.inner, inner)
    if outer is None or outer.basis != PixelBasis():
        return None
    if outer.is_scalar:
        return outer
    return Spectrum(outer.basis, outer.values.expand(K.inner.shape_out).reshape(K.shape_out))


@conjugated.register
def _(K: Cosine, inner: Spectrum) -> Spectrum | None:
    return inner if inner.is_scalar else None


@conjugated.register(Fourier)
@conjugated.register(InverseFourier)
def _(K: Fourier | InverseFourier, inner: Spectrum) -> Spectrum | None:
    # Of real tensors, transforms are not all of the complex ones: KK* is a projection.
    if not inner.is_scalar or not K.dtype_in.is_complex:
        return None
    return gram_factor(K) * inner


@conjugated.register(RealPair)
@conjugated.register(ComplexPair)
def _(K: RealPair | ComplexPair, inner: Spectrum) -> Spectrum | None:
    return inner if inner.is_scalar else None


@conjugated.register
def _(K: ChannelMatrix, inner: Spectrum) -> Spectrum | None:
    factor = isometry_factor(K.matrix.mH)
    if factor is None or not (inner.is_scalar or length(inner.values, K.axis) == 1):
        return conjugated.dispatch(LinearOperator)(K, inner)
    if K.axis in inner.basis.axes:
        return None
    return factor * inner


@conjugated.register
def _(K: Subsample, inner: Spectrum) -> Spectrum | None:
    if inner.is_scalar:
        return inner
    match inner.basis:
        case PixelBasis():
            return Spectrum(inner.basis, inner.values.expand(K.shape_in)[K.index])
        case FourierBasis():
            return _aliased(K, inner.basis, inner.values)
    return None


def _aliased(K: Subsample, basis: FourierBasis, values: Tensor) -> Spectrum | None:
    r"""A convolution between a subsampling and its adjoint: one on the coarse grid.

    Its eigenvalues are the means over the frequencies that coincide there,
    :math:`\mu_k = \frac1s \sum_{r < s} \lambda_{k + rn/s}`, whatever the offsets.
    """
    values = basis.full(values)
    sizes = list(basis.sizes)
    dim = len(K.shape_in)
    for axis in range(-dim, 0):
        if axis not in basis.axes:
            if length(values, axis) > 1:
                values = values.movedim(axis, -1)[(..., K.index[axis])].movedim(-1, axis)
            continue
        step, place = K.steps[axis], basis.axes.index(axis)
        if sizes[place] % step:
            return None
        sizes[place] //= step
        if length(values, axis) > 1:
            values = values.unflatten(axis, (step, sizes[place])).mean(dim=axis - 1)
    coarse = FourierBasis(basis.axes, tuple(sizes), basis.real)
    return Spectrum(coarse, coarse.halved(values))


@gram_spectrum.register
def _(K: Adjoint) -> Spectrum | None:
    return outer_gram_spectrum(K.inner)
