"""Weighted column norms: the diagonal of a Gram matrix."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from cvxprox.operators.algebra import Composed, Identity, Scaled
from cvxprox.operators.as_sparse import as_sparse
from cvxprox.operators.base import LinearOperator, match_kind
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.scatters import gathers, scatters
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.operators.sparse_matrix import SparseMatrix
from cvxprox.operators.stacked import Stacked

LARGE = 20_000
"""From this many entries on, matrices are not made for the sake of a diagonal."""

PROBES = 32


@functools.singledispatch
def weighted_column_norms(K: LinearOperator, weight: Tensor) -> Tensor:
    r"""The diagonal of :math:`K^*\mathrm{diag}(w)K`, :math:`\sum_i w_i |K_{ij}|^2` for every column `j`.

    Known for matrices, weights, selections, convolutions, differences, transforms and most of what
    is made of them. The default goes through `as_sparse`; for more than `LARGE` entries it is an
    estimate, good for a preconditioner: the mean of :math:`|K^*(\sqrt w\, r)|^2` over random signs r
    from a fixed seed, without bias, of relative standard deviation :math:`\sqrt{2/32}`.

    Of an operator that is linear only over the reals (a real part) it is the mean of the two entries
    that belong to the real and to the imaginary part of an argument.

    Parameters
    ----------
    K : LinearOperator
    weight : Tensor
        :math:`w \ge 0`, real; broadcasts to `shape_out`.

    Returns
    -------
    Tensor
        Real, of shape `shape_in`.

    References
    ----------
    Bekas, Kokiopoulou and Saad, *An estimator for the diagonal of a matrix* (2007).
    """
    if max(math.prod(K.shape_in), math.prod(K.shape_out)) > LARGE:
        return _estimated(K, weight)
    return _by_matrix(K, weight)


def _by_matrix(K: LinearOperator, weight: Tensor) -> Tensor:
    squares = SparseMatrix(abs(as_sparse(K)) ** 2, K.dtype_in.to_real(), K.device)
    flat = weight.expand(K.shape_out).reshape(math.prod(K.shape_out))
    return squares.adjoint(flat).reshape(K.shape_in)


def _estimated(K: LinearOperator, weight: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    root = weight.sqrt()
    mean = torch.zeros(K.shape_in, dtype=K.dtype_in.to_real(), device=K.device)
    for _ in range(PROBES):
        signs = torch.randint(0, 2, K.shape_out, generator=generator).mul_(2).sub_(1).to(K.device)
        mean = mean + K.adjoint((root * signs).to(K.dtype_out)).abs().square() / PROBES
    return mean


@functools.singledispatch
def separates(K: LinearOperator) -> bool:
    r"""Whether the diagonal of :math:`L^*K^*\mathrm{diag}(w)KL` follows from that of the middle.

    It has to for L on complex tensors. On real ones it then does where the real and the imaginary
    parts have the same weights.
    """
    return gathers(K)


@weighted_column_norms.register
def _(K: Identity, weight: Tensor) -> Tensor:
    return weight.expand(K.shape_in)


@weighted_column_norms.register
def _(K: Scaled, weight: Tensor) -> Tensor:
    size = torch.as_tensor(K.scalar, device=K.device).abs().square()
    return size * weighted_column_norms(K.inner, weight)


@weighted_column_norms.register
def _(K: Composed, weight: Tensor) -> Tensor:
    large = max(math.prod(K.shape_in), math.prod(K.shape_out)) > LARGE
    if gathers(K.outer) or scatters(K.inner) or (separates(K.outer) and (K.dtype_in.is_complex or large)):
        return weighted_column_norms(K.inner, weighted_column_norms(K.outer, weight))
    return weighted_column_norms.dispatch(LinearOperator)(K, weight)


@weighted_column_norms.register
def _(K: Stacked, weight: Tensor) -> Tensor:
    weights = K.split(weight.expand(K.shape_out))
    return torch.stack(
        [weighted_column_norms(block, w) for block, w in zip(K.blocks, weights, strict=True)]
    ).sum(dim=0)


@weighted_column_norms.register
def _(K: Gather, weight: Tensor) -> Tensor:
    return match_kind(K.adjoint(weight.expand(K.shape_out)), weight.dtype)


@weighted_column_norms.register
def _(K: SparseMatrix, weight: Tensor) -> Tensor:
    return _by_matrix(K, weight)


@weighted_column_norms.register
def _(K: SparseEntries, weight: Tensor) -> Tensor:
    row, column = K.pattern.places
    squares = weight.expand(K.shape_out)[row] * K.values.square()
    return squares.new_zeros(K.shape_in).index_add(0, column, squares)


@weighted_column_norms.register
def _(K: Matrix, weight: Tensor) -> Tensor:
    return (weight.unsqueeze(-1) * K.matrix.abs().square()).sum(dim=-2)


@weighted_column_norms.register
def _(K: Diagonal, weight: Tensor) -> Tensor:
    return (weight * K.weight.abs().square()).expand(torch.broadcast_shapes(K.weight.shape, K.shape_in))
