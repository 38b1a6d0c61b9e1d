"""Numerical checks of functions that are said to be linear."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Shape = tuple[int, ...]
Function = Callable[[Tensor], Tensor]


def random(shape: Shape, dtype: torch.dtype, seed: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal numbers, the same for a seed on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).to(device)


def inner(x: Tensor, y: Tensor) -> float:
    r""":math:`\mathrm{Re} \sum_i \bar x_i y_i`."""
    kind = torch.promote_types(x.dtype, y.dtype)
    return float((x.to(kind).conj() * y.to(kind)).sum().real)


def tolerance(dtype: torch.dtype) -> float:
    """The relative error that counts as rounding."""
    return torch.finfo(dtype).eps ** 0.5


def evaluate(name: str, function: Function, x: Tensor) -> Tensor:
    """The value of a user's function.

    Raises
    ------
    ValueError
        If it raises, or returns something else than a tensor.
    """
    try:
        with torch.no_grad():
            value = function(x)
    except Exception as error:
        raise ValueError(
            f"{name} fails on a tensor of shape {tuple(x.shape)} and type {x.dtype}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} returns {type(value).__name__}, not a tensor.")
    return value


def check_linear(
    name: str, function: Function, shape: Shape, dtype: torch.dtype, device: torch.device
) -> Tensor:
    r"""Compare :math:`f(2x - 3y)` with :math:`2f(x) - 3f(y)`, with `i` among the factors for a complex type.

    Returns
    -------
    Tensor
        :math:`f(x)`, for its shape and type.

    Raises
    ------
    ValueError
        If they differ, saying whether it is by a constant.
    """
    x, y = random(shape, dtype, 0, device), random(shape, dtype, 1, device)
    factor = 3j if dtype.is_complex else 3.0
    fx, fy = evaluate(name, function, x), evaluate(name, function, y)
    size = max(float(fx.abs().max()), float(fy.abs().max())) if fx.numel() else 0.0
    tol = 100 * tolerance(dtype) * (size + torch.finfo(dtype).tiny)
    at_zero = evaluate(name, function, torch.zeros_like(x))
    if at_zero.numel() and float(at_zero.abs().max()) > tol:
        raise ValueError(
            f"{name} is not linear: its value at zero is not zero (up to {float(at_zero.abs().max()):.3g} "
            f"in size). "
            "Remove the bias, and add the constant to the expression instead."
        )
    combined = evaluate(name, function, 2 * x - factor * y)
    if fx.numel() and float((combined - (2 * fx - factor * fy)).abs().max()) > tol:
        kind = "over the complex numbers: f(2x - 3i y) differs from 2f(x) - 3i f(y)"
        text = kind if dtype.is_complex else ": f(2x - 3y) differs from 2f(x) - 3f(y)"
        raise ValueError(f"{name} is not linear {text}.".replace(" :", ":"))
    return fx


def check_adjoint(
    name: str, function: Function, adjoint: Function, shape: Shape, dtype: torch.dtype, device: torch.device
) -> None:
    r"""Compare :math:`\langle Kx, y\rangle` with :math:`\langle x, K^*y\rangle` for random `x` and `y`.

    Raises
    ------
    ValueError
        If they differ, or the adjoint's result has another shape than the function's argument.
    """
    x = random(shape, dtype, 2, device)
    value = evaluate(name, function, x)
    y = random(tuple(value.shape), value.dtype, 3, device)
    back = evaluate(f"the adjoint of {name}", adjoint, y)
    if tuple(back.shape) != shape:
        raise ValueError(
            f"the adjoint of {name} returns the shape {tuple(back.shape)}; it has to be {shape}."
        )
    one, other = inner(value, y), inner(x, back)
    scale = float(value.norm() * y.norm()) + float(x.norm() * back.norm())
    if abs(one - other) > 100 * tolerance(dtype) * scale:
        raise ValueError(
            f"the adjoint of {name} is wrong: <Kx, y> = {one:.6g}, but <x, K*y> = {other:.6g} for random x "
            f"and y. "
            "Leave it out, and the adjoint is found by automatic differentiation."
        )
