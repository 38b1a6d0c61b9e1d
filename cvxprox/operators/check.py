"""Numerical checks of operators that were given, not built."""

from __future__ import annotations

import torch
from torch import Tensor

from cvxprox.operators.base import LinearOperator, Shape


def check_adjoint(K: LinearOperator, tol: float = 1e-6) -> None:
    r"""Check that :math:`\langle Kx, y\rangle = \langle x, K^*y\rangle` for random x and y from a fixed seed.

    Parameters
    ----------
    K : LinearOperator
    tol : float
        The largest difference relative to :math:`\|Kx\|\,\|y\| + \|x\|\,\|K^*y\|`.

    Raises
    ------
    ValueError
        If the shape or the type of a result is not the declared one, or the products differ.
    """
    with torch.no_grad():
        x, y = _random(K.shape_in, K.dtype_in, K.device, 0), _random(K.shape_out, K.dtype_out, K.device, 1)
        image, back = K.forward(x), K.adjoint(y)
        _check_kind(K, "forward", image, K.shape_out, K.dtype_out)
        _check_kind(K, "adjoint", back, K.shape_in, K.dtype_in)
        left, right = _inner(image, y), _inner(x, back)
        scale = _size(image) * _size(y) + _size(x) * _size(back)
    if not abs(left - right) <= tol * scale:
        raise ValueError(
            f"the adjoint of {K} does not fit its forward map: <Kx, y> = {left:.6g}, but "
            f"<x, K*y> = {right:.6g} for random x and y. Correct it, or leave it out: it then comes from "
            "automatic differentiation."
        )


def check_linear(K: LinearOperator, tol: float = 1e-6) -> None:
    r"""Check that :math:`K(ax + y) = aKx + Ky` for random x, y and a real number a, from a fixed seed.

    Parameters
    ----------
    K : LinearOperator
    tol : float
        The largest difference relative to :math:`\|aKx\| + \|Ky\|`.

    Raises
    ------
    ValueError
        If they differ: there is an offset, or the map is not linear.
    """
    with torch.no_grad():
        x, y = (_random(K.shape_in, K.dtype_in, K.device, seed) for seed in (0, 1))
        a = -1.7
        one, two = a * K.forward(x), K.forward(y)
        error, scale = _size(K.forward(a * x + y) - one - two), _size(one) + _size(two)
        offset = _size(K.forward(torch.zeros_like(x)))
    if not offset <= tol * scale:
        raise ValueError(
            f"{K} is not linear: it maps zero to a tensor of norm {offset:.6g}. Leave out the offset."
        )
    if not error <= tol * scale:
        raise ValueError(
            f"{K} is not linear: K({a} x + y) and {a} Kx + Ky differ by {error:.6g} in norm for random "
            f"x and y, where they are of norm {scale:.6g}."
        )


def _random(shape: Shape, dtype: torch.dtype, device: torch.device, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).to(device)


def _check_kind(K: LinearOperator, which: str, result: Tensor, shape: Shape, dtype: torch.dtype) -> None:
    if tuple(result.shape) != shape or result.dtype != dtype:
        raise ValueError(
            f"{which} of {K} returns a tensor of shape {tuple(result.shape)} and type {result.dtype}; "
            f"shape {shape} and type {dtype} are declared."
        )


def _inner(x: Tensor, y: Tensor) -> float:
    return float((x.conj() * y).sum().real)


def _size(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))
