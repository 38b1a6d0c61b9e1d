"""Is an operator diagonal, and what is its diagonal?"""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import torch
from torch import Tensor

from cvxprox.operators.algebra import Adjoint, Composed, Identity, Scaled, Sum
from cvxprox.operators.as_dense import as_dense
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.operators.sparse_matrix import SparseMatrix
from cvxprox.operators.weighted_column_norms import LARGE, PROBES, weighted_column_norms


@functools.singledispatch
def is_diagonal(K: LinearOperator) -> bool:
    """Whether `K` is known to act elementwise. False means no or unknown."""
    return False


@is_diagonal.register
def _(K: Identity) -> bool:
    return True


@is_diagonal.register
def _(K: Diagonal) -> bool:
    return True


@is_diagonal.register
def _(K: Scaled) -> bool:
    return is_diagonal(K.inner)


@is_diagonal.register
def _(K: Adjoint) -> bool:
    return is_diagonal(K.inner)


@is_diagonal.register
def _(K: Sum) -> bool:
    return all(is_diagonal(term) for term in K.terms)


@is_diagonal.register
def _(K: Composed) -> bool:
    return is_diagonal(K.outer) and is_diagonal(K.inner)


@is_diagonal.register
def _(K: Matrix) -> bool:
    A = K.matrix.detach()
    return K.shape_in == K.shape_out and not bool((A - torch.diag_embed(A.diagonal(dim1=-2, dim2=-1))).any())


@is_diagonal.register
def _(K: SparseMatrix) -> bool:
    entries = K.matrix.tocoo()
    return K.shape_in == K.shape_out and bool(np.all((entries.row == entries.col) | (entries.data == 0)))


@is_diagonal.register
def _(K: SparseEntries) -> bool:
    row, column = K.pattern.places
    return K.shape_in == K.shape_out and bool((row == column).all())


@is_diagonal.register
def _(K: Gather) -> bool:
    flat = K.index.reshape(-1)
    return K.shape_in == K.shape_out and bool(torch.equal(flat, torch.arange(len(flat), device=K.device)))


@functools.singledispatch
def diagonal(K: LinearOperator) -> Tensor:
    r"""The diagonal of a square operator (``shape_in == shape_out``), of that shape.

    For operators known to be diagonal it is one application to ones, differentiable in the
    operator's data; matrices and sums read it off, Gram operators take `weighted_column_norms`. The
    default goes through `as_dense`; for more than `LARGE` entries it is an estimate, good for a
    preconditioner: the mean of :math:`\bar r \odot Kr` over random signs from a fixed seed.

    Raises
    ------
    ValueError
        If the operator is not square.
    """
    if K.shape_in != K.shape_out:
        raise ValueError(f"{K} is not square, so it has no diagonal.")
    if is_diagonal(K):
        return K.forward(torch.ones(K.shape_in, dtype=K.dtype_in, device=K.device))
    if math.prod(K.shape_in) > LARGE:
        return _estimated(K)
    return as_dense(K).diagonal(dim1=-2, dim2=-1).reshape(K.shape_in)


def _estimated(K: LinearOperator) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(K.shape_in, dtype=K.dtype_out, device=K.device)
    for _ in range(PROBES):
        signs = torch.randint(0, 2, K.shape_in, generator=generator).mul_(2).sub_(1)
        signs = signs.to(K.device, K.dtype_in)
        total = total + signs * K.forward(signs)
    return total / PROBES


@diagonal.register
def _(K: Scaled) -> Tensor:
    return K.scalar * diagonal(K.inner)


@diagonal.register
def _(K: Sum) -> Tensor:
    return functools.reduce(operator.add, map(diagonal, K.terms))


@diagonal.register
def _(K: Composed) -> Tensor:
    r"""Of :math:`L^*L` and :math:`L^*\mathrm{diag}(w)L` the column norms of L."""
    match K.outer, K.inner:
        case Adjoint(inner=first), second if first is second:
            one = torch.ones((), dtype=second.dtype_out.to_real(), device=K.device)
            return weighted_column_norms(second, one).to(K.dtype_out)
        case Adjoint(inner=first), Composed(outer=weight, inner=second) if first is second:
            if is_diagonal(weight):
                w = diagonal(weight)
                if not w.is_complex() and bool((w >= 0).all()):
                    return weighted_column_norms(second, w).to(K.dtype_out)
    return diagonal.dispatch(LinearOperator)(K)


@diagonal.register
def _(K: SparseMatrix) -> Tensor:
    if K.shape_in != K.shape_out:
        raise ValueError(f"{K} is not square, so it has no diagonal.")
    return torch.as_tensor(K.matrix.diagonal(), dtype=K.dtype_in, device=K.device)


@diagonal.register
def _(K: SparseEntries) -> Tensor:
    if K.shape_in != K.shape_out:
        raise ValueError(f"{K} is not square, so it has no diagonal.")
    row, column = K.pattern.places
    inside = row == column
    return K.values.new_zeros(K.shape_in).index_put((row[inside],), K.values[inside])
