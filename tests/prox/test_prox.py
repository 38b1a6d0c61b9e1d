"""Every prox against its definition, solved by Clarabel."""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from cvxprox.prox import NonConvexFunction, Norm2

from .case import F64, Case
from .cases import CASES, batch_sum, concrete

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_step = pytest.mark.parametrize("t", [0.1, 1.0, 10.0])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_every_prox_has_a_case() -> None:
    missing = set(concrete()) - {type(case.f) for case in CASES}
    assert not {cls for cls in missing if not issubclass(cls, NonConvexFunction)}


@every_step
@every_case
def test_prox_solves_its_definition(case: Case, t: float, rng: np.random.Generator) -> None:
    v = case.points(rng, 4, t)
    x = cp.Variable(case.shape)
    center = cp.Parameter(case.shape)
    value, constraints = case.model(x)
    problem = cp.Problem(
        cp.Minimize((0 if value is None else t * value) + cp.sum_squares(x - center) / 2), constraints
    )
    expected = []
    for point in v:
        center.value = point.numpy()
        x.value = None  # CVXPY 1.9 fails on sum_largest(x, 2.4) when x has a value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tolerances near rounding may be reported as not reached
            problem.solve(cp.CLARABEL, ignore_dpp=True, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        expected.append(torch.tensor(x.value))
    assert_close(case.f.prox(v, t), torch.stack(expected), atol=1e-5, rtol=1e-5)


@every_case
def test_a_batch_is_its_points_one_by_one(case: Case, rng: np.random.Generator) -> None:
    v = case.points(rng, 6).reshape(2, 3, *case.shape)
    t = torch.tensor(rng.uniform(0.1, 3, (2, 3)))
    step = t[..., None] if case.f.ndim == 0 else t
    z, slope = case.f.prox(v, step), case.f.derivative(v, step)
    for i in range(2):
        for j in range(3):
            assert_close(z[i, j], case.f.prox(v[i, j], t[i, j].item()))
            assert_close(slope[i, j], case.f.derivative(v[i, j], t[i, j].item()))


@every_case
def test_value_is_that_of_cvxpy(case: Case, rng: np.random.Generator) -> None:
    x = cp.Variable(case.shape)
    value, _ = case.model(x)
    points = case.f.prox(case.points(rng, 5), 1.0)  # in the domain
    actual = batch_sum(case.f.value(points), case.f.ndim)
    for point, number in zip(points, actual, strict=True):
        x.value = point.numpy()
        assert number.item() == pytest.approx(
            0.0 if value is None else float(value.value), rel=1e-8, abs=1e-8
        )


def test_value_is_infinite_outside_the_domain() -> None:
    import cvxprox.prox as px

    x = torch.tensor([-1.0, 0.0, 2.0], dtype=F64)
    assert px.NegLog().value(x).tolist()[:2] == [torch.inf, torch.inf]
    assert px.NegEntropy().value(x).tolist()[:2] == [torch.inf, 0.0]
    indefinite = torch.diag(torch.tensor([-1.0, -1.0, 2.0], dtype=F64))  # of positive determinant
    assert px.NegLogDet().value(indefinite).item() == torch.inf


@every_case
def test_extreme_scales(case: Case, rng: np.random.Generator) -> None:
    for size in (0.0, 1e-8, 1e-3, 1.0, 1e4, 1e8):
        for t in (1e-8, 1e-3, 1.0, 1e4, 1e8):
            v = size * torch.tensor(rng.standard_normal((20, *case.shape)))
            v[:, ..., 0] = 0.0
            v.requires_grad_(True)
            step = torch.tensor(t, dtype=F64, requires_grad=True)
            z = case.f.prox(v, step)
            assert z.isfinite().all(), (size, t)
            slopes = torch.autograd.grad(z.sum(), [v, step], allow_unused=True)
            assert all(slope is None or slope.isfinite().all() for slope in slopes), (size, t)
            moved = case.f.prox((v + size).detach(), t) - z.detach()
            limit = size * v[0].numel() ** 0.5 + 1e-7 * size + 1e-12 * (1 + t)
            assert moved.flatten(1).norm(dim=1).max() <= limit, "a prox does not expand"


@every_case
def test_float32_stays_float32(case: Case, rng: np.random.Generator) -> None:
    f = case.f.to("cpu", torch.float32)
    v = case.points(rng, 5)
    z = f.prox(v.float(), 0.7)
    assert z.dtype == torch.float32
    assert f.value(z).dtype == torch.float32
    assert f.derivative(v.float(), 0.7).dtype == torch.float32
    assert f.recession(z).dtype == torch.float32
    assert f.domain_support(z).dtype == torch.float32
    assert_close(z.double(), case.f.prox(v, 0.7), atol=2e-5, rtol=2e-5)
    assert f.prox(1e8 * v.float(), 1e-8).isfinite().all()
    assert f.prox(v.float(), 1e8).isfinite().all()


@every_case
def test_gradients_do_not_change_the_result(case: Case, rng: np.random.Generator) -> None:
    """There are faster formulas for when no gradients are recorded, and for steps that are numbers."""
    v = case.points(rng, 4)
    every_point = torch.full((4, 1) if case.f.ndim == 0 else (4,), 0.7, dtype=F64)
    for t in (0.7, torch.tensor(0.7, dtype=F64), every_point):
        actual = case.f.prox(v, t)
        recorded = case.f.prox(v.clone().requires_grad_(True), t)
        assert recorded.requires_grad
        assert_close(actual, recorded.detach(), atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 70])
def test_lengths_of_points_stored_either_way(size: int, rng: np.random.Generator) -> None:
    v = torch.tensor(rng.standard_normal((20, size)))
    v[0] = 0.0
    by_component = v.mT.contiguous().mT
    expected = v * (1 - 0.9 / v.norm(dim=-1, keepdim=True).clamp(min=0.9))
    for points in (v, by_component):
        z = Norm2().prox(points, 0.9)
        assert_close(z, expected)
        assert z.stride() == points.stride()
