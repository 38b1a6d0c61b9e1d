"""The discrete cosine transform."""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass, replace

import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.as_sparse import along_axis, as_sparse
from cvxprox.operators.axes import negative_axes, sizes
from cvxprox.operators.base import CPU, LinearOperator, Shape, declare, set_field
from cvxprox.operators.bases import CosineBasis
from cvxprox.operators.dct import dct, dct_squares, idct
from cvxprox.operators.move import Device, move, moved_kind
from cvxprox.operators.spectrum import Spectrum, constant_spectrum, gram_spectrum, transformed
from cvxprox.operators.weighted_column_norms import weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class Cosine(LinearOperator):
    """The orthonormal type-II discrete cosine transform over some axes; the inverse is the adjoint.

    It is `scipy.fft.dctn` with ``norm="ortho"``.

    Parameters
    ----------
    shape : tuple of int
        Shape of the tensors.
    axes : tuple of int, optional
        Axes of `shape`; all of them if omitted.
    dtype_in, device
        Element type of the tensors and where they are.
    """

    shape: Shape
    axes: tuple[int, ...] | None = None
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        axes = tuple(range(len(self.shape))) if self.axes is None else tuple(self.axes)
        set_field(self, "axes", negative_axes(axes, self.shape))
        declare(self, self.shape, self.shape, self.dtype_in, self.dtype_in, self.device)

    @property
    def over(self) -> tuple[int, ...]:
        """The axes, negative and increasing."""
        assert self.axes is not None
        return self.axes

    def forward(self, x: Tensor) -> Tensor:
        return dct(x, self.over)

    def adjoint(self, y: Tensor) -> Tensor:
        return idct(y, self.over)


@gram_spectrum.register
def _(K: Cosine) -> Spectrum:
    return constant_spectrum(K, 1.0)


@transformed.register
def _(K: Cosine, values: Tensor) -> Spectrum:
    return Spectrum(CosineBasis(K.over, sizes(K.shape, K.over)), values)


@move.register
def _(K: Cosine, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, dtype_in=moved_kind(K.dtype_in, dtype), device=torch.device(device))


@as_sparse.register
def _(K: Cosine) -> sp.csr_array:
    matrices = []
    for axis in K.over:
        unit = torch.eye(K.shape[axis], dtype=K.dtype_in.to_real())
        matrices.append(along_axis(dct(unit, (-1,)).T.numpy(), K.shape, axis))
    start = sp.eye_array(math.prod(K.shape), dtype=matrices[0].dtype)
    return sp.csr_array(functools.reduce(operator.matmul, matrices, start))


@weighted_column_norms.register
def _(K: Cosine, weight: Tensor) -> Tensor:
    return dct_squares(weight.expand(K.shape_out), K.over)
