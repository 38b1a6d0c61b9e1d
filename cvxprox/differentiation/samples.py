"""Single programs out of batches of programs."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from cvxprox.operators import Adjoint, Composed, LinearOperator, Matrix, Sum
from cvxprox.program import Block, ProxProgram

Index = tuple[int, ...]


def batch_of(program: ProxProgram) -> tuple[int, ...]:
    """The batch dimensions of a program."""
    return tuple(torch.broadcast_shapes(program.q.shape[:-1], program.b.shape[:-1]))


def has_batched_matrices(program: ProxProgram) -> bool:
    """Whether K or P is a matrix for every sample."""
    return any(_is_batched(K) for K in (program.K, program.P) if K is not None)


def sample(program: ProxProgram, index: Index) -> ProxProgram:
    """The program of one sample.

    Operators other than matrices are shared by all samples.
    """
    return replace(
        program,
        P=None if program.P is None else _operator(program.P, index),
        q=_tensor(program.q, 1, index),
        K=_operator(program.K, index),
        b=_tensor(program.b, 1, index),
        blocks=tuple(_block(block, index) for block in program.blocks),
    )


def _is_batched(K: LinearOperator) -> bool:
    match K:
        case Matrix(matrix=matrix):
            return matrix.dim() > 2
        case Composed(outer=outer, inner=inner):
            return _is_batched(outer) or _is_batched(inner)
        case Adjoint(inner=inner):
            return _is_batched(inner)
        case Sum(terms=terms):
            return any(map(_is_batched, terms))
    return False


def _operator(K: LinearOperator, index: Index) -> LinearOperator:
    if not _is_batched(K):
        return K
    match K:
        case Composed(outer=outer, inner=inner):
            return Composed(_operator(outer, index), _operator(inner, index))
        case Adjoint(inner=inner):
            return Adjoint(_operator(inner, index))
        case Sum(terms=terms):
            return Sum(tuple(_operator(term, index) for term in terms))
    assert isinstance(K, Matrix)
    return Matrix(_tensor(K.matrix, 2, index))


def _block(block: Block, index: Index) -> Block:
    weight = None if block.weight is None else _tensor(block.weight, 1, index)
    function = block.function.mapped(lambda t: _tensor(t, len(block.shape), index))
    return replace(block, function=function, weight=weight)


def _tensor(x: Tensor, dims: int, index: Index) -> Tensor:
    """The entry of a batch whose members have `dims` dimensions; `x` broadcasts against the batch."""
    lead = x.dim() - dims
    if lead <= 0:
        return x
    last = index[len(index) - lead :]
    return x[tuple(min(i, size - 1) for i, size in zip(last, x.shape[:lead], strict=True))]
