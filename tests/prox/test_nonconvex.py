"""Functions that are not convex, against all points of a grid."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import cvxprox.prox as px
from cvxprox.prox import NonConvexFunction

from .case import F64, tensor
from .cases import concrete
from .cases_nonconvex import NONCONVEX, NonConvexCase

every_case = pytest.mark.parametrize("case", NONCONVEX, ids=str)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(13)


def drawn(case: NonConvexCase, rng: np.random.Generator, *batch: int) -> Tensor:
    return torch.tensor(1.5 * rng.standard_normal((*batch, *case.shape)))


def step_of(case: NonConvexCase, t: Tensor) -> Tensor:
    return t.reshape(t.shape + (1,) * (case.f.ndim == 0))


def objective(value: Tensor, x: Tensor, v: Tensor, t: float) -> Tensor:
    return value + (x - v).square().flatten(-len(v.shape)).sum(-1) / (2 * t)


def test_every_nonconvex_function_has_a_case() -> None:
    ours = {cls for cls in concrete(NonConvexFunction) if not inspect.isabstract(cls)}
    assert ours - {px.Denoiser} == {type(case.f) for case in NONCONVEX}


@pytest.mark.parametrize("t", [0.2, 1.0, 5.0])
@every_case
def test_prox_is_the_best_of_all_points(case: NonConvexCase, t: float, rng: np.random.Generator) -> None:
    for v in drawn(case, rng, 8):
        points, values = case.candidates(v)
        best = objective(values, points, v, t).amin()
        x = case.f.prox(v, t)
        value = case.f.value(x)
        actual = objective(value.sum() if case.f.ndim == 0 else value, x, v, t)
        assert actual <= best + 1e-12
        assert actual >= best - 1e-3 / t, "the result is not in the domain"


@every_case
def test_projections_are_idempotent(case: NonConvexCase, rng: np.random.Generator) -> None:
    x = case.f.prox(drawn(case, rng, 30), 1.0)
    assert case.f.prox(torch.zeros(2, *case.shape, dtype=F64), 1.0).isfinite().all()
    if case.is_indicator:
        assert_close(case.f.prox(x, 0.3), x)
        assert (case.f.value(x) == 0).all()


@every_case
def test_a_batch_is_its_points_one_by_one(case: NonConvexCase, rng: np.random.Generator) -> None:
    v, t = drawn(case, rng, 2, 3), torch.tensor(rng.uniform(0.1, 3, (2, 3)))
    z = case.f.prox(v, step_of(case, t))
    for i in range(2):
        for j in range(3):
            assert_close(z[i, j], case.f.prox(v[i, j], t[i, j].item()))
    assert_close(case.f.prox(v.requires_grad_(True), step_of(case, t)).detach(), z)


@every_case
def test_gradients_where_the_prox_is_smooth(case: NonConvexCase, rng: np.random.Generator) -> None:
    v = drawn(case, rng, 6).requires_grad_(True)
    t = step_of(case, torch.tensor(rng.uniform(0.5, 2.0, 6)))
    slope = case.f.derivative(v.detach(), t)
    assert slope.shape == (v.shape if case.f.ndim == 0 else (6, v[0].numel(), v[0].numel()))
    if case.differentiable:
        assert torch.autograd.gradcheck(lambda v: case.f.prox(v, t), (v,), eps=1e-6, atol=1e-6)
        assert_close(slope, NonConvexFunction.derivative(case.f, v, t), atol=1e-10, rtol=1e-10)


@every_case
def test_float32_stays_float32(case: NonConvexCase, rng: np.random.Generator) -> None:
    f, v = case.f.to("cpu", torch.float32), drawn(case, rng, 5)
    z = f.prox(v.float(), 0.7)
    assert z.dtype == f.value(z).dtype == f.derivative(v.float(), 0.7).dtype == torch.float32
    assert_close(z.double(), case.f.prox(v, 0.7), atol=2e-5, rtol=2e-5)


@every_case
def test_certificates_are_refused(case: NonConvexCase) -> None:
    x = torch.zeros(case.shape, dtype=F64)
    assert not case.f.convex
    for question in (
        case.f.recession, case.f.domain_support, case.f.domain_recession, case.f.recession_domain
    ):  # fmt: skip
        with pytest.raises(NotImplementedError, match="is not convex"):
            question(x)


@pytest.mark.parametrize("f", [px.RankPenalty(), px.RankAtMost(2)], ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_gradients_of_rectangular_matrices_with_repeated_values(
    f: NonConvexFunction, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    left = torch.linalg.qr(torch.tensor(rng.standard_normal((shape[0], 3)))).Q
    right = torch.linalg.qr(torch.tensor(rng.standard_normal((shape[1], 3)))).Q
    v = (left * tensor(3, 3, 0)) @ right.mT
    v.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: f.prox(v, 1.0), (v,), eps=1e-5, atol=1e-5)


def test_the_identity_has_gradients_at_several_zero_singular_values() -> None:
    v = torch.diag(tensor(3, 0, 0)).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: px.RankAtMost(3).prox(v, 1.0), (v,))


def test_gradients_in_the_modulus(rng: np.random.Generator) -> None:
    v = torch.tensor(rng.standard_normal((5, 2)), requires_grad=True)
    modulus = torch.tensor(rng.uniform(0.5, 3.0, 5), requires_grad=True)
    assert torch.autograd.gradcheck(lambda b, v: px.PhaseRetrieval(b).prox(v, 1.0), (modulus, v))


def test_zero_is_sent_to_a_fixed_point_of_the_sphere() -> None:
    zero = torch.zeros(2, 3, dtype=F64, requires_grad=True)
    with torch.no_grad():
        assert px.UnitNorm().prox(zero, 1.0).tolist() == [[1, 0, 0], [1, 0, 0]]
    result = px.PhaseRetrieval(2.0).prox(zero, 1.0)
    assert result.tolist() == [[2, 0, 0], [2, 0, 0]]
    assert torch.autograd.grad(result.sum(), zero)[0].isfinite().all()


def test_of_equal_entries_only_as_many_as_fit_are_kept() -> None:
    assert px.SparseK(2).prox(torch.ones(5, dtype=F64), 1.0).sum() == 2


def test_wrapped_functions_are_as_convex_as_what_they_wrap() -> None:
    sphere = px.UnitNorm()
    assert not px.Precomposed(sphere, 2.0).convex and px.Precomposed(px.Norm2()).convex
    assert not px.SquaredDistance(sphere).convex and px.SquaredDistance(px.Norm2Ball(1.0)).convex
