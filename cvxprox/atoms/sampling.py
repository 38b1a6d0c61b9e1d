"""Selection of pixels: colour filter arrays and subsampling."""

from __future__ import annotations

import operator as op
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cvxprox.atoms.axes import check_choice
from cvxprox.atoms.data import Opaque, size_text
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.operators import Gather, LinearOperator, Subsample

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
LAYOUTS = ("HWC", "CHW")


class mosaic(LinearAtom):
    r"""The image that a sensor behind a Bayer pattern sees: one colour at every pixel.

    .. math:: y_{ij} = x_{ij,\,c(i \bmod 2,\, j \bmod 2)}

    Parameters
    ----------
    x : Expression
        A colour image with the channels red, green and blue, of shape (H, W, 3) or (3, H, W).
    pattern : str
        The colours of the first two pixels of the first row and of the second row: "RGGB", "BGGR",
        "GRBG" or "GBRG".
    layout : str
        Where the channels are: "HWC" or "CHW".

    Returns
    -------
    Expression
        Of shape (H, W), for any H and W.
    """

    options: ClassVar[tuple[str, ...]] = ("pattern", "layout")

    def __init__(self, x: Any, pattern: str = "RGGB", layout: str = "HWC") -> None:
        self.pattern, self.layout = pattern, layout
        super().__init__(x)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_choice("mosaic", "pattern", self.pattern, PATTERNS)
        check_choice("mosaic", "layout", self.layout, LAYOUTS)
        x = self.args[0]
        if x.ndim != 3 or x.shape[self.layout.index("C")] != 3:
            wanted = "(H, W, 3)" if self.layout == "HWC" else "(3, H, W)"
            raise ValueError(
                f"`mosaic` with the layout {self.layout!r} needs an image of shape {wanted}, but "
                f"`{x.name()}` has "
                f"the shape {x.shape}. The layouts are {' and '.join(map(repr, LAYOUTS))}."
            )

    def shape_from_args(self) -> Shape:
        """The shape without the channels."""
        return tuple(n for n, letter in zip(self.args[0].shape, self.layout, strict=True) if letter != "C")

    def nonzeros_in_a_row(self) -> int:
        return 1

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        height, width = self.shape
        colours = torch.tensor(["RGB".index(letter) for letter in self.pattern]).reshape(2, 2)
        rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
        channel = colours[rows % 2, columns % 2]
        shape = tuple(self.args[0].shape)
        positions = torch.arange(self.args[0].size).reshape(shape)
        if self.layout == "CHW":
            positions = positions.movedim(0, -1)
        index = positions[rows, columns, channel]
        return Gather(index.to(device), shape, dtype)


class subsample(LinearAtom):
    r"""Every s-th element along each axis, or the elements that a mask selects.

    Parameters
    ----------
    x : Expression
        Of any shape.
    steps : int or tuple of int
        The step along each axis, or one step for all of them.
    offsets : int or tuple of int
        Where to start along each axis.
    mask : array of bool, optional
        Instead of steps: of the shape of `x`. The result is the vector of the selected elements, in C order
        (row by row), as ``x[mask]`` in NumPy.

    Raises
    ------
    ValueError
        If the steps or the mask do not fit, or both or none are given.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox
    >>> cvxprox.subsample(cp.Variable((6, 9)), (2, 3)).shape
    (3, 3)
    """

    options: ClassVar[tuple[str, ...]] = ("steps", "offsets", "mask")

    def __init__(
        self,
        x: Any,
        steps: int | Sequence[int] | None = None,
        offsets: int | Sequence[int] | None = None,
        mask: Any = None,
    ) -> None:
        self.steps, self.offsets, self.mask = steps, offsets, _held(mask)
        super().__init__(x)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        x = self.args[0]
        if (self.steps is None) == (self.mask is None) or (
            self.mask is not None and self.offsets is not None
        ):
            raise ValueError("`subsample` takes either `steps`, with or without `offsets`, or a `mask`.")
        if self.mask is not None:
            if self.mask.value.shape != x.shape:
                raise ValueError(
                    f"the mask of `subsample` has the shape {self.mask.value.shape}, but `{x.name()}` has "
                    f"the shape "
                    f"{x.shape}; they have to be the same."
                )
            return
        steps, offsets = self._per_axis(self.steps, 1), self._per_axis(self.offsets, 0)
        if min(steps, default=1) < 1 or any(not 0 <= o < n for o, n in zip(offsets, x.shape, strict=True)):
            raise ValueError(
                f"`subsample` was given the steps {steps} and the offsets {offsets} for the shape "
                f"{x.shape}; steps "
                "are at least 1, and offsets lie within the shape."
            )

    def _per_axis(self, value: int | Sequence[int] | None, default: int) -> tuple[int, ...]:
        x = self.args[0]
        if value is None or isinstance(value, int):
            return (default if value is None else value,) * x.ndim
        chosen = tuple(op.index(v) for v in value)
        if len(chosen) != x.ndim:
            raise ValueError(
                f"`subsample` was given {chosen} for the {x.ndim} dimensions of `{x.name()}`, {x.shape}; "
                f"give one "
                "number for each of them, 1 for an axis that is kept."
            )
        return chosen

    def shape_from_args(self) -> Shape:
        """What is left of every axis, or the number of selected elements."""
        if self.mask is not None:
            return (int(self.mask.value.sum()),)
        steps, offsets = self._per_axis(self.steps, 1), self._per_axis(self.offsets, 0)
        return tuple(len(range(o, n, s)) for n, s, o in zip(self.args[0].shape, steps, offsets, strict=True))

    def nonzeros_in_a_row(self) -> int:
        return 1

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        shape = tuple(self.args[0].shape)
        if self.mask is not None:
            return Gather(torch.from_numpy(np.flatnonzero(self.mask.value)).to(device), shape, dtype)
        steps, offsets = self._per_axis(self.steps, 1), self._per_axis(self.offsets, 0)
        return Subsample(shape, steps, offsets, dtype_in=dtype, device=torch.device(device))


def _held(mask: Any) -> Opaque | None:
    """The mask as an opaque array of bool."""
    if mask is None or isinstance(mask, Opaque):
        return mask
    array = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else getattr(mask, "value", mask))
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError("the mask of `subsample` selects elements, so that it has to be of zeros and ones.")
    return Opaque(array.astype(bool), f"mask {size_text(array.shape)}")
