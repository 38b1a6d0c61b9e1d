"""Linear operators of every kind, small, for the tests over all of them."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
import torch

from cvxprox.operators import (
    Adjoint,
    Composed,
    Diagonal,
    FunctionOperator,
    Gather,
    Identity,
    LinearOperator,
    Matrix,
    Scaled,
    SparseEntries,
    SparseMatrix,
    Stacked,
    Sum,
)

C = torch.complex128


def randn(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1 + math.prod(shape)))


def sparse(m: int, n: int, dtype: type = float, density: float = 0.4) -> SparseMatrix:
    rng = np.random.default_rng(m + n)
    A = sp.random_array((m, n), density=density, rng=rng, dtype=float).astype(dtype)
    return SparseMatrix(sp.csr_array(A * (1 + 1j) if dtype is complex else A))


def entries(m: int, n: int, density: float = 0.4) -> SparseEntries:
    pattern = sparse(m, n, density=density).matrix
    return SparseEntries(pattern, randn(pattern.nnz))


def differences(x: torch.Tensor) -> torch.Tensor:
    return x.diff(dim=-1)


GENERAL: dict[type[LinearOperator], list[LinearOperator]] = {
    Identity: [Identity((3, 2)), Identity(()), Identity((2,), C), Identity((0,))],
    Scaled: [
        -2.0 * Matrix(randn(3, 4)),
        (1 + 2j) * Matrix(randn(3, 4, dtype=C)),
        (1 - 2j) * Matrix(randn(3, 4)),
        torch.tensor(0.5, dtype=torch.float64) * Identity((4,)),
        Scaled(2.0, Scaled(3.0, Diagonal(randn(3)))),
    ],
    Sum: [
        Matrix(randn(3, 4)) + sparse(3, 4),
        Identity((3,)) - Diagonal(randn(3)),
        Matrix(randn(3, 3)) + Matrix(randn(3, 3, dtype=C)) @ FunctionOperator(lambda x: x.to(C), (3,)),
    ],
    Composed: [
        Matrix(randn(2, 3)) @ sparse(3, 4),
        Matrix(randn(4, 3, dtype=C)) @ FunctionOperator(lambda x: x * (1 + 1j), (3,)),
        Diagonal(randn(3)) @ Diagonal(randn(3)),
        Gather(torch.tensor([2, 0, 1]), (3,)) @ Matrix(randn(3, 4)),
        Matrix(randn(3, 4)) @ Gather(torch.tensor([2, 0, 2, 1]), (3,)),
    ],
    Adjoint: [
        FunctionOperator(differences, (4,)).T,
        Matrix(randn(3, 4, dtype=C)).T,
    ],
    Stacked: [
        Stacked((Matrix(randn(3, 4)), sparse(2, 4), Identity((4,)))),
        Stacked((FunctionOperator(differences, (3, 4)), Identity((3, 4)))),
    ],
    Matrix: [
        Matrix(randn(3, 4)),
        Matrix(randn(4, 3, dtype=C)),
        Matrix(randn(0, 3)),
        Matrix(torch.eye(3).double()),
    ],
    SparseEntries: [
        entries(4, 3),
        entries(3, 3, density=0.0),
        SparseEntries(sp.csr_array(sp.diags_array([1.0, -3.0, 2.0])), randn(3)),
        SparseEntries(sp.csr_array((0, 3)), randn(0)),
    ],
    SparseMatrix: [
        sparse(4, 3),
        sparse(5, 6, complex),
        sparse(3, 3, density=0.0),
        SparseMatrix(sp.csr_array(sp.diags_array([1.0, -3.0, 2.0]))),
        SparseMatrix(sp.csr_array((0, 3))),
    ],
    Diagonal: [
        Diagonal(randn(3, 2)),
        Diagonal(randn(2), (3, 2)),
        Diagonal(randn(4, dtype=C)),
        Diagonal(torch.tensor(2.0).double(), (3,)),
    ],
    Gather: [
        Gather(torch.tensor([[3, 0], [0, 5]]), (2, 3)),
        Gather(torch.arange(6).reshape(2, 3), (2, 3)),
        Gather(torch.zeros(0, dtype=torch.int64), (3,)),
        Gather(torch.tensor(1), (3,), C),
    ],
    FunctionOperator: [
        FunctionOperator(differences, (3, 4)),
        FunctionOperator(torch.fft.fft, (4,), dtype_in=C),
        FunctionOperator(torch.fft.rfft, (5,)),
        FunctionOperator(lambda x: 2 * x, (3,), transposed=lambda y: 2 * y),
        FunctionOperator(lambda x: torch.zeros_like(x[..., :2]), (3,)),
    ],
}
REAL_LINEAR = [
    FunctionOperator(torch.fft.rfft, (5,)).T,
    FunctionOperator(torch.real, (3,), dtype_in=C),
    FunctionOperator(torch.imag, (3,), dtype_in=C),
    FunctionOperator(torch.conj_physical, (3,), dtype_in=C),
]
