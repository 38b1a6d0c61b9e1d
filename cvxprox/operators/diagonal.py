"""Is an operator diagonal, and what is its diagonal?"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from cvxprox.operators.algebra import Adjoint, Composed, Identity, Scaled, Sum
from cvxprox.operators.as_dense import as_dense
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.sparse_matrix import SparseMatrix


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
def _(K: Gather) -> bool:
    flat = K.index.reshape(-1)
    return K.shape_in == K.shape_out and bool(torch.equal(flat, torch.arange(len(flat), device=K.device)))


@functools.singledispatch
def diagonal(K: LinearOperator) -> Tensor:
    """The diagonal of a square operator (``shape_in == shape_out``), of that shape.

    For operators known to be diagonal it is one application to ones, differentiable in the
    operator's data; matrices read it off; the default goes through `as_dense`.

    Raises
    ------
    ValueError
        If the operator is not square.
    """
    if K.shape_in != K.shape_out:
        raise ValueError(f"{K} is not square, so it has no diagonal.")
    if is_diagonal(K):
        return K.forward(torch.ones(K.shape_in, dtype=K.dtype_in, device=K.device))
    return as_dense(K).diagonal(dim1=-2, dim2=-1).reshape(K.shape_in)


@diagonal.register
def _(K: SparseMatrix) -> Tensor:
    if K.shape_in != K.shape_out:
        raise ValueError(f"{K} is not square, so it has no diagonal.")
    return torch.as_tensor(K.matrix.diagonal(), dtype=K.dtype_in, device=K.device)
