"""Axes of a tensor, counted from its end, and its sizes along them."""

from __future__ import annotations

from cvxprox.operators.base import Shape


def negative_axes(axes: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    """The axes of a tensor of this shape counted from its end, increasing.

    Raises
    ------
    ValueError
        If there is none, or one is not an axis of the tensor or occurs twice.
    """
    dim = len(shape)
    if not axes:
        raise ValueError(f"no axes of a tensor of shape {tuple(shape)} are given.")
    if any(not -dim <= axis < dim for axis in axes):
        raise ValueError(f"the axes {tuple(axes)} are not all axes of a tensor of shape {tuple(shape)}.")
    result = tuple(sorted(axis if axis < 0 else axis - dim for axis in axes))
    if len(set(result)) < len(result):
        raise ValueError(f"the axes {tuple(axes)} of a tensor of shape {tuple(shape)} repeat.")
    return result


def sizes(shape: Shape, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes along some axes."""
    return tuple(shape[axis] for axis in axes)


def with_size(shape: Shape, axis: int, size: int) -> Shape:
    """The shape with another size along a negative axis."""
    axis += len(shape)
    return (*shape[:axis], size, *shape[axis + 1 :])
