"""Convolution and correlation with a kernel."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.atoms.axes import Axes, check_choice, negative_axes
from cvxprox.atoms.data import size_text
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.operators import Convolution, LinearOperator, RealPart
from cvxprox.operators import correlation as correlation_operator

BOUNDARIES = ("circular", "zero", "reflect")


class KernelAtom(LinearAtom):
    """What `conv` and `correlate` share."""

    data_names: ClassVar[tuple[str, ...]] = ("kernel",)
    options: ClassVar[tuple[str, ...]] = ("boundary", "axes")

    def __init__(self, x: Any, kernel: Any, boundary: str = "circular", axes: Axes = None) -> None:
        self.boundary, self.axes = boundary, axes
        super().__init__(x, kernel)

    def validate_arguments(self) -> None:
        """Check the boundary and that the kernel fits into the expression."""
        super().validate_arguments()
        x, kernel = self.args
        name = self.label()
        check_choice(name, "boundary", self.boundary, BOUNDARIES)
        if not 1 <= kernel.ndim <= x.ndim:
            raise ValueError(
                f"the kernel of `{name}` has the shape {kernel.shape}, which does not fit the shape "
                f"{x.shape} of "
                f"`{x.name()}`: it needs between 1 and {x.ndim} dimensions."
            )
        axes = self._axes
        if kernel.ndim > len(axes) + len(self._others):
            raise ValueError(
                f"the kernel of `{name}` has more dimensions than there are axes: {kernel.shape}."
            )
        for length, axis in zip(kernel.shape[kernel.ndim - len(axes) :], axes, strict=True):
            if length > x.shape[axis]:
                raise ValueError(
                    f"the kernel of `{name}`, {size_text(kernel.shape)}, is larger than `{x.name()}`, "
                    f"{size_text(x.shape)}, along the axis {axis}. Crop the kernel or pad the expression."
                )
        own = kernel.shape[: kernel.ndim - len(axes)]
        for length, axis in zip(reversed(own), reversed(self._others), strict=False):
            if length not in (1, x.shape[axis]):
                raise ValueError(
                    f"the kernel of `{name}` has the shape {kernel.shape}; beyond the axes {axes} its "
                    f"dimensions "
                    f"have to be those of `{x.name()}`, {x.shape}, or 1."
                )

    @property
    def _axes(self) -> tuple[int, ...]:
        x, kernel = self.args
        default = tuple(range(-kernel.ndim, 0))
        axes = negative_axes(self.label(), default if self.axes is None else self.axes, x.ndim)
        if len(axes) > kernel.ndim:
            raise ValueError(
                f"`{self.label()}` was given {len(axes)} axes and a kernel of {kernel.ndim} dimensions, "
                f"{kernel.shape}."
            )
        return axes

    @property
    def _others(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(-self.args[0].ndim, 0) if axis not in self._axes)

    def shape_from_args(self) -> Shape:
        """The shape of the expression."""
        return tuple(self.args[0].shape)

    def nonzeros_in_a_row(self) -> int:
        return int(self.args[1].size)

    @staticmethod
    @abc.abstractmethod
    def build(kernel: Tensor, shape: Shape, boundary: str, axes: tuple[int, ...]) -> LinearOperator:
        """The operator of a kernel."""

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        (kernel,) = data
        shape, place = self.shape, torch.device(device)
        kind = dtype.to_complex() if kernel.is_complex() else dtype
        own = self.args[1].ndim
        lead = kernel.dim() - own
        # All dimensions of one sample are written out, so that those before them are a batch.
        ones = (1,) * (len(shape) - own)
        kernel = kernel.reshape(kernel.shape[:lead] + ones + kernel.shape[lead:]).to(place, kind)
        K = self.build(kernel, shape, self.boundary, self._axes)
        # A complex kernel acts on complex tensors: the real ones are read as such.
        return K if kind == dtype else K @ RealPart(shape, kind, place).T


class conv(KernelAtom):
    r"""The convolution of an expression with a kernel, of the size of the expression.

    .. math:: y_i = \sum_j k_j\, x_{i + c - j}, \qquad c = \lfloor \mathrm{size}(k) / 2 \rfloor

    in any number of dimensions.

    Parameters
    ----------
    x : Expression
        Of any shape.
    kernel : array, Tensor, Constant or Parameter
        One dimension for each of `axes`, each at most as long as that of `x`. Leading dimensions, if it has
        more, belong to the other axes of `x`: a (3, 9, 9) kernel gives each channel of a (3, H, W) image
        its own.
    boundary : str
        What lies beyond the ends of `x`: "circular" (x goes on periodically), "zero", or "reflect" (x is
        mirrored at its edge, the last element repeated, as `numpy.pad`'s "symmetric").
    axes : int or tuple of int, optional
        The axes of `x` along which the kernel acts; the last ones by default.

    Raises
    ------
    ValueError
        If the kernel does not fit, or the boundary is unknown.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox, numpy as np
    >>> x = cp.Variable((64, 64), name="x")
    >>> cvxprox.conv(x, np.ones((9, 9)) / 81)
    Expression(AFFINE, UNKNOWN, (64, 64))
    >>> print(cvxprox.conv(x, np.ones((9, 9)) / 81))
    conv(x, kernel 9x9, circular)
    """

    @staticmethod
    def build(kernel: Tensor, shape: Shape, boundary: str, axes: tuple[int, ...]) -> LinearOperator:
        return Convolution(kernel, shape, boundary, axes)


class correlate(KernelAtom):
    r"""The correlation of an expression with a kernel: the convolution with the kernel reversed.

    .. math:: y_i = \sum_j k_j\, x_{i - c + j}, \qquad c = \lfloor \mathrm{size}(k) / 2 \rfloor

    The arguments are those of `conv`. This is what neural networks call a convolution.
    """

    @staticmethod
    def build(kernel: Tensor, shape: Shape, boundary: str, axes: tuple[int, ...]) -> LinearOperator:
        return correlation_operator(kernel, shape, boundary, axes)
