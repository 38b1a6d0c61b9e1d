"""Operators that a fast unitary transform makes diagonal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvxprox.operators.algebra import Adjoint, Composed, Identity, Scaled, Sum
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.bases import Basis, PixelBasis, joined, rewritten, times
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal
from cvxprox.operators.stacked import Stacked


@dataclass(frozen=True)
class Spectrum:
    r"""A normal operator :math:`K = Q^* \mathrm{diag}(\lambda)\, Q` with a fast unitary :math:`Q`.

    Attributes
    ----------
    basis : Basis
        :math:`Q`.
    values : Tensor
        :math:`\lambda`, broadcasts against the coefficients. A 0-d tensor is a multiple of the
        identity, which is diagonal in every basis.
    """

    basis: Basis
    values: Tensor

    @property
    def is_scalar(self) -> bool:
        """Whether the operator is a multiple of the identity."""
        return self.values.dim() == 0

    def apply(self, x: Tensor) -> Tensor:
        """:math:`Kx`."""
        if self.basis == PixelBasis():
            return self.values * x
        return self.basis.inverse(times(self.basis.forward(x), self.values))

    @property
    def adjoint(self) -> Spectrum:
        r"""The spectrum of :math:`K^*`."""
        return replace(self, values=torch.conj_physical(self.values))

    def squared(self) -> Spectrum:
        """The spectrum of :math:`K^*K`."""
        values = (
            self.values.real.square() + self.values.imag.square()
            if self.values.is_complex()
            else self.values.square()
        )
        return replace(self, values=values)

    def __add__(self, other: Spectrum) -> Spectrum | None:
        """The spectrum of the sum, None if the operators are diagonal in different bases."""
        return self._combine(other, torch.add)

    def __matmul__(self, other: Spectrum) -> Spectrum | None:
        """The spectrum of the product."""
        return self._combine(other, torch.mul)

    def __rmul__(self, scalar: float | complex | Tensor) -> Spectrum:
        return replace(self, values=scalar * self.values)

    def within(self, basis: Basis) -> Spectrum | None:
        """The same operator in a basis that transforms more axes; None if it is not diagonal there.

        Pixel values that do not change along the axes of a transform (weights of channels, say) are
        eigenvalues in it as well.
        """
        values = rewritten(self.values, self.basis, basis)
        return None if values is None else Spectrum(basis, values)

    def _combine(self, other: Spectrum, operation: Callable[[Tensor, Tensor], Tensor]) -> Spectrum | None:
        if self.is_scalar or other.is_scalar:
            basis = other.basis if self.is_scalar else self.basis
            return Spectrum(basis, operation(self.values, other.values))
        common = joined(self.basis, other.basis)
        if common is None:
            return None
        one, two = self.within(common), other.within(common)
        if one is None or two is None:
            return None
        return Spectrum(common, operation(one.values, two.values))


@functools.singledispatch
def spectrum(K: LinearOperator) -> Spectrum | None:
    """The spectrum of a square operator; None if no fast basis is known in which it is diagonal."""
    return None


@functools.singledispatch
def gram_spectrum(K: LinearOperator) -> Spectrum | None:
    """The spectrum of :math:`K^*K`; None if no fast basis is known in which it is diagonal.

    The default is that of a normal operator, the squared moduli of `spectrum`.
    """
    own = spectrum(K)
    return None if own is None else own.squared()


@functools.singledispatch
def transformed(K: LinearOperator, values: Tensor) -> Spectrum | None:
    r"""The spectrum of :math:`K^*\mathrm{diag}(v)K` for a transform `K` and values over its results.

    None unless `K` is a unitary transform up to a factor (Fourier, cosine).
    """
    return None


@spectrum.register
def _(K: Identity) -> Spectrum:
    return Spectrum(PixelBasis(), torch.ones((), dtype=K.dtype_in.to_real(), device=K.device))


@spectrum.register
def _(K: Scaled) -> Spectrum | None:
    inner = spectrum(K.inner)
    return None if inner is None else K.scalar * inner


@spectrum.register
def _(K: Sum) -> Spectrum | None:
    return total([spectrum(term) for term in K.terms])


@spectrum.register
def _(K: Composed) -> Spectrum | None:
    match K.outer:
        case Adjoint(inner=first) if first is K.inner:
            return gram_spectrum(first)
    outer, inner = spectrum(K.outer), spectrum(K.inner)
    return None if outer is None or inner is None else outer @ inner


@spectrum.register
def _(K: Adjoint) -> Spectrum | None:
    inner = spectrum(K.inner)
    return None if inner is None else inner.adjoint


@spectrum.register
def _(K: Diagonal) -> Spectrum | None:
    if K.shape_out != K.shape_in:
        return None
    return Spectrum(PixelBasis(), _scalar_if_constant(K.weight))


@gram_spectrum.register
def _(K: Scaled) -> Spectrum | None:
    inner = gram_spectrum(K.inner)
    size = torch.as_tensor(K.scalar, device=K.device).abs().square()
    return None if inner is None else size * inner


@gram_spectrum.register
def _(K: Composed) -> Spectrum | None:
    outer = gram_spectrum(K.outer)
    if outer is None:
        return None
    if outer.is_scalar:
        inner = gram_spectrum(K.inner)
        return None if inner is None else outer.values * inner
    if outer.basis == PixelBasis():
        between = transformed(K.inner, outer.values)
        if between is not None:
            return between
    normal = spectrum(K.inner)
    return None if normal is None else outer @ normal.squared()


@gram_spectrum.register
def _(K: Stacked) -> Spectrum | None:
    return total([gram_spectrum(block) for block in K.blocks])


@gram_spectrum.register
def _(K: Gather) -> Spectrum:
    count = K.adjoint(torch.ones(K.shape_out, dtype=K.dtype_in.to_real(), device=K.device))
    return Spectrum(PixelBasis(), _scalar_if_constant(count))


def constant_spectrum(K: LinearOperator, factor: float) -> Spectrum:
    """The spectrum of a multiple of the identity on the arguments of `K`."""
    return Spectrum(PixelBasis(), torch.tensor(factor, dtype=K.dtype_in.to_real(), device=K.device))


def total(spectra: list[Spectrum | None]) -> Spectrum | None:
    """The spectrum of a sum of operators; None if one is unknown or they have no common basis."""
    result: Spectrum | None = None
    for one in spectra:
        if one is None:
            return None
        result = one if result is None else result + one
        if result is None:
            return None
    return result


def _scalar_if_constant(values: Tensor) -> Tensor:
    if values.numel() and not values.requires_grad and bool((values == values.reshape(-1)[0]).all()):
        return values.reshape(-1)[0]
    return values
