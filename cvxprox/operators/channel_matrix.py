"""Matrices along one axis of a tensor, the same or another one at every pixel."""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.as_sparse import along_axis, as_sparse
from cvxprox.operators.axes import negative_axes, with_size
from cvxprox.operators.base import LinearOperator, Shape, declare, set_field
from cvxprox.operators.gram import gram
from cvxprox.operators.move import Device, move, moved_tensor
from cvxprox.operators.scatters import gathers, scatters
from cvxprox.operators.spectrum import Spectrum, constant_spectrum, gram_spectrum
from cvxprox.operators.weighted_column_norms import weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class ChannelMatrix(LinearOperator):
    r"""A matrix along one axis, :math:`y_{\ldots p \ldots} = \sum_q M_{pq}\, x_{\ldots q \ldots}`.

    Parameters
    ----------
    matrix : Tensor
        :math:`M`, of shape ``(p, q)``, or ``(*batch, p, q)`` for a matrix per sample.
    shape : tuple of int
        Shape of the tensor, q along the axis.
    axis : int
        The axis.
    """

    matrix: Tensor
    shape: Shape
    axis: int = 0

    def __post_init__(self) -> None:
        (axis,) = negative_axes((self.axis,), self.shape)
        set_field(self, "axis", axis)
        M = self.matrix
        if M.dim() < 2 or M.shape[-1] != self.shape[axis]:
            raise ValueError(
                f"a matrix of shape {tuple(M.shape)} does not act on the axis {axis} of a tensor "
                f"of shape {self.shape}."
            )
        shape_out = with_size(self.shape, axis, M.shape[-2])
        declare(self, self.shape, shape_out, M.dtype, M.dtype, M.device)

    def forward(self, x: Tensor) -> Tensor:
        return _along(self.matrix, x, self.axis, len(self.shape))

    def adjoint(self, y: Tensor) -> Tensor:
        return _along(self.matrix.mH, y, self.axis, len(self.shape))


@dataclass(frozen=True, eq=False, repr=False)
class PixelMatrix(LinearOperator):
    r"""Another matrix at every pixel, :math:`y_{p,i} = \sum_q M_{i,pq}\, x_{q,i}`.

    Parameters
    ----------
    matrices : Tensor
        :math:`M`, of shape ``(*pixels, p, q)`` with the sizes of the tensor without its axis;
        leading dimensions before those are a batch.
    shape : tuple of int
        Shape of the tensor, q along the axis.
    axis : int
        The axis.
    """

    matrices: Tensor
    shape: Shape
    axis: int = 0
    images: Tensor = field(init=False)
    """The matrices with p and q before the pixels: an image for every entry."""

    def __post_init__(self) -> None:
        (axis,) = negative_axes((self.axis,), self.shape)
        set_field(self, "axis", axis)
        M = self.matrices
        dim = len(self.shape)
        pixels = tuple(n for a, n in enumerate(self.shape, start=-dim) if a != axis)
        if M.dim() < dim + 1 or tuple(M.shape[-dim - 1 : -2]) != pixels or M.shape[-1] != self.shape[axis]:
            raise ValueError(
                f"matrices of shape {tuple(M.shape)} do not act on the axis {axis} of a tensor of shape "
                f"{self.shape}: their shape is {(*pixels, 'p', self.shape[axis])}."
            )
        declare(self, self.shape, with_size(self.shape, axis, M.shape[-2]), M.dtype, M.dtype, M.device)
        set_field(self, "images", M.movedim((-2, -1), (-dim - 1, -dim)).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return _at_pixels(self.images, x, self.axis, len(self.shape))

    def adjoint(self, y: Tensor) -> Tensor:
        p = -len(self.shape) - 1
        return _at_pixels(torch.conj_physical(self.images).transpose(p, p + 1), y, self.axis, len(self.shape))


def _along(M: Tensor, x: Tensor, axis: int, dim: int) -> Tensor:
    """`M` along an axis of the last `dim` dimensions of `x`, by matrix products without a transpose."""
    dtype = torch.promote_types(M.dtype, x.dtype)
    M, x = M.to(dtype), x.to(dtype)
    if axis == -1 and M.dim() == 2:
        return x @ M.mT
    if M.dim() > 2:
        M = M.reshape(M.shape[:-2] + (1,) * (dim + axis) + M.shape[-2:])
    after = x.shape[x.dim() + axis + 1 :]
    result = M @ x.reshape((*x.shape[: x.dim() + axis + 1], math.prod(after)))
    return result.reshape(result.shape[:-1] + after)


def _at_pixels(images: Tensor, x: Tensor, axis: int, dim: int) -> Tensor:
    # Multiplications of whole images: products of many small matrices are slower.
    columns = images.unbind(-dim)  # q
    parts = x.movedim(axis, -dim).unbind(-dim)
    terms = [column * part.unsqueeze(-dim) for column, part in zip(columns, parts, strict=True)]
    return functools.reduce(operator.add, terms).movedim(-dim, axis)


@gram_spectrum.register
def _(K: ChannelMatrix) -> Spectrum | None:
    factor = isometry_factor(K.matrix)
    return None if factor is None else constant_spectrum(K, factor)


@gram.register
def _(K: ChannelMatrix) -> LinearOperator:
    if gram_spectrum(K) is not None:
        return gram.dispatch(LinearOperator)(K)
    return ChannelMatrix(K.matrix.mH @ K.matrix, K.shape, K.axis)


def isometry_factor(M: Tensor) -> float | None:
    """The number c with :math:`M^*M = cI` up to rounding; None if there is none or M requires gradients."""
    if M.dim() > 2 or M.requires_grad or not M.numel():
        return None
    square = M.mH @ M
    factor = float(square.diagonal().real.mean())
    eye = torch.eye(M.shape[-1], dtype=M.dtype, device=M.device)
    error = float((square - factor * eye).abs().max())
    if error > 100 * torch.finfo(M.dtype).eps * factor:
        return None
    # Rounding alone: an orthogonal matrix is to be recognised as one.
    return 1.0 if abs(factor - 1) <= 100 * torch.finfo(M.dtype).eps else factor


@gram.register
def _(K: PixelMatrix) -> LinearOperator:
    return PixelMatrix(K.matrices.mH @ K.matrices, K.shape, K.axis)


@move.register
def _(K: ChannelMatrix, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, matrix=moved_tensor(K.matrix, device, dtype))


@move.register
def _(K: PixelMatrix, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, matrices=moved_tensor(K.matrices, device, dtype))


@as_sparse.register
def _(K: ChannelMatrix) -> sp.csr_array:
    if K.matrix.dim() > 2:
        raise ValueError(f"{K} holds a batch of matrices; take one of them.")
    return along_axis(K.matrix.detach().cpu().numpy(), K.shape, K.axis)


@as_sparse.register
def _(K: PixelMatrix) -> sp.csr_array:
    if K.matrices.dim() > len(K.shape) + 1:
        raise ValueError(f"{K} holds a batch of matrices; take one of them.")
    rows, columns = (
        np.moveaxis(np.arange(math.prod(shape)).reshape(shape), K.axis, -1)
        for shape in (K.shape_out, K.shape_in)
    )
    entries = K.matrices.detach().cpu().numpy()
    rows = np.broadcast_to(rows[..., :, None], entries.shape)
    columns = np.broadcast_to(columns[..., None, :], entries.shape)
    shape = (math.prod(K.shape_out), math.prod(K.shape_in))
    return sp.csr_array(sp.coo_array((entries.ravel(), (rows.ravel(), columns.ravel())), shape=shape))


@scatters.register
def _(K: ChannelMatrix) -> bool:
    return bool((K.matrix.detach() != 0).sum(dim=-2).le(1).all())


@gathers.register
def _(K: ChannelMatrix) -> bool:
    return bool((K.matrix.detach() != 0).sum(dim=-1).le(1).all())


@weighted_column_norms.register
def _(K: ChannelMatrix, weight: Tensor) -> Tensor:
    return replace(K, matrix=K.matrix.abs().square()).adjoint(weight.expand(K.shape_out))


@weighted_column_norms.register
def _(K: PixelMatrix, weight: Tensor) -> Tensor:
    return replace(K, matrices=K.matrices.abs().square()).adjoint(weight.expand(K.shape_out))
