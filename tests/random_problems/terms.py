"""The convex functions that composite problems are made of, each with random arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from tests.random_problems.affine import Affine
from tests.random_problems.cones import positive

Make = Callable[[Affine], cp.Expression]


@dataclass(frozen=True)
class Term:
    """`make` returns a convex scalar expression; `lipschitz` if its growth is at most linear everywhere."""

    name: str
    lipschitz: bool
    make: Make


def _psd(a: Affine, k: int) -> np.ndarray:
    G = a.rng.standard_normal((k, int(a.rng.integers(1, k + 1))))
    return np.asarray(G @ G.T)


def _axis(a: Affine) -> int:
    return int(a.rng.integers(2))


def _weighted(a: Affine, e: cp.Expression) -> cp.Expression:
    """The sum of the elements of `e`, or a weighted one."""
    return cp.sum(e) if a.rng.random() < 0.6 else cp.sum(cp.multiply(positive(a.rng, *e.shape), e))


def _count(a: Affine, size: int) -> int:
    return int(a.rng.integers(1, size + 1))


def _sum_largest(a: Affine) -> cp.Expression:
    v = a.vector()
    return cp.sum_largest(v, _count(a, v.size))


def _lambda_sum_largest(a: Affine) -> cp.Expression:
    S = a.symmetric()
    return cp.lambda_sum_largest(S, _count(a, S.shape[0]))


def _quad_form(a: Affine) -> cp.Expression:
    v = a.vector()
    return cp.quad_form(v, cp.psd_wrap(_psd(a, v.size)))


def _log_sum_exp_axis(a: Affine) -> cp.Expression:
    return cp.sum(cp.log_sum_exp(a.matrix(), axis=_axis(a)))


def _divergence(a: Affine, atom: Callable[[cp.Expression, cp.Expression], cp.Expression]) -> cp.Expression:
    shape = a.shape(1)
    return cp.sum(atom(a.positive(shape), a.positive(shape)))


def _matrix_frac(a: Affine) -> cp.Expression:
    S = a.definite()
    return cp.matrix_frac(a.of((S.shape[0],)), S)


def _maximum(a: Affine) -> cp.Expression:
    shape = a.shape(1)
    return _weighted(a, cp.maximum(a.of(shape), a.of(shape), 0.1))


def _elastic(a: Affine) -> cp.Expression:
    v = a.vector()
    return cp.norm1(v) + 0.5 * cp.sum_squares(v)


NORMS = (
    Term("abs", True, lambda a: _weighted(a, cp.abs(a.any()))),
    Term("norm1", True, lambda a: cp.norm1(a.any())),
    Term("norm2", True, lambda a: cp.norm(a.vector())),
    Term("norm_inf", True, lambda a: cp.norm(a.vector(), "inf")),
    Term("frobenius", True, lambda a: cp.norm(a.matrix(), "fro")),
    Term("groups", True, lambda a: _weighted(a, cp.norm(a.matrix(), 2, axis=_axis(a)))),
    Term("mixed_norm", True, lambda a: cp.mixed_norm(a.matrix(), 2, 1)),
    Term("norm1 axis", True, lambda a: _weighted(a, cp.norm(a.matrix(), 1, axis=_axis(a)))),
    Term("norm_inf axis", True, lambda a: _weighted(a, cp.norm(a.matrix(), "inf", axis=_axis(a)))),
    Term("pnorm", True, lambda a: cp.pnorm(a.vector(), float(a.rng.choice([1.5, 3, 4])))),
    Term("max", True, lambda a: cp.max(a.any())),
    Term("max axis", True, lambda a: _weighted(a, cp.max(a.matrix(), axis=_axis(a)))),
    Term("-min", True, lambda a: -cp.min(a.vector())),
    Term("ptp", True, lambda a: cp.ptp(a.vector())),
    Term("sum_largest", True, _sum_largest),
    Term("-sum_smallest", True, lambda a: -cp.sum_smallest(a.vector(), 1)),
    Term("cvar", True, lambda a: cp.cvar(a.vector(2), float(a.rng.uniform(0.2, 0.8)))),
    Term("pos", True, lambda a: _weighted(a, cp.pos(a.any()))),
    Term("neg", True, lambda a: _weighted(a, cp.neg(a.any()))),
    Term("maximum", True, _maximum),
    Term("scalene", True, lambda a: cp.sum(cp.scalene(a.vector(), 2.0, 0.5))),
    Term("huber", True, lambda a: _weighted(a, cp.huber(a.any(), float(a.rng.choice([0.3, 1, 2]))))),
    Term("tv", True, lambda a: cp.tv(a.vector(2))),
    Term("tv 2-D", True, lambda a: cp.tv(a.matrix(2))),
    Term("linear", True, lambda a: cp.sum(a.vector())),
)
SMOOTH = (
    Term("sum_squares", False, lambda a: cp.sum_squares(a.any())),
    Term("square", False, lambda a: _weighted(a, cp.square(a.any()))),
    Term("quad_form", False, _quad_form),
    Term("quad_over_lin", False, lambda a: cp.quad_over_lin(a.vector(), a.positive(()))),
    Term("elastic net", False, _elastic),
    Term("huber", True, lambda a: cp.sum(cp.huber(a.vector()))),
    Term("exp", False, lambda a: _weighted(a, cp.exp(a.any()))),
    Term("logistic", True, lambda a: _weighted(a, cp.logistic(a.any()))),
    Term("log_sum_exp", True, lambda a: cp.log_sum_exp(a.vector())),
    Term("log_sum_exp axis", True, _log_sum_exp_axis),
    Term("-log", False, lambda a: -_weighted(a, cp.log(a.positive(a.shape(1))))),
    Term("-log1p", False, lambda a: -cp.sum(cp.log1p(a.positive(a.shape(1))))),
    Term("-entr", False, lambda a: -_weighted(a, cp.entr(a.positive(a.shape(1))))),
    Term("kl_div", False, lambda a: _divergence(a, cp.kl_div)),
    Term("rel_entr", False, lambda a: _divergence(a, cp.rel_entr)),
    Term("power", False, lambda a: cp.sum(cp.power(cp.abs(a.vector()), float(a.rng.choice([1.5, 3, 4]))))),
    Term("inv_pos", False, lambda a: cp.sum(cp.inv_pos(a.positive(a.shape(1))))),
    Term("-sqrt", False, lambda a: -_weighted(a, cp.sqrt(a.positive(a.shape(1))))),
    Term("-geo_mean", False, lambda a: -cp.geo_mean(a.positive(a.shape(1)))),
    Term("-harmonic_mean", False, lambda a: -cp.harmonic_mean(a.positive((2,)))),
    Term("std", True, lambda a: cp.std(a.vector(2))),
    Term("var", False, lambda a: cp.var(a.vector(2))),
    Term("square of norm", False, lambda a: cp.square(cp.norm1(a.vector()))),
    Term("exp of max", False, lambda a: cp.exp(cp.max(a.vector()))),
)
MATRIX = (
    Term("normNuc", True, lambda a: cp.normNuc(a.matrix())),
    Term("sigma_max", True, lambda a: cp.sigma_max(a.matrix())),
    Term("lambda_max", True, lambda a: cp.lambda_max(a.symmetric())),
    Term("-lambda_min", True, lambda a: -cp.lambda_min(a.symmetric())),
    Term("lambda_sum_largest", True, _lambda_sum_largest),
    Term("-log_det", False, lambda a: -cp.log_det(a.definite())),
    Term("tr_inv", False, lambda a: cp.tr_inv(a.definite())),
    Term("matrix_frac", False, _matrix_frac),
    Term("sum_squares", False, lambda a: cp.sum_squares(a.matrix())),
    Term("groups", True, lambda a: cp.sum(cp.norm(a.matrix(), 2, axis=_axis(a)))),
    Term("norm1", True, lambda a: cp.norm1(a.matrix())),
)
