"""The solver for cvxpylayers: gradients by differences, results and gradients of its own solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("cvxpylayers")

from cvxpylayers.torch import CvxpyLayer

from cvxprox.layers.cvxpylayers_plugin import CvxpyLayersSolver

Built = tuple[cp.Problem, list[cp.Parameter], list[Any], list[np.ndarray]]
TIGHT = {"eps_abs": 1e-9, "eps_rel": 1e-9}


def quadratic(rng: np.random.Generator) -> Built:
    L, q, A = cp.Parameter((3, 3)), cp.Parameter(3), cp.Parameter((2, 3))
    x = cp.Variable(3)
    inequality, equality = A @ x <= 0.1, cp.sum(x) == 1
    problem = cp.Problem(cp.Minimize(cp.sum_squares(L @ x) + q @ x), [inequality, equality])
    values = [
        np.eye(3) + 0.3 * rng.standard_normal((3, 3)),
        rng.standard_normal(3),
        rng.standard_normal((2, 3)),
    ]
    return problem, [L, q, A], [x, inequality.dual_variables[0], equality.dual_variables[0]], values


def regularised(rng: np.random.Generator) -> Built:
    b, weight, X = cp.Parameter((2, 3)), cp.Parameter(nonneg=True), cp.Variable((2, 3))
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - b) + weight * cp.norm1(X) + 0.5 * cp.norm(X[0])))
    return problem, [weight, b], [X], [np.array(0.4), 2 * rng.standard_normal((2, 3))]


def cones(rng: np.random.Generator) -> Built:
    c, r, x = cp.Parameter(3), cp.Parameter(pos=True), cp.Variable(3)
    ball, exponential = cp.SOC(r, x), cp.exp(x[0]) <= 1.2
    problem = cp.Problem(cp.Maximize(c @ x), [ball, exponential])
    return (
        problem,
        [c, r],
        [x, ball.dual_variables[0], ball.dual_variables[1]],
        [np.array([1.0, 0.5, -1]), np.array(1.5)],
    )


def semidefinite(rng: np.random.Generator) -> Built:
    C, X = cp.Parameter((3, 3), symmetric=True), cp.Variable((3, 3), symmetric=True)
    positive = X >> 0
    problem = cp.Problem(cp.Minimize(cp.trace(C @ X) + cp.sum_squares(X)), [positive, cp.trace(X) == 1])
    M = rng.standard_normal((3, 3))
    return problem, [C], [X, positive.dual_variables[0]], [M + M.T]


PROBLEMS: list[Callable[[np.random.Generator], Built]] = [quadratic, regularised, cones, semidefinite]


def symmetric_copies(parameters: list[cp.Parameter], values: list[Tensor]) -> list[Tensor]:
    """Parameters declared symmetric move only symmetrically."""
    return [
        (v + v.mT) / 2 if p.attributes["symmetric"] else v for p, v in zip(parameters, values, strict=True)
    ]


@pytest.mark.parametrize("build", PROBLEMS)
@pytest.mark.parametrize("batched", [None, "all", "first"])
def test_gradients(build: Callable[[np.random.Generator], Built], batched: str | None) -> None:
    rng = np.random.default_rng(0)
    problem, parameters, variables, values = build(rng)
    layer = CvxpyLayer(problem, parameters, variables, solver=CvxpyLayersSolver(**TIGHT))
    tensors = []
    for i, v in enumerate(values):
        if batched == "all" or (batched and i == 0):
            v = np.stack([v, 1.1 * v])
        tensors.append(torch.tensor(v, requires_grad=True))

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        results: tuple[Tensor, ...] = layer(*symmetric_copies(parameters, list(given)))
        return results

    for v, result in zip(variables, run(*tensors), strict=True):
        assert result.shape == ((2, *v.shape) if batched else v.shape)
    assert torch.autograd.gradcheck(
        run, tensors, eps=1e-6, atol=2e-5, rtol=1e-4, fast_mode=batched is not None
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # in cvxpylayers
@pytest.mark.parametrize("build", PROBLEMS)
def test_the_same_as_diffcp(build: Callable[[np.random.Generator], Built]) -> None:
    pytest.importorskip("diffcp")
    found = []
    for solver, arguments in ((CvxpyLayersSolver(), {}), (None, {"eps": 1e-10, "max_iters": 100_000})):
        problem, parameters, variables, values = build(np.random.default_rng(0))
        tensors = [torch.tensor(np.stack([v, 1.1 * v]), requires_grad=True) for v in values]
        layer = CvxpyLayer(problem, parameters, variables, solver=solver)
        results = layer(*symmetric_copies(parameters, tensors), solver_args=arguments)
        sum((r**2).sum() for r in results).backward()
        found.append([*(r.detach() for r in results), *(t.grad for t in tensors)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_geometric_programs() -> None:
    x, y = cp.Variable(pos=True), cp.Variable(pos=True)
    a, b = cp.Parameter(pos=True), cp.Parameter(pos=True)
    problem = cp.Problem(cp.Minimize(x * y), [y / a <= x, y >= b])
    layer = CvxpyLayer(problem, [a, b], [x, y], solver=CvxpyLayersSolver(**TIGHT), gp=True)
    given = [torch.tensor([3.0, 2.0], dtype=torch.float64, requires_grad=True),
             torch.tensor(0.5, dtype=torch.float64, requires_grad=True)]  # fmt: skip
    found = layer(*given)
    torch.testing.assert_close(found[0], given[1] / given[0], atol=1e-7, rtol=0)
    assert torch.autograd.gradcheck(layer, given, atol=1e-5)


def test_quadratic_forms_of_a_parameter() -> None:
    Q, x = cp.Parameter((2, 2), PSD=True), cp.Variable(2)
    problem = cp.Problem(cp.Minimize(cp.quad_form(x, Q) - 2 * cp.sum(x)))
    layer = CvxpyLayer(problem, [Q], [x], solver=CvxpyLayersSolver())
    matrix = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    (found,) = layer(matrix)
    torch.testing.assert_close(
        found, torch.linalg.solve(matrix, torch.ones(2, dtype=torch.float64)), atol=1e-7, rtol=0
    )


def test_diagonal_parameters_which_other_solvers_refuse() -> None:
    D, x = cp.Parameter((2, 2), diag=True), cp.Variable(2)
    layer = CvxpyLayer(
        cp.Problem(cp.Minimize(cp.sum_squares(D @ x - 1))), [D], [x], solver=CvxpyLayersSolver()
    )
    (found,) = layer(torch.diag(torch.tensor([2.0, 4.0], dtype=torch.float64)))
    torch.testing.assert_close(found, torch.tensor([0.5, 0.25], dtype=torch.float64), atol=1e-7, rtol=0)


def test_two_layers_of_one_solver() -> None:
    solver, layers = CvxpyLayersSolver(), []
    for sign in (1.0, -1.0):
        x, p = cp.Variable(2), cp.Parameter(2)
        layers.append(
            CvxpyLayer(cp.Problem(cp.Minimize(cp.sum_squares(x - sign * p))), [p], [x], solver=solver)
        )
    p = torch.tensor([1.0, 2.0], dtype=torch.float64)
    for sign, layer in zip((1.0, -1.0), layers, strict=True):
        torch.testing.assert_close(layer(p)[0], sign * p, atol=1e-7, rtol=0)


def test_single_precision() -> None:
    problem, parameters, variables, values = regularised(np.random.default_rng(0))
    layer = CvxpyLayer(problem, parameters, variables, solver=CvxpyLayersSolver())
    tensors = [torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in values]
    layer(*tensors)[0].sum().backward()
    assert all(t.grad is not None and t.grad.dtype == torch.float32 for t in tensors)


def test_samples_that_fail_are_named() -> None:
    x, p = cp.Variable(), cp.Parameter()
    problem = cp.Problem(cp.Minimize(x), [x >= p, x <= 1])
    layer = CvxpyLayer(problem, [p], [x], solver=CvxpyLayersSolver())
    with pytest.warns(RuntimeWarning, match="1 of 3 samples failed: 1"):
        (found,) = layer(torch.tensor([0.0, 2.0, -1.0], dtype=torch.float64))
    np.testing.assert_allclose(found, [0.0, np.nan, -1.0], atol=1e-6)


def test_options() -> None:
    with pytest.raises(ValueError, match="no option"):
        CvxpyLayersSolver(epsilon=1.0)
    x, p = cp.Variable(), cp.Parameter()
    problem = cp.Problem(cp.Minimize(cp.square(x - p)))
    solver = CvxpyLayersSolver()
    layer = CvxpyLayer(problem, [p], [x], solver=solver)
    with pytest.raises(ValueError, match="no option"):
        layer(torch.tensor(1.0), solver_args={"epsilon": 1.0})
    with pytest.raises(ValueError, match="no option"):
        CvxpyLayer(problem, [p], [x], solver=solver, solver_args={"epsilon": 1.0})
