"""The quadratic forms of a batch: as matrices, or as products of thin ones."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.differentiation.dense.matrices import clean, factors_of, finite, matrix_of, times
from cvxprox.operators import LinearOperator

LARGE = 256
"""Variables from which products of thin matrices are left as they are."""

THIN = 0.7
"""Rows for each column up to which a product with both factors takes no longer than to form P."""


class Quadratic(abc.ABC):
    """Symmetric matrices P, one (n, n) for all samples or one for each."""

    @property
    @abc.abstractmethod
    def shared(self) -> bool:
        """Whether all samples have the same."""

    @abc.abstractmethod
    def dense(self) -> Tensor:
        """(n, n) or (B, n, n)."""

    @abc.abstractmethod
    def times(self, x: Tensor) -> Tensor:
        """Px for vectors (B, n)."""

    @abc.abstractmethod
    def diagonal(self) -> Tensor:
        """(n,) or (B, n)."""

    @abc.abstractmethod
    def principal(self, index: Tensor) -> Tensor:
        """The submatrices (B, k, k) of rows and columns `index` (B, k)."""

    @abc.abstractmethod
    def take(self, index: Tensor) -> Quadratic:
        """Those of the samples `index`."""

    @abc.abstractmethod
    def finite(self) -> Tensor:
        """Which are finite, 0-d or (B,)."""

    @abc.abstractmethod
    def cleaned(self) -> Quadratic:
        """With zeros in place of what is not finite."""


@dataclass(frozen=True)
class Whole(Quadratic):
    """P itself."""

    matrix: Tensor

    @property
    def shared(self) -> bool:
        return self.matrix.dim() == 2

    def dense(self) -> Tensor:
        return self.matrix

    def times(self, x: Tensor) -> Tensor:
        return times(x, self.matrix)

    def diagonal(self) -> Tensor:
        return self.matrix.diagonal(dim1=-2, dim2=-1)

    def principal(self, index: Tensor) -> Tensor:
        rows, columns = index[:, :, None], index[:, None, :]
        if self.shared:
            return self.matrix[rows, columns]
        samples = torch.arange(len(index), device=index.device)[:, None, None]
        return self.matrix[samples, rows, columns]

    def take(self, index: Tensor) -> Quadratic:
        return self if self.shared else Whole(self.matrix[index])

    def finite(self) -> Tensor:
        return finite(self.matrix, 2)

    def cleaned(self) -> Quadratic:
        return Whole(clean(self.matrix))


@dataclass(frozen=True)
class Product(Quadratic):
    r""":math:`P = F^TG` with fewer rows than columns; a product with a vector goes through both.

    Attributes
    ----------
    FT : Tensor, shape (n, r) or (B, n, r)
        The transpose of F, contiguous.
    G : Tensor, shape (r, n) or (B, r, n)
    own : Tensor, shape (n,) or (B, n)
        The diagonal of P.
    """

    FT: Tensor
    G: Tensor
    own: Tensor

    @property
    def shared(self) -> bool:
        return self.FT.dim() == 2 and self.G.dim() == 2

    def dense(self) -> Tensor:
        return self.FT @ self.G

    def times(self, x: Tensor) -> Tensor:
        return times(times(x, self.FT), self.G)

    def diagonal(self) -> Tensor:
        return self.own

    def principal(self, index: Tensor) -> Tensor:
        GT = self.G.mT
        return _rows(self.FT, index) @ _rows(GT, index).mT

    def take(self, index: Tensor) -> Quadratic:
        own = self.own if self.own.dim() == 1 else self.own[index]
        FT, G = (x if x.dim() == 2 else x[index] for x in (self.FT, self.G))
        return Product(FT, G, own)

    def finite(self) -> Tensor:
        return finite(self.FT, 2) & finite(self.G, 2)

    def cleaned(self) -> Quadratic:
        return Product(clean(self.FT), clean(self.G), clean(self.own))


def quadratic_of(operator: LinearOperator, batch: tuple[int, ...]) -> Quadratic:
    """The quadratic form of an operator."""
    pair = factors_of(operator, batch)
    if pair is None:
        return Whole(matrix_of(operator, batch))
    F, G = pair
    if G.shape[-1] >= LARGE and G.shape[-2] <= THIN * G.shape[-1]:
        return Product(F.mT.contiguous(), G, (F * G).sum(-2))
    return Whole(F.mT @ G)


def _rows(matrix: Tensor, index: Tensor) -> Tensor:
    """Rows `index` (B, k) of a matrix or of matrices."""
    if matrix.dim() == 2:
        return matrix[index]
    return matrix[torch.arange(len(index), device=index.device)[:, None], index]
