"""The documented examples of cvxpylayers, and kinds of parameters, against finite differences."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import cvxpy as cp
import numpy as np
import pytest
import torch

import cvxprox

from .documented import DOCUMENTED
from .problems import CASES, DOUBLE, least_absolute, normal


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    layer, tensors = CASES[name]()
    inputs = tuple(t.clone().requires_grad_(True) for t in tensors)
    assert torch.autograd.gradcheck(layer, inputs, eps=1e-5, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_examples_have_exact_directional_derivatives(name: str) -> None:
    layer, tensors = DOCUMENTED[name]()
    directions = [normal(*t.shape, seed=k) for k, t in enumerate(tensors)]
    inputs = [t.clone().requires_grad_(True) for t in tensors]
    weights = [normal(*result.shape, seed=9) for result in layer(*tensors)]

    def value(*given: torch.Tensor) -> torch.Tensor:
        return torch.stack([(x * w).sum() for x, w in zip(layer(*given), weights, strict=True)]).sum()

    value(*inputs).backward()
    found = sum(float((t.grad * d).sum()) for t, d in zip(inputs, directions, strict=True))
    step = 1e-5
    with torch.no_grad():
        ends = [
            value(*(t + sign * step * d for t, d in zip(tensors, directions, strict=True)))
            for sign in (1, -1)
        ]
    expected = float(ends[0] - ends[1]) / (2 * step)
    assert abs(found - expected) < 1e-6 * (1 + abs(expected)) and abs(expected) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_solutions_are_those_of_another_solver(name: str) -> None:
    layer, tensors = CASES[name]()
    found = layer(*tensors)
    for parameter, tensor in zip(layer.parameters_given, tensors, strict=True):
        parameter.value = tensor.numpy()
    layer.problem.solve(solver="CLARABEL", gp=layer.function.gp, ignore_dpp=True)
    for variable, value in zip(layer.variables, found, strict=True):
        np.testing.assert_allclose(value.numpy(), variable.value, atol=2e-5)


def test_activations_are_optimisation_problems() -> None:
    x, y, data = cp.Parameter(4), cp.Variable(4), normal(5, 4)
    problems = {
        "relu": (cp.Minimize(cp.sum_squares(y - x)), [y >= 0], torch.relu),
        "sigmoid": (cp.Minimize(-x @ y - cp.sum(cp.entr(y) + cp.entr(1 - y))), [], torch.sigmoid),
        "softmax": (cp.Maximize(x @ y + cp.sum(cp.entr(y))), [cp.sum(y) == 1], lambda t: t.softmax(-1)),
    }
    for objective, constraints, expected in problems.values():
        layer = cvxprox.ProxLayer(cp.Problem(objective, constraints), [x], [y])
        mine, theirs = data.clone().requires_grad_(True), data.clone().requires_grad_(True)
        (value,), wanted = layer(mine), expected(theirs)
        torch.testing.assert_close(value, wanted, atol=1e-6, rtol=1e-5)
        (value * data).sum().backward()
        (wanted * data).sum().backward()
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=1e-4)


def test_the_layer_learns_by_gradient_descent() -> None:
    layer, (A, _) = least_absolute()
    target = torch.tensor([0.4, 0.9], dtype=DOUBLE)
    b = (A @ torch.tensor([1.0, 0.2], dtype=DOUBLE) + 0.1 * normal(3)).requires_grad_(True)
    optimiser = torch.optim.SGD([b], lr=0.1)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = (layer(A, b)[0] - target).square().sum()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


def test_duals_are_outputs_with_gradients() -> None:
    x, c = cp.Variable(3), cp.Parameter(3)
    constraints = [cp.sum(x) == 1, x >= 0]
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x) + c @ x), constraints)
    layer = cvxprox.ProxLayer(problem, [c], [x, constraints[0].dual_variables[0]], duals=[constraints[1]])
    data = torch.tensor([0.1, -0.2, 2.0], dtype=DOUBLE, requires_grad=True)
    value, equality, inequality = layer(data)
    c.value = data.detach().numpy()
    problem.solve(solver="CLARABEL")
    np.testing.assert_allclose(value.detach(), x.value, atol=1e-6)
    np.testing.assert_allclose(equality.detach(), constraints[0].dual_value, atol=1e-6)
    np.testing.assert_allclose(inequality.detach(), constraints[1].dual_value, atol=1e-6)
    assert torch.autograd.gradcheck(layer, (data,), eps=1e-5, atol=1e-4)
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        for own, other in zip(layer(data), clone(data), strict=True):
            torch.testing.assert_close(own, other)


def test_cones_have_several_duals() -> None:
    x, c = cp.Variable(2), cp.Parameter(2)
    cone = cp.SOC(cp.Constant(1.0), x)
    problem = cp.Problem(cp.Minimize(c @ x), [cone, x <= 10])
    layer = cvxprox.ProxLayer(problem, [c], [cone.dual_variables[1], x], duals=[cone])
    data = torch.tensor([3.0, 4.0], dtype=DOUBLE, requires_grad=True)
    vector, point, height, again = layer(data)
    torch.testing.assert_close(point.detach(), -data.detach() / 5, atol=1e-6, rtol=0)
    torch.testing.assert_close(again, vector)
    c.value = data.detach().numpy()
    problem.solve(solver="CLARABEL")
    np.testing.assert_allclose(height.detach(), cone.dual_value[0], atol=1e-5)
    np.testing.assert_allclose(vector.detach().ravel(), np.ravel(cone.dual_value[1]), atol=1e-5)
    assert cone.dual_variables[0].value is not None
    (slope,) = torch.autograd.grad(height.sum(), data)
    torch.testing.assert_close(slope, data.detach() / 5, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["symmetric", "PSD", "diag", "sparsity"])
def test_only_the_part_with_the_attribute_counts(kind: str) -> None:
    pattern = ([0, 1, 2], [1, 1, 0])
    matrices = {
        "symmetric": np.array([[2.0, 1, 0], [1, -1, 0.5], [0, 0.5, 1]]),
        "PSD": np.array([[2.0, 1, 0], [1, 3, 0.5], [0, 0.5, 1]]),
        "diag": np.diag([1.0, 2.0, 3.0]),
        "sparsity": np.array([[0, 1.5, 0], [0, -1, 0], [2.0, 0, 0]]),
    }
    S = cp.Parameter((3, 3), **{kind: pattern if kind == "sparsity" else True})
    x = cp.Variable(3)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(S @ x - np.ones(3)) + 0.5 * cp.sum_squares(x)), [x <= 0.4]
    )
    layer = cvxprox.ProxLayer(problem, [S], [x])
    tensor = torch.from_numpy(matrices[kind]).requires_grad_(True)
    dense = cp.Variable(3)
    plain = cp.sum_squares(matrices[kind] @ dense - np.ones(3)) + 0.5 * cp.sum_squares(dense)
    cp.Problem(cp.Minimize(plain), [dense <= 0.4]).solve(solver="CLARABEL")
    np.testing.assert_allclose(layer(tensor)[0].detach(), dense.value, atol=5e-5)
    assert torch.autograd.gradcheck(layer, (tensor,), eps=1e-6, atol=1e-4)
    (gradient,) = torch.autograd.grad(layer(tensor)[0].sum(), tensor)
    if kind in ("symmetric", "PSD"):
        torch.testing.assert_close(gradient, gradient.T)
    else:
        assert not gradient[tensor.detach() == 0].any()


@pytest.mark.parametrize("norm", [cp.norm, cp.norm1, cp.norm_inf])
def test_duals_of_norm_balls(norm: Callable[[cp.Variable], cp.Expression]) -> None:
    x, p, r = cp.Variable(3), cp.Parameter(3), cp.Parameter(nonneg=True)
    ball = norm(x) <= r
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [ball])
    layer = cvxprox.ProxLayer(problem, [p, r], [x], duals=[ball])
    point, radius = (
        torch.tensor([3.0, 0.1, -2.5], dtype=torch.float64),
        torch.tensor(1.0, dtype=torch.float64),
    )
    _, dual = layer(point, radius)
    p.value, r.value = point.numpy(), 1.0
    problem.solve(solver="CLARABEL")
    assert float(dual) == pytest.approx(float(ball.dual_value), rel=1e-6)
    assert torch.autograd.gradcheck(layer, (point.requires_grad_(), radius.requires_grad_()))
