"""Weighted column norms: the diagonal of a Gram matrix."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from cvxprox.operators.as_sparse import as_sparse
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.sparse_matrix import SparseMatrix


@functools.singledispatch
def weighted_column_norms(K: LinearOperator, weight: Tensor) -> Tensor:
    r"""The diagonal of :math:`K^*\mathrm{diag}(w)K`, :math:`\sum_i w_i |K_{ij}|^2` for every column `j`.

    Parameters
    ----------
    K : LinearOperator
    weight : Tensor
        :math:`w`, real; broadcasts to `shape_out`.

    Returns
    -------
    Tensor
        Real, of shape `shape_in`. The default goes through `as_sparse`.
    """
    squares = SparseMatrix(abs(as_sparse(K)) ** 2, K.dtype_in.to_real(), K.device)
    flat = weight.expand(K.shape_out).reshape(math.prod(K.shape_out))
    return squares.adjoint(flat).reshape(K.shape_in)


@weighted_column_norms.register
def _(K: Matrix, weight: Tensor) -> Tensor:
    return (weight.unsqueeze(-1) * K.matrix.abs().square()).sum(dim=-2)


@weighted_column_norms.register
def _(K: Diagonal, weight: Tensor) -> Tensor:
    return (weight * K.weight.abs().square()).expand(torch.broadcast_shapes(K.weight.shape, K.shape_in))
