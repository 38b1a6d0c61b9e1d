"""Discrete cosine transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.atoms.axes import Axes, check_ndim, negative_axes
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.operators import Cosine, LinearOperator


class dct(LinearAtom):
    r"""The orthonormal discrete cosine transform of type II.

    .. math:: y_k = s_k \sum_{n=0}^{N-1} x_n \cos\frac{\pi k (2n + 1)}{2N}, \qquad
              s_0 = \sqrt{1/N}, \quad s_k = \sqrt{2/N}

    along each of the axes, as that of `scipy.fft.dctn` with ``norm="ortho"``. Its inverse, `idct`, is its
    adjoint.

    Parameters
    ----------
    x : Expression
        Of any shape.
    axes : int or tuple of int, optional
        All axes by default.
    """

    options: ClassVar[tuple[str, ...]] = ("axes",)

    def __init__(self, x: Any, axes: Axes = None) -> None:
        self.axes = axes
        super().__init__(x)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_ndim(self.label(), self.args[0].shape, 1)

    def shape_from_args(self) -> Shape:
        """The shape of the expression."""
        return tuple(self.args[0].shape)

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        axes = negative_axes(self.label(), self.axes, self.ndim)
        return Cosine(self.shape, axes, dtype_in=dtype, device=torch.device(device))


class idct(dct):
    """The inverse of `dct`."""

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        return super().operator(data, dtype, device).T
