"""An operator given by its spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators.base import CPU, LinearOperator, Shape, declare, match_kind
from cvxprox.operators.bases import CosineBasis, FourierBasis, PixelBasis, length
from cvxprox.operators.dct import dct_squares
from cvxprox.operators.diagonal import diagonal, is_diagonal
from cvxprox.operators.move import Device, move, moved_kind, moved_tensor
from cvxprox.operators.spectrum import Spectrum, spectrum


@dataclass(frozen=True, eq=False, repr=False)
class Spectral(LinearOperator):
    r"""The operator :math:`Q^*\mathrm{diag}(\lambda)\,Q` of a `Spectrum`: one transform each way.

    Parameters
    ----------
    decomposition : Spectrum
        The basis Q and the eigenvalues; those of an operator on real tensors keep them real.
    shape : tuple of int
        Shape of the tensors.
    dtype_in, device
        Their element type and where they are.
    """

    decomposition: Spectrum
    shape: Shape
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        declare(self, self.shape, self.shape, self.dtype_in, self.dtype_in, self.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.decomposition.apply(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.decomposition.adjoint.apply(y)


@spectrum.register
def _(K: Spectral) -> Spectrum:
    return K.decomposition


@is_diagonal.register
def _(K: Spectral) -> bool:
    return K.decomposition.is_scalar or K.decomposition.basis == PixelBasis()


@move.register
def _(K: Spectral, device: Device, dtype: torch.dtype) -> LinearOperator:
    values = moved_tensor(K.decomposition.values, device, dtype)
    moved = Spectrum(K.decomposition.basis, values)
    return Spectral(moved, K.shape, moved_kind(K.dtype_in, dtype), torch.device(device))


@diagonal.register
def _(K: Spectral) -> Tensor:
    """Of an operator diagonal in the Fourier basis the mean of its eigenvalues, at every entry."""
    values, basis = K.decomposition.values, K.decomposition.basis
    match basis:
        case FourierBasis():
            full = basis.full(values)
            axes = tuple(axis for axis in basis.axes if length(full, axis) > 1)
            entries = full.mean(dim=axes, keepdim=True) if axes else full
        case CosineBasis():
            full = values.expand(torch.broadcast_shapes(values.shape, K.shape))
            entries = dct_squares(full, basis.axes)
        case _:
            entries = values
    return match_kind(entries.expand(K.shape), K.dtype_in).to(K.dtype_in)
