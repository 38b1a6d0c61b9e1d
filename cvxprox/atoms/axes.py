"""Checks of options that several atoms share."""

from __future__ import annotations

import operator
from collections.abc import Sequence

Axes = int | Sequence[int] | None


def negative_axes(atom: str, axes: Axes, ndim: int) -> tuple[int, ...]:
    """Axes counted from the end, increasing; all of them for None.

    Raises
    ------
    ValueError
        If an axis does not exist or is named twice.
    """
    if axes is None:
        return tuple(range(-ndim, 0))
    given = [axes] if isinstance(axes, int) else list(axes)
    chosen = [operator.index(axis) for axis in given]
    outside = [axis for axis in chosen if not -ndim <= axis < ndim]
    if outside:
        raise ValueError(f"`{atom}` was given the axis {outside[0]} of an expression of {ndim} dimensions.")
    negative = sorted(axis % ndim - ndim for axis in chosen)
    if len(set(negative)) < len(negative) or not negative:
        raise ValueError(
            f"`{atom}` was given the axes {tuple(chosen)}; name one or several, each of them once."
        )
    return tuple(negative)


def check_choice(atom: str, option: str, value: object, choices: Sequence[object]) -> None:
    """Refuse an unknown value of an option.

    Raises
    ------
    ValueError
        With the values that are known.
    """
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{atom}` does not know the {option} {value!r}; choose one of {known}.")


def check_ndim(atom: str, shape: Sequence[int], least: int) -> None:
    """Refuse an expression of too few dimensions."""
    if len(shape) < least:
        raise ValueError(
            f"`{atom}` acts on expressions of at least {least} dimension{'s' * (least > 1)}, but this one "
            f"has the shape {tuple(shape)}."
        )
