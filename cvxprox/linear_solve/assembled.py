"""Programs whose operators are matrices."""

from __future__ import annotations

import functools

from cvxprox.operators import (
    Diagonal,
    Identity,
    LinearOperator,
    Matrix,
    Scaled,
    SparseEntries,
    SparseMatrix,
    Stacked,
    Sum,
)
from cvxprox.program import ProxProgram


def assembled(program: ProxProgram) -> bool:
    """Whether K and P are matrices, so that entries cost nothing to look at."""
    return is_matrix(program.K) and (program.P is None or is_matrix(program.P))


@functools.singledispatch
def is_matrix(K: LinearOperator) -> bool:
    """Whether the entries of an operator on vectors are stored."""
    return False


@is_matrix.register
def _(K: SparseMatrix) -> bool:
    return True


@is_matrix.register
def _(K: SparseEntries) -> bool:
    return True


@is_matrix.register
def _(K: Matrix) -> bool:
    return True


@is_matrix.register
def _(K: Diagonal) -> bool:
    return True


@is_matrix.register
def _(K: Identity) -> bool:
    return True


@is_matrix.register
def _(K: Scaled) -> bool:
    return is_matrix(K.inner)


@is_matrix.register
def _(K: Sum) -> bool:
    return all(map(is_matrix, K.terms))


@is_matrix.register
def _(K: Stacked) -> bool:
    return all(map(is_matrix, K.blocks))
