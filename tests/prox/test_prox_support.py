"""Recession functions, supports of domains, conjugates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import cvxprox.prox as px

from .case import F64, INF, Case, tensor
from .cases import CASES

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def symmetric_if_it_must(case: Case, x: Tensor) -> Tensor:
    return (x + x.mT) / 2 if isinstance(case.f, px.LambdaMax | px.NegLogDet) else x


def drawn(case: Case, rng: np.random.Generator, extra: list[Tensor]) -> Tensor:
    random = torch.tensor(rng.standard_normal((12, *case.shape)))
    return torch.stack([*symmetric_if_it_must(case, random), *extra, torch.zeros(case.shape, dtype=F64)])


def dot(x: Tensor, y: Tensor, ndim: int) -> Tensor:
    return (x * y).flatten(x.dim() - ndim).sum(-1) if ndim else x * y


def less_than_a_logarithm(d: Tensor, ndim: int) -> Tensor:
    """The slowest growth to infinity, of x log x and of exp's inverse, exceeds this over our range."""
    size = d.abs().flatten(d.dim() - ndim).amax(-1) if ndim else d.abs()
    return 1e-3 + size


@every_case
def test_recession_is_the_slope_at_infinity(case: Case, rng: np.random.Generator) -> None:
    f = case.f
    d = drawn(case, rng, case.directions)
    x = f.prox(torch.zeros_like(d), 1.0)
    expected = f.recession(d, 1e-9)
    if case.is_indicator:  # a ray leaves the set at a speed
        far = x + 1e6 * d
        gap = (f.prox(far, 1.0) - far).abs() / 1e6
        speed = gap.flatten(gap.dim() - f.ndim).amax(-1) if f.ndim else gap
        assert_close(expected == 0, speed < 1e-5)
        assert expected[expected != 0].isinf().all()
    else:
        near, far = ((f.value(x + s * d) - f.value(x)) / s for s in (1e4, 1e8))
        growing = ~(far < near + less_than_a_logarithm(d, f.ndim))
        assert_close(expected.isinf(), growing)
        assert_close(expected[~growing], far[~growing], atol=1e-5, rtol=1e-5)
    assert (expected == 0).any() or not case.is_indicator, "the case should try a direction of recession"


@every_case
def test_support_of_the_domain_is_attained(case: Case, rng: np.random.Generator) -> None:
    f = case.f
    y = drawn(case, rng, case.normals)
    # prox(s y) minimises f(x) + |x|^2 / 2t - s <y, x> / t: the supremum as s grows
    near, far = (dot(y, f.prox(s * y, 1.0), f.ndim) for s in (1e2, 1e9))
    growing = far > near + less_than_a_logarithm(y, f.ndim)
    expected = f.domain_support(y, 1e-9)
    assert_close(expected.isinf(), growing)
    assert_close(expected[~growing], far[~growing], atol=1e-5, rtol=1e-5)


@every_case
def test_violations_within_the_tolerance_count_as_zero(case: Case) -> None:
    noise = 1e-7 * torch.ones(case.shape, dtype=F64)
    for sign in (-1, 1):
        if not isinstance(case.f, px.Box):
            assert (case.f.recession(sign * noise, 1e-6).abs() < 1e-5).all()
        assert (case.f.domain_support(sign * noise, 1e-6).abs() < 1e-5).all()


def test_infinite_bounds_of_a_box() -> None:
    box = px.Box(tensor(-INF, -1, -INF), tensor(2, INF, INF))
    assert_close(box.domain_support(tensor(3, -4, 0)), tensor(6, 4, 0))
    assert_close(box.domain_support(tensor(-1e-8, 1e-8, -1e-8), 1e-7), tensor(0, 0, 0))
    assert_close(box.domain_support(tensor(-1, 1, 1e-8)), tensor(INF, INF, INF))
    assert_close(box.recession(tensor(-1, 1, 1)), tensor(0, 0, 0))
    assert_close(box.recession(tensor(1e-8, -1, 5), 1e-7), tensor(0, INF, 0))


KNOWN_CONJUGATES = [
    (px.Abs(), (5,), lambda v, t: v.clamp(-1, 1)),
    (px.Positive(), (5,), lambda v, t: v.clamp(0, 1)),
    (px.Square(), (5,), lambda v, t: v / (1 + t / 2)),  # y^2 / 4
    (px.Huber(0.5), (5,), lambda v, t: (v / (1 + t / 2)).clamp(-1, 1)),  # y^2 / 4 on |y| <= 2 M
    (px.NegLog(), (5,), lambda v, t: (v - (v * v + 4 * t).sqrt()) / 2),  # -1 - log(-y)
    (px.Norm2(), (3,), lambda v, t: v / v.norm(dim=-1, keepdim=True).clamp(min=1)),
    (px.NormInf(), (3,), lambda v, t: px.Norm1Ball(1.0).prox(v, t)),
    (px.Norm1Ball(2.0), (3,), lambda v, t: px.NormInf().prox(v, 2 * t)),
    (px.Norm2Ball(2.0), (3,), lambda v, t: px.Norm2().prox(v, 2 * t)),
    (px.SecondOrderCone(), (3,), lambda v, t: -px.SecondOrderCone().prox(-v, t)),  # self-dual
    (px.PsdCone(2), (3,), lambda v, t: -px.PsdCone(2).prox(-v, t)),
    (px.NuclearNorm(), (3, 2), lambda v, t: px.SpectralBall(1.0).prox(v, t)),
    (px.SpectralNorm(), (3, 2), lambda v, t: px.NuclearBall(1.0).prox(v, t)),
    (px.NegLogDet(), (3, 3), lambda v, t: -px.NegLogDet().prox(-v, t)),  # -n - log det(-Y)
]


@pytest.mark.parametrize("t", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(("f", "shape", "conj_prox"), KNOWN_CONJUGATES, ids=lambda x: type(x).__name__)
def test_conjugates_that_are_known(f, shape, conj_prox, t: float, rng: np.random.Generator) -> None:
    v = torch.tensor(2 * rng.standard_normal((7, *shape)))
    if isinstance(f, px.NegLogDet):  # the conjugate does not depend on the antisymmetric part
        v = (v + v.mT) / 2
    assert_close(f.conj_prox(v, t), conj_prox(v, t), atol=1e-12, rtol=1e-12)


def test_the_conjugate_of_the_maximum_lives_on_the_simplex(rng: np.random.Generator) -> None:
    for f, total in ((px.Max(), 1.0), (px.LogSumExp(), 1.0), (px.SumLargest(2.5), 2.5)):
        y = f.conj_prox(torch.tensor(rng.standard_normal((50, 6))), 0.8)
        assert_close(y.sum(-1), torch.full((50,), total, dtype=F64))
        assert ((y >= -1e-14) & (y <= 1 + 1e-12)).all()
