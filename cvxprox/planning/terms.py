"""The terms of a problem, before they are arranged for an algorithm."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators import LinearOperator
from cvxprox.program import ProxProgram
from cvxprox.prox import ProxFunction


@dataclass(frozen=True, eq=False)
class Quadratic:
    r"""The term :math:`w \|Fx - d\|_2^2`, without a ½.

    Attributes
    ----------
    operator : LinearOperator
        F, from x of shape (n,) to a vector, real or complex.
    target : Tensor
        d.
    weight : Tensor
        w, 0-d, nonnegative.
    label : str
        What it is in the user's problem.
    """

    operator: LinearOperator
    target: Tensor
    weight: Tensor
    label: str = ""


@dataclass(frozen=True, eq=False)
class Term:
    r"""The term :math:`\sum_k w_k\, g\bigl((Kx + b)_k\bigr)`, over points k.

    Attributes
    ----------
    operator : LinearOperator
        K, from x of shape (n,) to the rows of the term.
    shift : Tensor
        b, of the shape of the rows.
    function : ProxFunction
        g.
    shape : tuple of int
        ``(count, *point)``.
    leading : bool
        Whether rows are component-major, ``(*point, count)``.
    weight : Tensor or None
        w, of shape ``(count,)``; None for indicators.
    label : str
        What it is in the user's problem.
    key : int
        The number by which the owner asks for its dual.
    """

    operator: LinearOperator
    shift: Tensor
    function: ProxFunction
    shape: tuple[int, ...]
    leading: bool = False
    weight: Tensor | None = None
    label: str = ""
    key: int = -1


@dataclass(frozen=True, eq=False)
class Terms:
    """A problem as the sum of `base`, which is assembled, and of terms with structured operators.

    Attributes
    ----------
    base : ProxProgram
        Linear and constant terms, and everything that was written as matrices.
    quadratics : tuple of Quadratic
    terms : tuple of Term
    variables : tuple of (str, start, shape)
        Where the variables are in x, each in C order.
    """

    base: ProxProgram
    quadratics: tuple[Quadratic, ...] = ()
    terms: tuple[Term, ...] = ()
    variables: tuple[tuple[str, int, tuple[int, ...]], ...] = ()


def uniform(value: Tensor | float, count: int, like: Tensor) -> Tensor:
    """`count` equal numbers that take the memory of one."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device).reshape(()).expand(count)
