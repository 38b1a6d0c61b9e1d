"""Products with the matrices of a batch, from the left, and what operators they come from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cvxprox.operators import LinearOperator, Matrix, Sum, as_dense
from cvxprox.operators.algebra import Adjoint, Composed


def times(v: Tensor, matrix: Tensor) -> Tensor:
    """Row vectors (B, k) times a matrix (k, l) or matrices (B, k, l).

    From the left, since that is several times as fast as a matrix times a vector.
    """
    if matrix.dim() == 2:
        return v @ matrix
    return torch.bmm(v.unsqueeze(1), matrix).squeeze(1)


def cholesky_solve(factor: Tensor, v: Tensor) -> Tensor:
    """Solutions of ``factor factor' x = v`` for vectors (B, n), the factor being shared or not."""
    if factor.dim() == 2:
        return torch.cholesky_solve(v.mT, factor).mT
    return torch.cholesky_solve(v.unsqueeze(-1), factor).squeeze(-1)


def matrix_of(operator: LinearOperator, batch: tuple[int, ...]) -> Tensor:
    """The matrix of an operator, (m, n) where all samples share it and (B, m, n) otherwise."""
    return _flat(operator.matrix if isinstance(operator, Matrix) else as_dense(operator), batch)


def factors_of(operator: LinearOperator, batch: tuple[int, ...]) -> tuple[Tensor, Tensor] | None:
    r"""F and G of a sum of products :math:`F_i^TG_i` of matrices, stacked; None for other operators."""
    terms = operator.terms if isinstance(operator, Sum) else (operator,)
    pairs = []
    for term in terms:
        match term:
            case Composed(outer=Adjoint(inner=Matrix(matrix=F)), inner=Matrix(matrix=G)):
                pairs.append((_flat(F, batch), _flat(G, batch)))
            case _:
                return None
    left, right = zip(*pairs, strict=True)
    return _stacked(left), _stacked(right)


def finite(x: Tensor, own: int) -> Tensor:
    """Whether all entries of the last `own` dimensions are finite; a sum finds all that are not."""
    return x.flatten(-own).sum(-1).isfinite()


def clean(x: Tensor) -> Tensor:
    """Zeros in place of what is not finite."""
    return x.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _flat(matrix: Tensor, batch: tuple[int, ...]) -> Tensor:
    matrix = matrix.detach().double()
    if not any(matrix.stride()[:-2]):  # one in memory
        return matrix[(0,) * (matrix.dim() - 2)].contiguous()
    return matrix.expand(*batch, -1, -1).reshape(math.prod(batch), *matrix.shape[-2:]).contiguous()


def _stacked(parts: tuple[Tensor, ...]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    batch = torch.broadcast_shapes(*(part.shape[:-2] for part in parts))
    return torch.cat([part.expand(*batch, -1, -1) for part in parts], -2)
