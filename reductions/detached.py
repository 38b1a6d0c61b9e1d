"""Programs of dense matrices without their graphs."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from cvxprox.operators import Adjoint, Composed, LinearOperator, Matrix, Sum
from cvxprox.program import Block, ProxProgram


def detached(program: ProxProgram) -> ProxProgram:
    """The same numbers, in the same memory, without graph. K and P are made of `Matrix`."""
    return replace(
        program,
        P=None if program.P is None else _operator(program.P),
        q=program.q.detach(),
        K=_operator(program.K),
        b=program.b.detach(),
        blocks=tuple(_block(block) for block in program.blocks),
    )


def _operator(K: LinearOperator) -> LinearOperator:
    match K:
        case Matrix(matrix=matrix):
            return Matrix(matrix.detach())
        case Composed(outer=outer, inner=inner):
            return Composed(_operator(outer), _operator(inner))
        case Adjoint(inner=inner):
            return Adjoint(_operator(inner))
        case Sum(terms=terms):
            return Sum(tuple(map(_operator, terms)))
    raise TypeError(f"{K} is not made of matrices")


def _block(block: Block) -> Block:
    weight = None if block.weight is None else block.weight.detach()
    return replace(block, function=block.function.mapped(Tensor.detach), weight=weight)
