"""``requires_grad=True``, ``backward`` and ``derivative`` against differences of solutions."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

from .derivative_cases import CASES, denoising
from .problems import SOLVER

STEP = 1e-5
DIFFCP = {"eps": 1e-9, "max_iters": 100_000}
EXACT = {"eps_abs": 1e-11, "eps_rel": 1e-11}
quiet = pytest.mark.filterwarnings("ignore:You are solving a parameterized", "ignore:Reading from a sparse")


def dense(value: Any) -> np.ndarray:
    return value.toarray() if sp.issparse(value) else np.asarray(value)


def direction(p: cp.Parameter, rng: np.random.Generator) -> np.ndarray:
    """A random perturbation that the attributes of `p` allow."""
    d = rng.standard_normal(p.shape) + (1j * rng.standard_normal(p.shape) if p.is_complex() else 0.0)
    if p.attributes["diag"]:
        return np.diag(np.diag(d))
    if p.is_hermitian() and p.ndim == 2:
        return d + d.conj().T
    if p.sparse_idx is not None:
        mask = np.zeros(p.shape)
        mask[p.sparse_idx] = 1.0
        return mask * d
    return d


def entries(p: cp.Parameter, gradient: Any, d: np.ndarray) -> float:
    """The sum over the free entries of a parameter of gradient times direction."""
    products = np.real(np.conj(dense(gradient)) * d)
    return float(np.triu(products).sum() if p.is_hermitian() and p.ndim == 2 else products.sum())


def set_value(p: cp.Parameter, value: np.ndarray) -> None:
    if p.sparse_idx is None:
        p.value = value
    else:
        p.value_sparse = sp.coo_array((value[p.sparse_idx], p.sparse_idx), p.shape)


def value(leaf: Any) -> np.ndarray:
    return dense(leaf.value if leaf.sparse_idx is None else leaf.value_sparse)


def differences(problem: cp.Problem, directions: list[np.ndarray], gp: bool) -> list[np.ndarray]:
    """Of the variables, when all parameters move in their directions."""
    base = [value(p).copy() for p in problem.parameters()]
    ends = []
    for sign in (1.0, -1.0):
        for p, at, d in zip(problem.parameters(), base, directions, strict=True):
            set_value(p, at + sign * STEP * d)
        problem.solve(solver=SOLVER, gp=gp, **EXACT)
        ends.append([value(v) for v in problem.variables()])
    for p, at in zip(problem.parameters(), base, strict=True):
        set_value(p, at)
    return [(a - b) / (2 * STEP) for a, b in zip(*ends, strict=True)]


@quiet
@pytest.mark.parametrize("name", CASES)
def test_against_differences(name: str) -> None:
    case, rng = CASES[name], np.random.default_rng(1)
    problem = case.problem()
    assert problem.is_dpp("dgp" if case.gp else "dcp") is case.dpp
    directions = [direction(p, rng) for p in problem.parameters()]
    expected = differences(problem, directions, case.gp)
    problem.solve(solver=SOLVER, gp=case.gp, requires_grad=True)
    for p, d in zip(problem.parameters(), directions, strict=True):
        p.delta = d
    problem.derivative()
    scale = max(1.0, *(np.abs(e).max() for e in expected))
    for v, e in zip(problem.variables(), expected, strict=True):
        np.testing.assert_allclose(dense(v.delta), e, atol=1e-6 * scale, err_msg=v.name())
    weights = [rng.standard_normal(v.shape) for v in problem.variables()]
    for v, w in zip(problem.variables(), weights, strict=True):
        v.gradient = w
    problem.backward()
    pulled = sum(entries(p, p.gradient, d) for p, d in zip(problem.parameters(), directions, strict=True))
    pushed = sum(float(np.sum(w * e.real)) for w, e in zip(weights, expected, strict=True))
    assert pulled == pytest.approx(pushed, abs=1e-6 * scale * sum(w.size for w in weights))
    accuracy = problem.solver_stats.extra_stats["gradient"]
    assert accuracy["forward_residual"] < 1e-7 and accuracy["backward_residual"] < 1e-7


@quiet
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.dpp])
def test_against_diffcp(name: str) -> None:
    pytest.importorskip("diffcp")
    case, rng = CASES[name], np.random.default_rng(2)
    problem = case.problem()
    deltas = [direction(p, rng) for p in problem.parameters()]
    found = []
    for how in ({"solver": cp.DIFFCP, **DIFFCP}, {"solver": SOLVER}):
        problem.solve(gp=case.gp, requires_grad=True, **how)
        for p, d in zip(problem.parameters(), deltas, strict=True):
            p.delta = d
        problem.derivative()
        problem.backward()
        found.append(
            [dense(v.delta) for v in problem.variables()] + [dense(p.gradient) for p in problem.parameters()]
        )
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("lane", ["assembled", "matrix_free"])
def test_lanes_agree(lane: str) -> None:
    found = []
    for how in ("auto", lane):
        problem = denoising()
        problem.solve(solver=SOLVER, requires_grad=True, lane=how)
        problem.backward()
        problem.derivative()
        (x,), (noisy, weight) = problem.variables(), problem.parameters()
        found.append([noisy.gradient, weight.gradient, x.delta])
        pulled = np.sum(noisy.gradient * noisy.delta) + weight.gradient
        assert float(np.sum(x.gradient * x.delta)) == pytest.approx(float(pulled), rel=1e-6)
    for first, second in zip(*found, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_symmetric_and_sparse_leaves() -> None:
    problem = CASES["symmetric_parameter"].problem()
    (C,), (X,) = problem.parameters(), problem.variables()
    problem.solve(solver=SOLVER, requires_grad=True)
    X.gradient = np.triu(np.ones((3, 3)))
    problem.backward()
    np.testing.assert_array_equal(C.gradient, C.gradient.T)
    C.delta = np.array([[0.0, 1, 0], [5, 0, 0], [5, 5, 0]])  # the upper triangle counts
    problem.derivative()
    np.testing.assert_array_equal(X.delta, X.delta.T)
    first = X.delta
    C.delta = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    problem.derivative()
    np.testing.assert_allclose(X.delta, first, atol=1e-12)
    problem = CASES["diagonal_parameter_and_variable"].problem()
    problem.solve(solver=SOLVER, requires_grad=True)
    problem.backward()
    problem.derivative()
    assert all(sp.issparse(leaf) for leaf in [p.gradient for p in problem.parameters()])
    assert [sp.issparse(v.delta) for v in problem.variables()] == [
        v.attributes["diag"] for v in problem.variables()
    ]


@pytest.mark.filterwarnings("ignore:The problem includes expressions that don't support CPP")
def test_batches_of_symmetric_variables() -> None:
    X, p = cp.Variable((2, 2, 2), symmetric=True), cp.Parameter(nonneg=True, value=1.0)
    problem = cp.Problem(cp.Minimize(p * cp.sum(X)), [X >> np.eye(2)])
    problem.solve(solver=SOLVER, requires_grad=True)
    X.gradient = np.ones((2, 2, 2))
    problem.backward()
    assert np.isfinite(p.gradient)
    p.delta = 1e-4
    problem.derivative()
    np.testing.assert_allclose(X.delta, np.swapaxes(X.delta, -2, -1), atol=1e-6)
