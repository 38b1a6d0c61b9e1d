"""Matrices that mix channels, the same at every pixel or one for each."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.atoms.axes import check_ndim, negative_axes
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.operators import ChannelMatrix, LinearOperator, PixelMatrix, RealPart


class MixingAtom(LinearAtom):
    """What `channel_matmul` and `pixel_matmul` share."""

    options: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, x: Any, matrix: Any, axis: int = -1) -> None:
        self.axis = axis
        super().__init__(x, matrix)

    @property
    def _axis(self) -> int:
        return negative_axes(self.label(), self.axis, self.args[0].ndim)[0]

    def name(self) -> str:
        return super().name().replace(f", {self.axis})", ")") if self.axis == -1 else super().name()

    def _kind(self, matrix: Tensor, dtype: torch.dtype) -> torch.dtype:
        return dtype.to_complex() if matrix.is_complex() else dtype

    def shape_from_args(self) -> Shape:
        """The shape of the expression with another number of channels."""
        shape = list(self.args[0].shape)
        shape[self._axis] = self.args[1].shape[-2]
        return tuple(shape)

    def nonzeros_in_a_row(self) -> int:
        return int(self.args[1].shape[-1])

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        (matrix,) = data
        shape, kind = tuple(self.args[0].shape), self._kind(matrix, dtype)
        K = self.build(matrix.to(device, kind), shape)
        return K if kind == dtype else K @ RealPart(shape, kind, torch.device(device)).T

    @abc.abstractmethod
    def build(self, matrix: Tensor, shape: Shape) -> LinearOperator:
        """The operator of a matrix."""


class ChannelProduct(MixingAtom):
    """Made by `channel_matmul`."""

    data_names: ClassVar[tuple[str, ...]] = ("matrix",)

    @classmethod
    def label(cls) -> str:
        return "channel_matmul"

    def validate_arguments(self) -> None:
        super().validate_arguments()
        x, matrix = self.args
        check_ndim(self.label(), x.shape, 1)
        if matrix.ndim != 2 or matrix.shape[1] != x.shape[self._axis]:
            raise ValueError(
                f"the matrix of `channel_matmul` has the shape {matrix.shape}, but `{x.name()}`, of shape "
                f"{x.shape}, "
                f"has {x.shape[self._axis]} channels along the axis {self.axis}."
            )

    def build(self, matrix: Tensor, shape: Shape) -> LinearOperator:
        return ChannelMatrix(matrix, shape, self._axis)


class PixelProduct(MixingAtom):
    """Made by `pixel_matmul`."""

    data_names: ClassVar[tuple[str, ...]] = ("matrices",)

    @classmethod
    def label(cls) -> str:
        return "pixel_matmul"

    def validate_arguments(self) -> None:
        super().validate_arguments()
        x, matrices = self.args
        check_ndim(self.label(), x.shape, 1)
        channels = x.shape[self._axis]
        pixels = tuple(n for axis, n in zip(range(-x.ndim, 0), x.shape, strict=True) if axis != self._axis)
        if matrices.ndim != x.ndim + 1 or matrices.shape[:-2] != pixels or matrices.shape[-1] != channels:
            wanted = (*map(str, pixels), "p", str(channels))
            raise ValueError(
                f"the matrices of `pixel_matmul` have the shape {matrices.shape}; for `{x.name()}` of "
                f"shape {x.shape} "
                f"with channels along the axis {self.axis} they need ({', '.join(wanted)})."
            )

    def build(self, matrix: Tensor, shape: Shape) -> LinearOperator:
        return PixelMatrix(matrix, shape, self._axis)


def channel_matmul(matrix: Any, x: Any, axis: int = -1) -> ChannelProduct:
    r"""One matrix applied to the channels of every pixel.

    .. math:: y_{i,p} = \sum_q M_{pq}\, x_{i,q}

    for a colour transform, or the response of sensors to a spectrum.

    Parameters
    ----------
    matrix : array, Tensor, Constant or Parameter
        :math:`M`, of shape (p, q).
    x : Expression
        Of any shape, with `q` elements along `axis`.
    axis : int
        The axis of the channels.

    Returns
    -------
    Expression
        Of the shape of `x` with `p` elements along `axis`.
    """
    return ChannelProduct(x, matrix, axis)


def pixel_matmul(matrices: Any, x: Any, axis: int = -1) -> PixelProduct:
    r"""A matrix of its own for the channels of every pixel.

    .. math:: y_{i,p} = \sum_q M_{i,pq}\, x_{i,q}

    Parameters
    ----------
    matrices : array, Tensor, Constant or Parameter
        :math:`M`, of shape ``(*pixels, p, q)``, where `pixels` is the shape of `x` without `axis`.
    x : Expression
        Of any shape, with `q` elements along `axis`.
    axis : int
        The axis of the channels.

    Returns
    -------
    Expression
        Of the shape of `x` with `p` elements along `axis`.
    """
    return PixelProduct(x, matrices, axis)
