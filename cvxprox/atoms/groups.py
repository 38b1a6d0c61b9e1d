"""Norms of groups of entries, and weighted norms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import cvxpy as cp
import numpy as np
import torch
from cvxpy.constraints import SOC
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.expression import Expression
from cvxpy.reductions.complex2real.canonicalizers import CANON_METHODS as COMPLEX_TO_REAL
from torch import Tensor

from cvxprox.atoms.axes import Axes, check_ndim, negative_axes
from cvxprox.atoms.complex_parts import paired
from cvxprox.atoms.data import as_expression, check_data
from cvxprox.atoms.function import Canonical, ConvexAtom, ProxForm, Shape, grouped
from cvxprox.atoms.linear import Parts
from cvxprox.atoms.losses import check_nonneg
from cvxprox.prox import Norm2, Precomposed, ProxFunction


class group_norm(ConvexAtom):
    r"""A sum of Euclidean norms, of the groups of entries that lie along some axes.

    .. math:: f(x) = \sum_g w_g \|x_g\|_2

    Parameters
    ----------
    x : Expression
        Real or complex, of any shape.
    axes : int or tuple of int
        The axes that one group extends over; there is a group for every index of the other axes.
    weights : array, Tensor, Constant or Parameter, optional
        :math:`w \ge 0`, a number or of the shape of the other axes. A parameter has to be declared
        nonnegative.

    References
    ----------
    Yuan and Lin, *Model selection and estimation in regression with grouped variables* (2006).

    Examples
    --------
    >>> import cvxprox, numpy as np
    >>> float(cvxprox.group_norm(np.array([[3.0, 4.0], [0.0, 5.0]]), axes=1).value)
    10.0
    """

    data_names: ClassVar[tuple[str, ...]] = ("weights",)
    cones: ClassVar[tuple[type, ...]] = (SOC,)
    _allow_complex = True

    def __init__(self, x: Any, axes: Axes, weights: Any = None) -> None:
        self.axes = axes
        super().__init__(x, *([] if weights is None else [weights]))

    def copy(self, args: list[Expression] | None = None, id_objects: dict | None = None) -> Expression:
        """The same norm of other arguments."""
        x, *weights = self.args if args is None else args
        return group_norm(x, self.axes, *weights)

    def get_data(self) -> list[Any]:
        """The axes."""
        return [self.axes]

    def name(self) -> str:
        return super().name().replace(f"{self.axes})", f"axes={self.axes})")

    @property
    def _axes(self) -> tuple[int, ...]:
        return negative_axes("group_norm", self.axes, self.args[0].ndim)

    @property
    def _groups(self) -> Shape:
        x = self.args[0]
        return tuple(n for axis, n in zip(range(-x.ndim, 0), x.shape, strict=True) if axis not in self._axes)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_ndim("group_norm", self.args[0].shape, 1)
        groups = self._groups
        for weights in self.args[1:]:
            check_nonneg("group_norm", "weights", weights)
            if weights.shape not in ((), groups):
                raise ValueError(
                    f"the weights of `group_norm` have the shape {weights.shape}; the groups of "
                    f"`{self.args[0].name()}`, over the axes {self.axes} of {self.args[0].shape}, have the "
                    f"shape {groups}."
                )

    def numeric(self, values: Sequence[Any]) -> Any:
        x, *weights = values
        if not np.iscomplexobj(x):
            return super().numeric(values)
        return group_norm(np.stack([x.real, x.imag]), (-x.ndim - 1, *self._axes), *weights).value

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        operator, shape, leading = grouped(tuple(self.args[0].shape), self._axes, dtype, device)
        function: ProxFunction = Norm2()
        if data:
            weights = data[0].to(device, dtype)
            lead = weights.dim() - self.args[1].ndim
            function = Precomposed(function, weights.flatten(lead) if self.args[1].ndim else weights)
        return ProxForm(operator, function, shape, leading)

    def cone_form(self, args: list[Expression]) -> Canonical:
        x, *weights = args
        own = [axis % x.ndim for axis in self._axes]
        kept = [axis for axis in range(x.ndim) if axis not in own]
        size, count = math.prod(x.shape[a] for a in own), math.prod(self._groups)
        # CVXPY's default backend reverses the axes of a matrix even where none is to move.
        turned = x if own == list(range(len(own))) else cp.transpose(x, (*own, *kept))
        rows = cp.reshape(turned, (size, count), order="F")
        lengths = cp.Variable(count)
        weight = weights[0] if weights else Constant(1.0)
        flat = cp.vec(weight, order="F") if weight.ndim else weight
        return cp.sum(cp.multiply(flat, lengths)), [SOC(lengths, rows)]


def _of_parts(
    expr: group_norm, real_args: Parts, imag_args: Parts, real2imag: dict[int, int]
) -> tuple[Expression, None]:
    (real, *weights), imag = real_args, imag_args[0]
    if real is None or imag is None:
        return expr.copy([imag if real is None else real, *weights]), None
    pair = paired(real, imag)
    return group_norm(pair, (-pair.ndim, *expr._axes), *weights), None


COMPLEX_TO_REAL[group_norm] = _of_parts


def weighted_norm1(x: Any, weights: Any) -> Expression:
    r"""The weighted sum of absolute values, :math:`\sum_i w_i |x_i|` with :math:`w \ge 0`.

    An expression of CVXPY's atoms, ``norm1(multiply(weights, x))``.

    Parameters
    ----------
    x : Expression
        Of any shape.
    weights : array, Tensor, Constant or Parameter
        :math:`w`, of the shape of `x` or broadcasting to it. A parameter has to be declared nonnegative.
    """
    w = as_expression(weights, "the weights of `weighted_norm1`")
    check_data("weighted_norm1", ("weights",), [w])
    check_nonneg("weighted_norm1", "weights", w)
    return cp.norm1(cp.multiply(w, x))
