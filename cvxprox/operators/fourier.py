"""Discrete Fourier transforms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvxprox.operators.axes import negative_axes, sizes
from cvxprox.operators.base import CPU, LinearOperator, Shape, declare, match_kind, set_field
from cvxprox.operators.bases import FourierBasis, negated_frequencies
from cvxprox.operators.move import Device, move, moved_kind
from cvxprox.operators.spectrum import Spectrum, constant_spectrum, gram_spectrum, transformed
from cvxprox.operators.weighted_column_norms import weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class Fourier(LinearOperator):
    r"""The discrete Fourier transform over some axes, of all frequencies,

    .. math:: X_k = s \sum_j x_j\, e^{-2\pi i \sum_a k_a j_a / n_a}.

    Parameters
    ----------
    shape : tuple of int
        Shape of the tensors.
    axes : tuple of int, optional
        Axes of `shape`; all of them if omitted.
    norm : {"ortho", "backward"}
        :math:`s = 1/\sqrt{N}` for the N entries that are transformed together, which makes it
        unitary, or :math:`s = 1`, as in `numpy.fft`.
    dtype_in, device
        Element type of the tensors, real or complex, and where they are. Results are complex.
    """

    shape: Shape
    axes: tuple[int, ...] | None = None
    norm: str = "ortho"
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        set_field(self, "axes", _checked_axes(self.axes, self.shape, self.norm))
        declare(self, self.shape, self.shape, self.dtype_in, self.dtype_in.to_complex(), self.device)

    @property
    def over(self) -> tuple[int, ...]:
        """The axes, negative and increasing."""
        assert self.axes is not None
        return self.axes

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fftn(x, dim=self.over, norm=self.norm)

    def adjoint(self, y: Tensor) -> Tensor:
        return match_kind(torch.fft.ifftn(y, dim=self.over, norm=TRANSPOSED[self.norm]), self.dtype_in)


@dataclass(frozen=True, eq=False, repr=False)
class InverseFourier(LinearOperator):
    """The inverse of the `Fourier` transform with the same fields.

    Parameters
    ----------
    shape, axes, norm, dtype_in, device
        As in `Fourier`; with the norm "backward" the sum is divided by the number of entries that
        are transformed together.
    """

    shape: Shape
    axes: tuple[int, ...] | None = None
    norm: str = "ortho"
    dtype_in: torch.dtype = torch.complex128
    device: torch.device = CPU

    def __post_init__(self) -> None:
        set_field(self, "axes", _checked_axes(self.axes, self.shape, self.norm))
        declare(self, self.shape, self.shape, self.dtype_in, self.dtype_in.to_complex(), self.device)

    @property
    def over(self) -> tuple[int, ...]:
        """The axes, negative and increasing."""
        assert self.axes is not None
        return self.axes

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.ifftn(x, dim=self.over, norm=self.norm)

    def adjoint(self, y: Tensor) -> Tensor:
        return match_kind(torch.fft.fftn(y, dim=self.over, norm=TRANSPOSED[self.norm]), self.dtype_in)


TRANSPOSED = {"ortho": "ortho", "backward": "forward"}
"""The norm of the other transform that makes it the adjoint."""


def _checked_axes(axes: tuple[int, ...] | None, shape: Shape, norm: str) -> tuple[int, ...]:
    if norm not in TRANSPOSED:
        raise ValueError(f"unknown norm {norm!r}: it is one of {', '.join(map(repr, TRANSPOSED))}.")
    return negative_axes(tuple(range(len(shape))) if axes is None else tuple(axes), shape)


def gram_factor(K: Fourier | InverseFourier) -> float:
    """The number c with :math:`K^*K = cI`."""
    count = math.prod(sizes(K.shape, K.over))
    match K:
        case Fourier(norm="backward"):
            return float(count)
        case InverseFourier(norm="backward"):
            return 1.0 / count
    return 1.0


@gram_spectrum.register(Fourier)
@gram_spectrum.register(InverseFourier)
def _(K: Fourier | InverseFourier) -> Spectrum:
    return constant_spectrum(K, gram_factor(K))


@transformed.register
def _(K: Fourier, values: Tensor) -> Spectrum | None:
    return _between(K, values)


@transformed.register
def _(K: InverseFourier, values: Tensor) -> Spectrum | None:
    # The inverse transform is the transform with the frequencies negated, up to its factor.
    return _between(K, negated_frequencies(values, K.over))


def _between(K: Fourier | InverseFourier, values: Tensor) -> Spectrum:
    """K* diag(v) K. On real tensors only the part of it that keeps them real is left,
    with the values :math:`(v_k + \\bar v_{-k}) / 2`."""
    basis = FourierBasis(K.over, sizes(K.shape, K.over), not K.dtype_in.is_complex)
    if basis.real:
        values = values + torch.conj_physical(negated_frequencies(values, K.over))
        values = basis.halved(0.5 * values)
    return Spectrum(basis, gram_factor(K) * values)


@move.register(Fourier)
@move.register(InverseFourier)
def _(K: Fourier | InverseFourier, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, dtype_in=moved_kind(K.dtype_in, dtype), device=torch.device(device))


@weighted_column_norms.register(Fourier)
@weighted_column_norms.register(InverseFourier)
def _(K: Fourier | InverseFourier, weight: Tensor) -> Tensor:
    """All entries between what is transformed together are of one size."""
    mean = weight.expand(K.shape_out).mean(dim=K.over, keepdim=True)
    return (gram_factor(K) * mean).expand(K.shape_in)
