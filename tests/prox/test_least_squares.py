"""Least squares with operators on tensors, against a dense solve."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from cvxprox.operators import (
    Convolution,
    Diagonal,
    Fourier,
    LinearOperator,
    Matrix,
    Subsample,
    gram_spectrum,
    outer_gram_spectrum,
)
from cvxprox.prox import Abs, LeastSquares, Orthogonal

from .case import F64
from .cases_composed import OPERATORS, dense, random


@pytest.mark.parametrize("t", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("operator", OPERATORS, ids=lambda K: type(K).__name__)
def test_prox_is_that_of_a_dense_solve(operator: LinearOperator, t: float) -> None:
    F = torch.tensor(dense(operator))
    target = random(*operator.shape_out).to(operator.dtype_out)
    v = random(5, F.shape[1])
    normal = torch.eye(F.shape[1], dtype=F64) + 2 * t * (F.mH @ F).real
    right = v + 2 * t * (F.mH @ target.reshape(-1)).real
    actual = LeastSquares(operator, target).prox(v, t)
    assert_close(actual, torch.linalg.solve(normal, right.mT).mT, atol=1e-10, rtol=1e-10)


def test_the_cases_cover_both_forms() -> None:
    spectra = [gram_spectrum(operator) for operator in OPERATORS]
    assert any(s is None for s in spectra) and any(s is not None for s in spectra)


def test_gradients_in_the_data_of_the_operator() -> None:
    v, target = random(2, 16), random(4, 4)

    def blurred(kernel: Tensor, target: Tensor, t: Tensor) -> Tensor:
        return LeastSquares(Convolution(kernel, (4, 4)), target).prox(v, t)

    def subsampled(kernel: Tensor, target: Tensor, t: Tensor) -> Tensor:
        F = Subsample((4, 4), (2, 2)) @ Convolution(kernel, (4, 4))
        return LeastSquares(F, target[:2, :2]).prox(v, t)

    t = torch.tensor([0.3, 2.0], dtype=F64)
    inputs = [x.requires_grad_(True) for x in (random(3, 3), target, t)]
    assert torch.autograd.gradcheck(blurred, inputs)
    assert torch.autograd.gradcheck(subsampled, inputs)


def test_one_function_serves_several_backward_passes() -> None:
    kernel = random(3, 3).requires_grad_(True)
    f = LeastSquares(Convolution(kernel, (4, 4)), random(4, 4))
    first, second = (torch.autograd.grad(f.prox(random(16), 1.0).sum(), kernel)[0] for _ in range(2))
    assert_close(first, second)
    with torch.no_grad():
        assert not f.prox(random(16), 1.0).requires_grad


def test_a_complex_target_stays_complex() -> None:
    f = LeastSquares(Diagonal(torch.ones(2, 3, dtype=torch.complex128)) @ Fourier((2, 3)), random(2, 3) * 1j)
    moved = f.to("cpu", torch.float32)
    assert isinstance(moved, LeastSquares)
    assert moved.target.dtype == torch.complex64
    assert_close(moved.prox(random(6).float(), 1.0).double(), f.prox(random(6), 1.0), atol=1e-5, rtol=1e-5)


def test_operators_without_a_spectrum_are_refused() -> None:
    F = Matrix(torch.tensor(np.vander([1.0, 2.0, 3.0])))
    assert gram_spectrum(F) is None and outer_gram_spectrum(F) is None
    with pytest.raises(ValueError, match="no closed-form prox"):
        LeastSquares(F, random(3))


@pytest.mark.parametrize("operator", [Diagonal(random(3)), Subsample((4,), (2,))], ids=str)
def test_operators_that_are_not_orthogonal_are_refused(operator: LinearOperator) -> None:
    with pytest.raises(ValueError, match="not known to be orthogonal"):
        Orthogonal(Abs(), operator, operator.shape_out)
