"""What a mode does not have is refused, with the mode that has it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.program import ProxProgram

FORWARD = "Unroll(...) and Implicit(...) have it."
SECOND = "Unroll(..., order=2) and Implicit(..., order=2) have them."


class _Guard(torch.autograd.Function):
    """The identity, which raises when derivatives are asked for that are not there."""

    @staticmethod
    def forward(name: str, forward_mode: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.name, ctx.forward_mode = inputs[:2]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # function transforms record every backward pass, wanted or not
        if torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active():
            raise RuntimeError(f"{ctx.name} has first derivatives only (create_graph=True). {SECOND}")
        return None, None, *grads

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor | None, ...]:
        if not ctx.forward_mode:
            raise RuntimeError(f"{ctx.name} has no forward mode (jvp). {FORWARD}")
        return tuple(t.view_as(t) for t in tangents[2:])


def refuse_orders(program: ProxProgram, order: int) -> None:
    """Refuse second derivatives of functions whose proximal operator has only first ones.

    Raises
    ------
    ValueError
        Naming the term.
    """
    for block in program.blocks:
        if order > 1 and not block.function.twice:
            name = type(block.function).__name__
            raise ValueError(
                f"order={order}: the proximal operator of `{block.label or name}` ({name}) has first "
                "derivatives only. Use order=1, and finite differences of its gradients."
            )


def first_order(name: str, point: Point, forward_mode: bool = True) -> Point:
    """`point`, of which second derivatives are refused, and forward mode if it is not there.

    Parameters
    ----------
    name : str
        What the user calls the mode.
    """
    return Point(*_Guard.apply(name, forward_mode, *point))
