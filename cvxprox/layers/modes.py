"""What layers ask of the modes of differentiation."""

from __future__ import annotations

from dataclasses import fields

from cvxprox.differentiation import Differentiation, Implicit, Unroll, differentiation_of

Mode = Differentiation | str | None


def as_mode(mode: Mode, convex: bool) -> Differentiation:
    """The mode; by default the optimality conditions, and the fixed point where they are not enough.

    Raises
    ------
    ValueError
        If there is no mode of the name.
    """
    return differentiation_of(("kkt" if convex else "implicit") if mode is None else mode)


def by_conditions(mode: Mode) -> bool:
    """Whether a mode needs solutions only, not the iterations that led there."""
    mode = as_mode(mode, convex=True)
    return isinstance(mode, Implicit) and mode.backward == "kkt"


def unrolls(mode: Mode) -> bool:
    """Whether a mode differentiates a fixed number of iterations."""
    return isinstance(as_mode(mode, convex=True), Unroll)


def options_of(mode: str) -> set[str]:
    """The names of the options of a mode.

    Raises
    ------
    ValueError
        If there is no mode of the name.
    """
    return {field.name for field in fields(differentiation_of(mode)) if field.init}  # type: ignore[arg-type]
