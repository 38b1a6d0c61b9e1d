"""Dense matrices and elementwise weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators.base import LinearOperator, Shape, declare


@dataclass(frozen=True, eq=False, repr=False)
class Matrix(LinearOperator):
    """A dense matrix acting on vectors, :math:`x \\mapsto Ax`.

    Parameters
    ----------
    matrix : Tensor
        :math:`A`, of shape ``(m, n)``, or ``(*batch, m, n)`` for a matrix per sample.
    """

    matrix: Tensor

    def __post_init__(self) -> None:
        A = self.matrix
        if A.dim() < 2:
            raise ValueError(f"a matrix has at least 2 dimensions, got a tensor of shape {tuple(A.shape)}.")
        declare(self, (A.shape[-1],), (A.shape[-2],), A.dtype, A.dtype, A.device)

    def forward(self, x: Tensor) -> Tensor:
        return _apply(self.matrix, x)

    def adjoint(self, y: Tensor) -> Tensor:
        return _apply(self.matrix.mH, y)


def _apply(A: Tensor, x: Tensor) -> Tensor:
    dtype = torch.promote_types(A.dtype, x.dtype)
    A, x = A.to(dtype), x.to(dtype)
    if A.dim() == 2:
        return x @ A.mT  # one matrix product for the whole batch
    return (A @ x.unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(LinearOperator):
    r"""Elementwise weights, :math:`(Kx)_i = d_i x_i`.

    Parameters
    ----------
    weight : Tensor
        :math:`d`; broadcasts against arguments, leading dimensions beyond `shape` are a batch.
    shape : tuple of int, optional
        Shape of one argument; that of `weight` if omitted.
    """

    weight: Tensor
    shape: Shape | None = None

    def __post_init__(self) -> None:
        d = self.weight
        shape = tuple(d.shape) if self.shape is None else tuple(self.shape)
        trailing = tuple(d.shape[max(d.dim() - len(shape), 0) :])
        if any(a not in (1, b) for a, b in zip(reversed(trailing), reversed(shape), strict=False)):
            raise ValueError(f"weights of shape {tuple(d.shape)} do not broadcast to the shape {shape}.")
        declare(self, shape, shape, d.dtype, d.dtype, d.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x

    def adjoint(self, y: Tensor) -> Tensor:
        return torch.conj_physical(self.weight) * y
