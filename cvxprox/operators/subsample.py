"""Every s-th entry along axes of a tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import EllipsisType

import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.as_sparse import as_sparse
from cvxprox.operators.base import CPU, LinearOperator, Shape, batch_shape, declare, set_field
from cvxprox.operators.gather import Gather
from cvxprox.operators.move import Device, move, moved_kind
from cvxprox.operators.scatters import gathers, scatters
from cvxprox.operators.spectrum import PixelBasis, Spectrum, constant_spectrum, gram_spectrum
from cvxprox.operators.weighted_column_norms import weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class Subsample(LinearOperator):
    """Regular subsampling, ``x[o1::s1, ..., od::sd]``.

    Parameters
    ----------
    shape : tuple of int
        Shape of the tensor.
    steps : tuple of int
        One step for every axis, at least 1.
    offsets : tuple of int, optional
        The first entry taken along every axis; zeros if omitted.
    dtype_in, device
        Element type of the tensors and where they are.

    Raises
    ------
    ValueError
        If a step is not positive or an offset is outside of its axis.
    """

    shape: Shape
    steps: tuple[int, ...]
    offsets: tuple[int, ...] | None = None
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        offsets = (0,) * len(self.shape) if self.offsets is None else tuple(self.offsets)
        if not len(self.steps) == len(offsets) == len(self.shape):
            raise ValueError(
                f"a tensor of shape {self.shape} takes one step and one offset for every axis, "
                f"got {self.steps} and {offsets}."
            )
        within = all(0 <= o < n for o, n in zip(offsets, self.shape, strict=True))
        if min(self.steps, default=1) < 1 or not within:
            raise ValueError(
                f"steps {self.steps} must be positive, and offsets {offsets} within the shape {self.shape}."
            )
        set_field(self, "offsets", offsets)
        shape_out = tuple(-(-(n - o) // s) for n, s, o in zip(self.shape, self.steps, offsets, strict=True))
        declare(self, self.shape, shape_out, self.dtype_in, self.dtype_in, self.device)

    @property
    def index(self) -> tuple[EllipsisType | slice, ...]:
        """What is taken along every axis."""
        assert self.offsets is not None
        return (..., *(slice(o, None, s) for s, o in zip(self.steps, self.offsets, strict=True)))

    def forward(self, x: Tensor) -> Tensor:
        return x[self.index]

    def adjoint(self, y: Tensor) -> Tensor:
        x = y.new_zeros(batch_shape(y, self.shape_out) + self.shape_in)
        x[self.index] = y
        return x


def _mask(K: Subsample, dtype: torch.dtype) -> Tensor:
    return K.adjoint(torch.ones(K.shape_out, dtype=dtype, device=K.device))


@gram_spectrum.register
def _(K: Subsample) -> Spectrum:
    if set(K.steps) <= {1} and K.shape_in == K.shape_out:
        return constant_spectrum(K, 1.0)
    return Spectrum(PixelBasis(), _mask(K, K.dtype_in.to_real()))


@move.register
def _(K: Subsample, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, dtype_in=moved_kind(K.dtype_in, dtype), device=torch.device(device))


@scatters.register
@gathers.register
def _(K: Subsample) -> bool:
    return True


@as_sparse.register
def _(K: Subsample) -> sp.csr_array:
    places = torch.arange(math.prod(K.shape_in)).reshape(K.shape_in)
    return as_sparse(Gather(K.forward(places), K.shape_in, K.dtype_in))


@weighted_column_norms.register
def _(K: Subsample, weight: Tensor) -> Tensor:
    return K.adjoint(weight.expand(K.shape_out))
