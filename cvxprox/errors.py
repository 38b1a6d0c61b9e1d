"""The errors that this library raises."""

from __future__ import annotations


class ReductionError(ValueError):
    """A problem or an expression that cannot be compiled.

    The text names what was found, where in the user's expression, and what to do about it.
    """
