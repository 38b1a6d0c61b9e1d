"""Finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cvxprox.atoms.axes import Axes, check_choice, check_ndim, negative_axes
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.operators import FiniteDifference, Gather, LinearOperator

BOUNDARIES = ("reflect", "circular", "zero")


class grad(LinearAtom):
    r"""Forward differences of an expression along its axes.

    .. math:: y_{a,i} = x_{i + e_a} - x_i

    Parameters
    ----------
    x : Expression
        Of any shape with at least one dimension.
    boundary : str
        What follows the last element: itself ("reflect", so that the last difference is 0), the first one
        ("circular"), or zero ("zero").
    axes : int or tuple of int, optional
        The axes along which differences are taken, in increasing order; all of them by default.

    Returns
    -------
    Expression
        Of shape ``(len(axes), *x.shape)``.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox
    >>> cvxprox.grad(cp.Constant([1.0, 2.0, 5.0])).value
    array([[1., 3., 0.]])
    """

    options: ClassVar[tuple[str, ...]] = ("boundary", "axes")

    def __init__(self, x: Any, boundary: str = "reflect", axes: Axes = None) -> None:
        self.boundary, self.axes = boundary, axes
        super().__init__(x)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_choice(self.label(), "boundary", self.boundary, BOUNDARIES)
        check_ndim(self.label(), self.args[0].shape, 1)

    @property
    def _axes(self) -> tuple[int, ...]:
        return negative_axes(self.label(), self.axes, self.args[0].ndim)

    def shape_from_args(self) -> Shape:
        """One array of differences for each axis."""
        return (len(self._axes), *self.args[0].shape)

    def nonzeros_in_a_row(self) -> int:
        return 2

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        return FiniteDifference(
            self.args[0].shape, self._axes, self.boundary, dtype_in=dtype, device=torch.device(device)
        )


class GradientColumns(grad):
    """`grad` as a matrix: a row for each axis, a column for each entry of the expression in C order.

    CVXPY warns of expressions of more than two dimensions; with this one the cone form of the total
    variation of a matrix has none.
    """

    @classmethod
    def label(cls) -> str:
        return "grad"

    def shape_from_args(self) -> Shape:
        return (len(self._axes), self.args[0].size)

    def numeric(self, values: Sequence[Any]) -> np.ndarray:
        return super().numeric(values).reshape(self.shape)

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        K = super().operator(data, dtype, device)
        positions = torch.arange(self.size, device=device).reshape(self.shape)
        return Gather(positions, K.shape_out, dtype) @ K
