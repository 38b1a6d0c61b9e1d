"""What an algorithm takes, and why it cannot take a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cvxprox.program import Block, ProxProgram

INSTEAD = 'Use an algorithm that splits the terms: "admm", "ladmm" or "pdhg".'


@dataclass(frozen=True)
class Form:
    r"""The form of a program that an algorithm needs.

    Attributes
    ----------
    quadratic : str
        How :math:`\tfrac12 x^TPx + q^Tx` is treated: "solve" in a linear system, "gradient" by steps along
        its gradient, whose length comes from the norm of P.
    coupling : str
        "composed" takes any K. "single" takes the prox of all of :math:`g(Kx + b)` at once, which has
        a closed form where the rows of K are orthogonal and of equal length on every point of a
        non-separable function (`orthogonal_rows`): bounds, selections, orthonormal transforms.
    penalties : str
        What the penalties are free for. "rows": any positive number for every row, in a linear solve.
        "factor": one factor for all rows, since K is only applied. "step": none, they follow from the
        norm of P. "schedule": they grow by a schedule, and the solution is that of their limit.
    """

    quadratic: Literal["solve", "gradient"]
    coupling: Literal["composed", "single"]
    penalties: Literal["rows", "factor", "step", "schedule"]

    @property
    def solves(self) -> bool:
        """Whether steps solve a linear system in K."""
        return self.penalties in ("rows", "schedule")

    def refuse(self, program: ProxProgram) -> str | None:
        """Why the program is not of this form, naming the terms by their labels; None if it is."""
        if self.coupling == "composed" or orthogonal_rows(program) is not None:
            return None
        return _culprit(program)


def orthogonal_rows(program: ProxProgram) -> Tensor | None:
    r"""The squared lengths c of the rows of K if the rows are orthogonal, :math:`KK^* = \mathrm{diag}(c)`.

    None if they are not, or if c varies within a point of a non-separable function. Then

    .. math:: \mathrm{prox}_{\tau\, g(K\cdot + b)}(v)
              = v + K^*\mathrm{diag}(c)^{-1}\bigl(\mathrm{prox}_{c\tau g}(Kv + b) - (Kv + b)\bigr).

    It is checked on two random vectors, which overlooks nothing but accidents of probability zero.

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), theorem 6.15.
    """
    signs, normal = _probes(program)
    squares = signs * _outer(program, signs)
    if not _explains(program, squares, normal):
        return None
    return squares if all(_constant(squares, block) for block in program.blocks) else None


def _probes(program: ProxProgram) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (program.rows,)
    signs = 2.0 * torch.randint(0, 2, shape, generator=generator) - 1
    return signs.to(program.b), torch.randn(shape, generator=generator).to(program.b)


def _outer(program: ProxProgram, y: Tensor) -> Tensor:
    return program.K.forward(program.K.adjoint(y))


def _explains(program: ProxProgram, squares: Tensor, y: Tensor) -> bool:
    """Whether ``diag(squares)`` is K times its adjoint, on `y`, and no row is zero."""
    if not squares.numel():
        return True
    if not bool((squares > 0).all()):
        return False
    return bool(((_outer(program, y) - squares * y).abs() <= _rounding(squares)).all())


def _rounding(squares: Tensor) -> Tensor:
    return 1e4 * torch.finfo(squares.dtype).eps * squares.abs().max()


def _constant(squares: Tensor, block: Block) -> bool:
    if not block.function.ndim:
        return True
    lengths = block.points(squares).flatten(1)
    return bool(((lengths - lengths[:, :1]).abs() <= _rounding(lengths)).all())


def _culprit(program: ProxProgram) -> str:
    """The first block whose own rows are not orthogonal, or the first two that share variables."""
    signs, normal = _probes(program)
    for block in program.blocks:
        own = torch.zeros_like(signs)
        own[block.start : block.stop] = signs[block.start : block.stop]
        image = _outer(program, own)
        for other in program.blocks:
            rows = slice(other.start, other.stop)
            if other is not block and bool((image[rows].abs() > _rounding(image)).any()):
                return (
                    f"{name_of(block)} and {name_of(other)} act on the same variables, and it takes the prox "
                    f"of one function of every variable. {INSTEAD}"
                )
        squares = own * image
        inside = torch.where(own != 0, normal, 0)
        exact = (_outer(program, inside) - squares * inside).abs() <= _rounding(squares)
        if not bool(exact.all()) or not _constant(squares, block) or not bool((squares[own != 0] > 0).all()):
            return (
                f"the argument of {name_of(block)} is not a selection, a multiple or an orthonormal "
                f"transform of the variables, so the prox of the composition has no closed form. {INSTEAD}"
            )
    return f"the rows of its operators are not orthogonal. {INSTEAD}"


def name_of(block: Block) -> str:
    """The block in the words of the user's problem."""
    return f"`{block.label}`" if block.label else type(block.function).__name__
