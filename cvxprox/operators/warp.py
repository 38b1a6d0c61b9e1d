"""Bilinear sampling of images at projectively mapped points."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.as_sparse import as_sparse
from cvxprox.operators.axes import negative_axes, sizes, with_size
from cvxprox.operators.base import LinearOperator, Shape, declare, set_field
from cvxprox.operators.move import Device, move, moved_kind
from cvxprox.operators.sparse_matrix import SparseMatrix
from cvxprox.operators.weighted_column_norms import weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class Warp(LinearOperator):
    r"""An image seen through a homography: for every row r and column c of the result,

    .. math:: y_{r,c} = x(v/s,\; u/s), \qquad (u, v, s)^T = H\, (c, r, 1)^T,

    with bilinear interpolation between the entries of x at row :math:`v/s` and column :math:`u/s`, and
    zero beyond them. The matrix takes points of the result to points of the argument, in the order
    (column, row) of `cv2.warpPerspective` with ``WARP_INVERSE_MAP``.

    Parameters
    ----------
    homography : Tensor
        :math:`H`, of shape ``(3, 3)``. If it requires gradients they reach it through the weights
        of the interpolation; otherwise these are kept as a sparse matrix.
    shape : tuple of int
        Shape of the tensor.
    shape_out : tuple of int, optional
        Shape of the result, the same but for the two axes, or its sizes along these; `shape` if
        omitted.
    axes : tuple of int
        The rows and the columns.
    dtype_in : torch.dtype, optional
        Element type of the tensors; that of the homography if omitted.
    """

    homography: Tensor
    shape: Shape
    shape_out: Shape = None  # type: ignore[assignment]
    axes: tuple[int, ...] = (-2, -1)
    dtype_in: torch.dtype = None  # type: ignore[assignment]
    kept: SparseMatrix | None = field(init=False)
    """The interpolation as a matrix between flattened images, if the homography requires no gradients."""

    def __post_init__(self) -> None:
        axes = negative_axes(tuple(self.axes), self.shape)
        set_field(self, "axes", axes)
        if tuple(self.homography.shape) != (3, 3) or len(axes) != 2:
            raise ValueError(
                f"a homography is a 3 x 3 matrix that maps points of two axes, got one of shape "
                f"{tuple(self.homography.shape)} and the axes {axes}."
            )
        shape_out = tuple(self.shape_out or self.shape)
        if len(shape_out) == 2:
            shape_out = _with_sizes(tuple(self.shape), axes, shape_out)
        if _with_sizes(shape_out, axes, sizes(self.shape, axes)) != tuple(self.shape):
            raise ValueError(f"{shape_out} differs from {self.shape} in more than the axes {axes}.")
        kind = self.dtype_in or self.homography.dtype
        declare(self, self.shape, shape_out, kind, kind, self.homography.device)
        set_field(self, "kept", None if self.homography.requires_grad else self._matrix())

    def _matrix(self) -> SparseMatrix:
        index, weight = interpolation(
            self.homography, sizes(self.shape, self.axes), sizes(self.shape_out, self.axes)
        )
        entries = weight.detach().cpu().numpy().reshape(-1)
        points = weight.shape[-1]
        rows = torch.arange(points).expand(4, points).reshape(-1).numpy()
        shape = (points, math.prod(sizes(self.shape, self.axes)))
        coo = sp.coo_array((entries, (rows, index.cpu().numpy().reshape(-1))), shape=shape)
        matrix = sp.csr_array(coo)
        matrix.eliminate_zeros()
        return SparseMatrix(matrix, self.dtype_in, self.device)

    def forward(self, x: Tensor) -> Tensor:
        size_out = sizes(self.shape_out, self.axes)
        flat = x.movedim(self.axes, (-2, -1)).flatten(-2)
        if self.kept is not None:
            y = self.kept.forward(flat)
        else:
            index, weight = self._interpolation(x.dtype)
            y = (flat[..., index] * weight).sum(-2)
        return y.unflatten(-1, size_out).movedim((-2, -1), self.axes)

    def adjoint(self, y: Tensor) -> Tensor:
        size_in = sizes(self.shape, self.axes)
        flat = y.movedim(self.axes, (-2, -1)).flatten(-2)
        if self.kept is not None:
            x = self.kept.adjoint(flat)
        else:
            index, weight = self._interpolation(y.dtype)
            zero = flat.new_zeros((*flat.shape[:-1], math.prod(size_in)))
            x = zero.index_add(-1, index.reshape(-1), (flat.unsqueeze(-2) * weight).flatten(-2))
        return x.unflatten(-1, size_in).movedim((-2, -1), self.axes)

    def _interpolation(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        index, weight = interpolation(
            self.homography, sizes(self.shape, self.axes), sizes(self.shape_out, self.axes)
        )
        return index, weight.to(dtype)


def _with_sizes(shape: Shape, axes: tuple[int, ...], lengths: Shape) -> Shape:
    if len(shape) < -min(axes):
        return shape
    for axis, n in zip(axes, lengths, strict=True):
        shape = with_size(shape, axis, n)
    return shape


def interpolation(H: Tensor, size_in: Shape, size_out: Shape) -> tuple[Tensor, Tensor]:
    """The four entries around every mapped point and their weights, each of shape ``(4, points)``.

    Entries are positions in the flattened image. The weights of those outside of it are zero.
    """
    row, column = torch.meshgrid(
        *(torch.arange(n, dtype=H.dtype, device=H.device) for n in size_out), indexing="ij"
    )
    points = torch.stack([column, row, torch.ones_like(row)]).reshape(3, -1)
    u, v, s = (H @ points).unbind(0)
    at = (v / s, u / s)
    corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
    index = torch.zeros((4, u.numel()), dtype=torch.int64, device=H.device)
    weights = []
    for c, corner in enumerate(corners):
        weight = torch.ones_like(u)
        for axis, (p, side) in enumerate(zip(at, corner, strict=True)):
            low = p.detach().floor()
            fraction = p - low
            entry = low + side
            inside = (entry >= 0) & (entry < size_in[axis])
            part = fraction if side else 1 - fraction
            weight = weight * torch.where(inside, part, 0.0)
            place = torch.where(inside, entry, 0.0).to(torch.int64)
            index[c] = index[c] * size_in[axis] + place
        weights.append(weight)
    return index, torch.stack(weights)


@move.register
def _(K: Warp, device: Device, dtype: torch.dtype) -> LinearOperator:
    # Where points land is computed in the precision the homography is given in.
    return replace(K, homography=K.homography.to(device), dtype_in=moved_kind(K.dtype_in, dtype))


@as_sparse.register
def _(K: Warp) -> sp.csr_array:
    """The same interpolation for every image: between the axes moved last and their places."""
    matrix = as_sparse(K._matrix() if K.kept is None else K.kept)
    images = math.prod(K.shape_in) // matrix.shape[1]
    stacked = sp.csr_array(sp.kron(sp.eye_array(images), matrix))
    return sp.csr_array(stacked[_moved(K.shape_out, K.axes)][:, _moved(K.shape_in, K.axes)])


def _moved(shape: Shape, axes: tuple[int, ...]) -> np.ndarray:
    """Where the entries of a tensor are once its axes are moved last."""
    last = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), axes, (-2, -1)).reshape(-1)
    return np.argsort(last)


@weighted_column_norms.register
def _(K: Warp, weight: Tensor) -> Tensor:
    squares = (K._matrix() if K.kept is None else K.kept).matrix.power(2)
    squared = replace(K)
    set_field(squared, "kept", SparseMatrix(squares, weight.dtype, K.device))
    return squared.adjoint(weight.expand(K.shape_out))
