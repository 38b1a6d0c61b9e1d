"""The problems of the gradient matrix, and derivatives of their solutions by finite differences."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

import cvxprox
from tests.binding import problems
from tests.binding.problems import Case

STEP = 1e-4
EVERY = ("admm", "admm_vxu", "ladmm", "pdhg")
GRADIENT = ("pgd", "fista")


@dataclass(frozen=True)
class Member:
    """A problem, and the algorithms that take it and come close enough to its solution."""

    make: Callable[[], Case]
    algorithms: tuple[str, ...] = ("admm", "admm_vxu")
    oracle: str = "CLARABEL"


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def strongly_convex_lasso() -> Case:
    """More rows than columns, so that all algorithms converge linearly."""
    A = cp.Parameter((12, 4), value=_random(12, 4), name="A")
    b = cp.Parameter(12, value=_random(12, seed=1), name="b")
    weight = cp.Parameter(value=1.0, nonneg=True, name="weight")
    x = cp.Variable(4, name="x")
    return Case(cp.Problem(cp.Minimize(0.5 * cp.sum_squares(A @ x - b) + weight * cp.norm1(x))))


def deblurring() -> Case:
    """Total variation with a learnable kernel."""
    rng = np.random.default_rng(3)
    image = np.kron(rng.random((2, 2)), np.ones((3, 3))) + 0.05 * rng.standard_normal((6, 6))
    value = np.array([[0.0, 0.1, 0.05], [0.1, 0.5, 0.1], [0.05, 0.1, 0.0]])
    kernel = cp.Parameter((3, 3), value=value, name="kernel")
    y = cp.Parameter((6, 6), value=image, name="y")
    weight = cp.Parameter(value=0.02, nonneg=True, name="weight")
    x = cp.Variable((6, 6), name="x")
    fit = 0.5 * cp.sum_squares(cvxprox.conv(x, kernel) - y) + 0.01 * cp.sum_squares(x)
    return Case(cp.Problem(cp.Minimize(fit + weight * cvxprox.tv(x))))


def compressed_sensing_mri() -> Case:
    """Weights of the samples in the Fourier domain, learnable."""
    rng = np.random.default_rng(4)
    image = np.kron(rng.random((2, 2)), np.ones((2, 2)))
    weights = cp.Parameter((4, 4), value=0.2 + rng.random((4, 4)), nonneg=True, name="weights")
    y = cp.Parameter((4, 4), complex=True, value=np.fft.fft2(image) / 4, name="y")
    x = cp.Variable((4, 4), name="x")
    fit = 0.5 * cp.sum_squares(cp.multiply(weights, cvxprox.fft2(x) - y))
    return Case(cp.Problem(cp.Minimize(fit + 0.05 * cvxprox.tv(x))))


CORPUS: dict[str, Member] = {
    "qp": Member(problems.quadratic_program),
    "quadratic_form": Member(problems.quadratic_form, EVERY),
    "lasso": Member(strongly_convex_lasso, (*EVERY, *GRADIENT)),
    "huber": Member(problems.huber, EVERY),
    "socp": Member(problems.cone_program, oracle="SCS"),
    "sdp": Member(problems.semidefinite_program, oracle="SCS"),
    "exponential_cone": Member(problems.exponential_cone),
    "not_dpp": Member(problems.products_of_parameters),
    "complex": Member(problems.complex_variable),
    "hermitian": Member(problems.hermitian_variable),
    "diagonal": Member(problems.diagonal_and_sparse, EVERY),
    "gp": Member(problems.geometric_program, ()),  # 20,000 iterations, which polishing would save
    "deblurring": Member(deblurring, EVERY),
    "mri": Member(compressed_sensing_mri, EVERY),
}


def functional(value: Tensor) -> Tensor:
    """A smooth function of a solution."""
    flat = torch.view_as_real(value).flatten() if value.is_complex() else value.flatten()
    return (torch.sin(1.0 + torch.arange(flat.numel(), dtype=flat.dtype)) * flat).sum()


def direction(name: str, p: cp.Parameter, value: Tensor) -> Tensor:
    """A direction in which a parameter changes, that respects its attributes."""
    generator = torch.Generator().manual_seed(sum(map(ord, name + p.name())))
    d = torch.randn(value.shape, generator=generator, dtype=value.dtype)
    if p.attributes["symmetric"] or p.attributes["PSD"]:
        d = d + d.mT
    if p.attributes["hermitian"]:
        d = d + d.mH
    if p.attributes["diag"] or p.attributes["sparsity"]:
        d = d * (value != 0)
    return d


TIGHT = {
    "CLARABEL": dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-13),
    "SCS": {"eps": 1e-12, "max_iters": 100_000},
}


def _set(p: cp.Parameter, value: np.ndarray) -> None:
    if p.attributes["sparsity"]:
        p.value_sparse = sp.coo_array((value[p.sparse_idx], p.sparse_idx), shape=p.shape)
    else:
        p.value = value


def _solved(case: Case, p: cp.Parameter, step: Tensor, oracle: str) -> float:
    """The functional of the solution with `p` moved by `step`."""
    original = problems.dense(p)
    _set(p, original + step.numpy())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # products of parameters are not DPP; the last digits are inaccurate
            case.problem.solve(solver=oracle, gp=case.gp, **TIGHT[oracle])
        values = (problems.dense(v) for v in variables(case))
        return sum(float(functional(torch.as_tensor(value))) for value in values)
    finally:
        _set(p, original)


def variables(case: Case) -> list[cp.Variable]:
    """In the order of their names."""
    return sorted(case.problem.variables(), key=lambda v: v.name())


@functools.cache
def reference(name: str) -> tuple[Case, dict[cp.Parameter, Tensor], dict[cp.Parameter, float]]:
    """The problem, a direction for each parameter, and the derivative along it by central differences."""
    case = CORPUS[name].make()
    directions = {p: direction(name, p, value) for p, value in case.tensors().items()}
    derivatives = {}
    for p, d in directions.items():
        ends = [_solved(case, p, sign * STEP * d, CORPUS[name].oracle) for sign in (1, -1)]
        derivatives[p] = (ends[0] - ends[1]) / (2 * STEP)
    return case, directions, derivatives
