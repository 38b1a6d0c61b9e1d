"""Images seen from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.atoms.axes import check_ndim
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.operators import LinearOperator, Warp


class warp(LinearAtom):
    r"""An image resampled through a homography, with bilinear interpolation.

    .. math:: y(p) = x(q), \qquad q \sim H p

    for homogeneous pixel coordinates :math:`p = (\mathrm{column}, \mathrm{row}, 1)` of the result: `H` maps
    the result to the image. It is zero where `q` lies outside of the image.

    Parameters
    ----------
    x : Expression
        Of at least two dimensions, the last two being rows and columns.
    homography : array, Tensor, Constant or Parameter
        `H`, of shape (3, 3).
    shape : tuple of int, optional
        Rows and columns of the result; those of `x` by default.
    """

    data_names: ClassVar[tuple[str, ...]] = ("homography",)
    linear_in_data = False

    def __init__(self, x: Any, homography: Any, shape: Sequence[int] | None = None) -> None:
        self.size_out = None if shape is None else tuple(shape)
        super().__init__(x, homography)

    def get_data(self) -> list[Any]:
        """The shape of the result."""
        return [self.size_out]

    def validate_arguments(self) -> None:
        super().validate_arguments()
        x, homography = self.args
        check_ndim("warp", x.shape, 2)
        if homography.shape != (3, 3) or homography.is_complex():
            raise ValueError(
                f"the homography of `warp` has the shape {homography.shape}; it is a real matrix of shape "
                f"(3, 3)."
            )
        if self.size_out is not None and (len(self.size_out) != 2 or min(self.size_out) < 1):
            raise ValueError(
                f"`warp` was given the shape {self.size_out}; it has a number of rows and one of columns."
            )

    def shape_from_args(self) -> Shape:
        """The shape of the expression with the chosen rows and columns."""
        shape = tuple(self.args[0].shape)
        return shape[:-2] + (shape[-2:] if self.size_out is None else self.size_out)

    def nonzeros_in_a_row(self) -> int:
        return 4

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        (homography,) = data
        shape = tuple(self.args[0].shape)
        return Warp(homography.to(device, dtype.to_real()), shape, self.shape, dtype_in=dtype)
