"""Linear solves, and roots of equations, as functions that torch differentiates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cvxprox.differentiation.sensitivity import Invertible


class InverseMap(torch.autograd.Function):
    """:math:`J^{-1}f`, or :math:`J^{-T}f` if `transposed`, for a constant J.

    Arguments are ``(J, transposed, *f)``. It is linear: its derivatives in both modes, to any
    order, are solves with J or with its transpose.
    """

    @staticmethod
    def forward(J: Invertible, transposed: bool, *f: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return J.solve_transposed(*f) if transposed else J.solve(*f)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.J, ctx.transposed = inputs[:2]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *InverseMap.apply(ctx.J, not ctx.transposed, *grads)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        return InverseMap.apply(ctx.J, ctx.transposed, *tangents[2:])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], J: Invertible, transposed: bool, *f: Tensor) -> Any:
        """One solve after another: J may have batch dimensions of its own."""
        columns = [
            [t if d is None else t.select(d, i) for t, d in zip(f, in_dims[2:], strict=True)]
            for i in range(info.batch_size)
        ]
        solved = [InverseMap.apply(J, transposed, *column) for column in columns]
        return tuple(map(torch.stack, zip(*solved, strict=True))), (0,) * len(f)


class _NewtonStep(torch.autograd.Function):
    """:math:`u - J^{-1}e` for e = 0: the values are those of u, the derivatives those of the step."""

    @staticmethod
    def forward(J: Invertible, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(u.clone() for u in tensors[: len(tensors) // 2])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.J = inputs[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        multipliers = InverseMap.apply(ctx.J, True, *grads)
        return None, *grads, *(-m for m in multipliers)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor) -> tuple[Tensor, ...]:
        half = len(tangents) // 2
        steps = InverseMap.apply(ctx.J, False, *tangents[half:])
        return tuple(u - step for u, step in zip(tangents[:half], steps, strict=True))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], J: Invertible, *tensors: Tensor) -> Any:
        moved = [
            t.expand(info.batch_size, *t.shape) if d is None else t.movedim(d, 0)
            for t, d in zip(tensors, in_dims[1:], strict=True)
        ]
        solved = [_NewtonStep.apply(J, *row) for row in zip(*(t.unbind(0) for t in moved), strict=True)]
        return tuple(map(torch.stack, zip(*solved, strict=True))), (0,) * (len(tensors) // 2)


def newton_step(J: Invertible, u: tuple[Tensor, ...], e: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    r"""A root u of equations :math:`e(u, \theta) = 0`, with the derivatives of :math:`u - J^{-1}e`.

    At a root, with :math:`J = \partial e/\partial u`, these are the derivatives of the root with
    respect to everything that e depends on. Nothing is solved before derivatives are asked for.
    The values of e count as zero.

    The fixed point of a map T is the root of :math:`e = u - T(u)`, :math:`J = I - \partial T`.

    Parameters
    ----------
    J : Invertible
        The Jacobian, a constant.
    u : tuple of Tensor
        The root; detached for first derivatives. From a `newton_step` again (with e evaluated at
        it) its second derivatives become exact too: Newton's method doubles the order of an expansion.
    e : tuple of Tensor
        The equations at u, with their graph.
    """
    return _NewtonStep.apply(J, *u, *e)
