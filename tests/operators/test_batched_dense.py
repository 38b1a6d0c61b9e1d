"""Dense matrices of operators whose data have batch dimensions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cvxprox.operators import (
    Composed,
    Diagonal,
    FunctionOperator,
    Gather,
    Identity,
    LinearOperator,
    Matrix,
    OnSlice,
    Scaled,
    Stacked,
    Sum,
    batched_dense,
)

SAMPLES, SIZE = 3, 4


def _random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


MATRICES, WEIGHTS = _random(SAMPLES, SIZE, SIZE), _random(SAMPLES, SIZE)


def operators(matrix: Tensor, weight: Tensor) -> dict[str, LinearOperator]:
    """Operators of every kind that knows its matrix, of one sample or of all."""
    K, D = Matrix(matrix), Diagonal(weight, (SIZE,))
    gather = Gather(torch.tensor([2, 0]), (SIZE,))
    return {
        "matrix": K, "adjoint": K.T, "diagonal": D, "identity": Identity((SIZE,)), "scaled": Scaled(2.0, K),
        "sum": Sum((K, D)), "composed": Composed(K, D), "gathered": Composed(gather, K),
        "weighted": Composed(D, K), "slice": OnSlice(K, 1, SIZE + 2), "stacked": Stacked((D, K, D)),
        "function": FunctionOperator(lambda x: (weight * x).flip(-1), (SIZE,), (SIZE,)),
    }  # fmt: skip


@pytest.mark.parametrize("name", operators(MATRICES[0], WEIGHTS[0]))
def test_of_all_samples_it_is_that_of_each(name: str) -> None:
    together = batched_dense(operators(MATRICES, WEIGHTS)[name], 1)
    for i in range(SAMPLES):
        K = operators(MATRICES[i], WEIGHTS[i])[name]
        unit = torch.eye(K.shape_in[0], dtype=torch.float64)
        expected = K.forward(unit).mT
        torch.testing.assert_close(together[i] if together.dim() == 3 else together, expected)
        torch.testing.assert_close(batched_dense(K, 0), expected)
