"""Derivatives of every prox, against finite differences and against each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import cvxprox.prox as px
from cvxprox.prox import ProxFunction

from .case import F64, Case
from .cases import CASES

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@every_case
def test_gradients_in_the_point_and_the_step(case: Case, rng: np.random.Generator) -> None:
    v = case.points(rng, 5).requires_grad_(True)
    t = torch.tensor(rng.uniform(0.5, 2.0, (5, 1) if case.f.ndim == 0 else 5), requires_grad=True)
    assert torch.autograd.gradcheck(case.f.prox, (v, t), eps=1e-6, atol=1e-6)


WITH_FIELDS = [
    case
    for case in CASES
    if any(isinstance(getattr(case.f, f.name), Tensor) for f in dataclasses.fields(case.f))
]


@pytest.mark.parametrize("case", WITH_FIELDS, ids=str)
def test_gradients_in_the_fields(case: Case, rng: np.random.Generator) -> None:
    v, names, values = case.points(rng, 5), [], []
    for f in dataclasses.fields(case.f):
        value = getattr(case.f, f.name)
        if isinstance(value, Tensor):
            names.append(f.name)
            values.append(value.clone().nan_to_num(posinf=9.0, neginf=-9.0))
    if isinstance(case.f, px.Box):  # apart, so that the difference quotient does not cross them
        values[1] = values[1] + 0.1
    if isinstance(case.f, px.Precomposed):  # a scale of zero has its own branch
        values[0] = torch.where(values[0] == 0, 0.3, values[0])
    values = [value.requires_grad_(True) for value in values]

    def prox(*fields: Tensor) -> Tensor:
        return dataclasses.replace(case.f, **dict(zip(names, fields, strict=True))).prox(v, 0.7)

    assert torch.autograd.gradcheck(prox, values, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("ball", "shape"),
    [(px.Norm2Ball, (3,)), (px.Norm1Ball, (3,)), (px.NuclearBall, (2, 3)), (px.SpectralBall, (2, 3))],
)
def test_gradients_in_the_radius(ball: type, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    v = torch.tensor(2 * rng.standard_normal((5, *shape)))
    radius = torch.tensor(rng.uniform(0.5, 3.0, 5), requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: ball(r).prox(v, 1.0), (radius,), atol=1e-6)


@pytest.mark.parametrize("t", [0.1, 1.0, 10.0])
@every_case
def test_derivative_is_symmetric_and_firm(case: Case, t: float, rng: np.random.Generator) -> None:
    v = case.points(rng, 40, t)
    actual, by_autograd = case.f.derivative(v, t), ProxFunction.derivative(case.f, v, t)
    assert_close(actual, by_autograd, atol=1e-8, rtol=1e-8)
    if case.f.ndim == 0:
        assert actual.shape == v.shape
        assert ((actual >= -1e-12) & (actual <= 1 + 1e-12)).all()
    else:
        assert_close(actual, actual.mT, atol=1e-9, rtol=0)
        spectrum = torch.linalg.eigvalsh(actual)
        assert ((spectrum >= -1e-9) & (spectrum <= 1 + 1e-9)).all()


@every_case
def test_gradients_at_kinks_are_finite(case: Case) -> None:
    for v in (torch.zeros(1, *case.shape, dtype=F64), torch.ones(1, *case.shape, dtype=F64)):
        v.requires_grad_(True)
        slope = torch.autograd.grad(case.f.prox(v, 1.0).sum(), v)[0]
        assert slope.isfinite().all()
        assert case.f.derivative(v.detach(), 1.0).isfinite().all()


@pytest.mark.parametrize("f", [px.LambdaMax(), px.NegLogDet()], ids=lambda f: type(f).__name__)
def test_gradients_at_repeated_eigenvalues(f: ProxFunction) -> None:
    v = torch.diag(torch.tensor([3.0, 3.0, 0.5], dtype=F64)).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: f.prox(v, 1.0), (v,), eps=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "f",
    [px.NuclearNorm(), px.SpectralNorm(), px.NuclearBall(2.0), px.SpectralBall(2.0), px.NuclearBall(9.0)],
    ids=lambda f: type(f).__name__,
)
def test_gradients_at_repeated_and_zero_singular_values(f: ProxFunction) -> None:
    v = torch.tensor([[3.0, 0, 0], [0, 3, 0], [0, 0, 0], [0, 0, 0]], dtype=F64).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: f.prox(v, 1.0), (v,), eps=1e-5, atol=1e-5)


def test_gradients_where_eigenvalues_of_the_psd_cone_repeat() -> None:
    v = torch.tensor([2.0, 0, 2, 0, 0, -1], dtype=F64).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: px.PsdCone(3).prox(v, 1.0), (v,), eps=1e-5, atol=1e-5)
