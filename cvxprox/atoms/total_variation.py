"""Total variation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import cvxpy as cp
import numpy as np
import torch
from cvxpy.constraints import SOC, NonNeg
from cvxpy.expressions.expression import Expression
from cvxpy.reductions.complex2real.canonicalizers import CANON_METHODS as COMPLEX_TO_REAL
from torch import Tensor

from cvxprox.atoms.axes import Axes, check_choice, check_ndim, negative_axes
from cvxprox.atoms.complex_parts import paired
from cvxprox.atoms.differences import GradientColumns
from cvxprox.atoms.function import Canonical, ConvexAtom, ProxForm, grouped
from cvxprox.atoms.linear import Parts
from cvxprox.operators import FiniteDifference, Gather, LinearOperator
from cvxprox.prox import Abs, Norm2

BOUNDARIES = ("reflect", "circular")


class tv(ConvexAtom):
    r"""The total variation: the sum, over all points, of the length of the discrete gradient.

    .. math:: f(x) = \sum_i \|(\nabla x)_i\|_2 \quad\text{or}\quad \sum_i \|(\nabla x)_i\|_1, \qquad
              (\nabla x)_{i,a} = x_{i + e_a} - x_i

    Parameters
    ----------
    x : Expression
        Real or complex, of any shape with at least one dimension. The length of a complex gradient is that of
        its real and imaginary parts together.
    boundary : str
        What follows the last element along an axis: the first one ("circular", which goes with the
        default boundary of `conv`), or itself ("reflect": the difference there is 0).
    isotropic : bool
        Whether lengths are Euclidean (unchanged by rotations), or sums of absolute values.
    axes : int or tuple of int, optional
        The axes along which differences are taken; all of them by default. For a colour image of shape
        (H, W, 3), ``axes=(0, 1)`` adds up the total variation of the channels.

    References
    ----------
    Rudin, Osher and Fatemi, *Nonlinear total variation based noise removal algorithms* (1992).

    Examples
    --------
    >>> import cvxprox, numpy as np
    >>> float(cvxprox.tv(np.array([[0.0, 3.0], [4.0, 0.0]])).value)
    12.0
    """

    options: ClassVar[tuple[str, ...]] = ("boundary", "isotropic", "axes")
    cones: ClassVar[tuple[type, ...]] = (SOC, NonNeg)
    _allow_complex = True

    def __init__(self, x: Any, boundary: str = "circular", isotropic: bool = True, axes: Axes = None) -> None:
        self.boundary, self.isotropic, self.axes = boundary, isotropic, axes
        super().__init__(x)

    def name(self) -> str:
        kind = "" if self.isotropic else ", anisotropic"
        over = "" if self.axes is None else f", axes={self.axes}"
        return f"tv({self.args[0].name()}, {self.boundary}{kind}{over})"

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_choice("tv", "boundary", self.boundary, BOUNDARIES)
        check_ndim("tv", self.args[0].shape, 1)
        negative_axes("tv", self.axes, self.args[0].ndim)

    def numeric(self, values: Sequence[Any]) -> Any:
        x = values[0]
        if not np.iscomplexobj(x):
            return super().numeric(values)
        return PairedTotalVariation(np.stack([x.real, x.imag]), *self.get_data()).value

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        shape = tuple(self.args[0].shape)
        axes = negative_axes("tv", self.axes, len(shape))
        K = FiniteDifference(shape, axes, self.boundary, dtype_in=dtype, device=torch.device(device))
        size = math.prod(shape)
        if not self.isotropic or len(axes) == 1:
            return ProxForm(K, Abs(), (len(axes) * size,))
        return ProxForm(K, Norm2(), (len(axes), size), leading=True)

    def cone_form(self, args: list[Expression]) -> Canonical:
        differences = GradientColumns(args[0], self.boundary, self.axes)
        axes, count = differences.shape
        if not self.isotropic or axes == 1:
            size = cp.Variable((axes, count))
            return cp.sum(size), [differences <= size, -differences <= size]
        length = cp.Variable(count)
        return cp.sum(length), [SOC(length, differences)]


class PairedTotalVariation(tv):
    """`tv` of the real parts ``x[0]`` and the imaginary parts ``x[1]`` of complex numbers.

    CVXPY's reduction of complex numbers makes it.
    """

    @classmethod
    def label(cls) -> str:
        return "tv"

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        shape = tuple(self.args[0].shape)
        axes = negative_axes("tv", self.axes, len(shape) - 1)
        K: LinearOperator = FiniteDifference(
            shape, axes, self.boundary, dtype_in=dtype, device=torch.device(device)
        )
        count = math.prod(shape[1:])
        if self.isotropic:
            return ProxForm(K, Norm2(), (2 * len(axes), count), leading=True)
        order, points, leading = grouped((len(axes), 2, count), (1,), dtype, device)
        assert order is not None
        flat = torch.arange(2 * len(axes) * count, device=device).reshape(len(axes), 2, count)
        return ProxForm(order @ Gather(flat, K.shape_out, dtype) @ K, Norm2(), points, leading)

    def cone_form(self, args: list[Expression]) -> Canonical:
        pair = args[0]
        axes = negative_axes("tv", self.axes, pair.ndim - 1)
        differences = GradientColumns(pair, self.boundary, axes)
        count = pair.size // 2
        parts = [differences[:, :count], differences[:, count:]]
        rows = cp.vstack(parts if self.isotropic else [cp.vec(part, order="F") for part in parts])
        length = cp.Variable(rows.shape[1])
        return cp.sum(length), [SOC(length, rows)]


def _of_parts(
    expr: tv, real_args: Parts, imag_args: Parts, real2imag: dict[int, int]
) -> tuple[Expression, None]:
    real, imag = real_args[0], imag_args[0]
    if real is None or imag is None:
        return expr.copy([imag if real is None else real]), None
    return PairedTotalVariation(paired(real, imag), *expr.get_data()), None


COMPLEX_TO_REAL[tv] = _of_parts
