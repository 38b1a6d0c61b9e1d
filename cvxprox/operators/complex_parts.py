"""Between complex tensors and their real and imaginary parts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.as_sparse import as_sparse
from cvxprox.operators.base import CPU, LinearOperator, Shape, declare
from cvxprox.operators.move import Device, move, moved_kind
from cvxprox.operators.spectrum import Spectrum, constant_spectrum, gram_spectrum
from cvxprox.operators.weighted_column_norms import separates, weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class RealPart(LinearOperator):
    r""":math:`z \mapsto \mathrm{Re}\,z`, linear over the reals. The adjoint reads a real tensor as complex.

    Parameters
    ----------
    shape : tuple of int
        Shape of the tensors.
    dtype_in, device
        The complex element type of the arguments and where they are.
    """

    shape: Shape
    dtype_in: torch.dtype = torch.complex128
    device: torch.device = CPU

    def __post_init__(self) -> None:
        declare(self, self.shape, self.shape, self.dtype_in, self.dtype_in.to_real(), self.device)

    def forward(self, x: Tensor) -> Tensor:
        return x.real

    def adjoint(self, y: Tensor) -> Tensor:
        return torch.complex(y, torch.zeros_like(y))


@dataclass(frozen=True, eq=False, repr=False)
class ImagPart(LinearOperator):
    r""":math:`z \mapsto \mathrm{Im}\,z`, linear over the reals. The adjoint is :math:`y \mapsto iy`.

    Parameters
    ----------
    shape : tuple of int
        Shape of the tensors.
    dtype_in, device
        The complex element type of the arguments and where they are.
    """

    shape: Shape
    dtype_in: torch.dtype = torch.complex128
    device: torch.device = CPU

    def __post_init__(self) -> None:
        declare(self, self.shape, self.shape, self.dtype_in, self.dtype_in.to_real(), self.device)

    def forward(self, x: Tensor) -> Tensor:
        return x.imag

    def adjoint(self, y: Tensor) -> Tensor:
        return torch.complex(torch.zeros_like(y), y)


@dataclass(frozen=True, eq=False, repr=False)
class RealPair(LinearOperator):
    r""":math:`z \mapsto (\mathrm{Re}\,z, \mathrm{Im}\,z)` of shape ``(2, *shape)``, an isometry.

    Parameters
    ----------
    shape : tuple of int
        Shape of the complex tensors.
    dtype_in, device
        Their element type and where they are.
    """

    shape: Shape
    dtype_in: torch.dtype = torch.complex128
    device: torch.device = CPU

    def __post_init__(self) -> None:
        declare(self, self.shape, (2, *self.shape), self.dtype_in, self.dtype_in.to_real(), self.device)

    def forward(self, x: Tensor) -> Tensor:
        return _pair(x, len(self.shape))

    def adjoint(self, y: Tensor) -> Tensor:
        return _joined(y, len(self.shape))


@dataclass(frozen=True, eq=False, repr=False)
class ComplexPair(LinearOperator):
    """The complex tensor of the real and imaginary parts in a real one of shape ``(2, *shape)``.

    Parameters
    ----------
    shape : tuple of int
        Shape of the complex tensors.
    dtype_in, device
        The real element type of the arguments and where they are.
    """

    shape: Shape
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        declare(self, (2, *self.shape), self.shape, self.dtype_in, self.dtype_in.to_complex(), self.device)

    def forward(self, x: Tensor) -> Tensor:
        return _joined(x, len(self.shape))

    def adjoint(self, y: Tensor) -> Tensor:
        return _pair(y, len(self.shape))


def _pair(z: Tensor, dim: int) -> Tensor:
    return torch.stack([z.real, z.imag], dim=-dim - 1)


def _joined(pair: Tensor, dim: int) -> Tensor:
    return torch.complex(*pair.unbind(-dim - 1))


@gram_spectrum.register(RealPair)
@gram_spectrum.register(ComplexPair)
def _(K: RealPair | ComplexPair) -> Spectrum:
    return constant_spectrum(K, 1.0)


@move.register(RealPart)
@move.register(ImagPart)
@move.register(RealPair)
@move.register(ComplexPair)
def _(K: RealPart | ImagPart | RealPair | ComplexPair, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, dtype_in=moved_kind(K.dtype_in, dtype), device=torch.device(device))


@as_sparse.register
def _(K: ComplexPair) -> sp.csr_array:
    eye = sp.eye_array(math.prod(K.shape))
    return sp.csr_array(sp.hstack([eye, 1j * eye]))


@weighted_column_norms.register
def _(K: ComplexPair, weight: Tensor) -> Tensor:
    return weight.expand(K.shape_in)


@weighted_column_norms.register(RealPart)
@weighted_column_norms.register(ImagPart)
def _(K: RealPart | ImagPart, weight: Tensor) -> Tensor:
    return 0.5 * weight.expand(K.shape_in)


@weighted_column_norms.register
def _(K: RealPair, weight: Tensor) -> Tensor:
    return weight.expand(K.shape_out).mean(dim=0)


@separates.register(RealPart)
@separates.register(ImagPart)
@separates.register(RealPair)
def _(K: RealPart | ImagPart | RealPair) -> bool:
    return True
