"""Gradients through ``problem.solve``."""

from __future__ import annotations

import copy

import cvxpy as cp
import numpy as np
import pytest
import torch

import cvxprox

from .problems import DOUBLE


def projection(y: cp.Parameter) -> tuple[cp.Problem, cp.Variable]:
    """Onto the nonnegative vectors."""
    x = cp.Variable(3)
    return cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y)), [x >= 0]), x


def test_params_bind_tensors_for_one_solve() -> None:
    y = cp.Parameter(3)
    problem, x = projection(y)
    y.value = np.full(3, 7.0)
    data = torch.tensor([1.0, -2.0, 3.0], dtype=DOUBLE, requires_grad=True)
    problem.solve(solver="NABLA_ADMM", params={y: data})
    np.testing.assert_allclose(x.value, [1, 0, 3], atol=1e-6)
    np.testing.assert_array_equal(y.value, [7, 7, 7])
    torch.testing.assert_close(x.tensor.detach(), torch.tensor([1.0, 0, 3], dtype=DOUBLE), atol=1e-6, rtol=0)
    dual = problem.constraints[0].dual_variables[0].tensor
    (x.tensor.sum() + 10 * dual.sum()).backward()
    torch.testing.assert_close(data.grad, torch.tensor([1.0, -10, 1], dtype=DOUBLE), atol=1e-6, rtol=0)
    copied = copy.deepcopy(problem)
    assert copied.variables()[0].tensor is None
    problem.solve(solver="NABLA_ADMM")
    assert x.tensor is None
    np.testing.assert_allclose(x.value, [7, 7, 7], atol=1e-5)


def test_parameters_with_tensors_need_no_params() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    problem, x = projection(cvxprox.Parameter(3, value=2 * weight))
    problem.solve(solver="NABLA_ADMM")
    x.tensor.sum().backward()
    torch.testing.assert_close(weight.grad, torch.tensor([2.0, 0, 2]), atol=1e-5, rtol=0)
    with torch.no_grad():
        problem.solve(solver="NABLA_ADMM")
    assert x.tensor is None


def test_params_of_a_failed_solve() -> None:
    y, x = cp.Parameter(), cp.Variable()
    problem = cp.Problem(cp.Minimize(x), [x >= y, x <= 0])
    problem.solve(solver="NABLA_ADMM", params={y: torch.tensor(1.0)})
    assert problem.status == "infeasible" and x.tensor is None and y.value is None


def test_messages() -> None:
    y, other = cp.Parameter(3, name="y"), cp.Parameter(name="other")
    problem, _ = projection(y)
    with pytest.raises(
        ValueError, match=r"`other` of params= is not a parameter of the problem, which has `y`"
    ):
        problem.solve(solver="NABLA_ADMM", params={other: torch.tensor(1.0)})
    with pytest.raises(ValueError, match=r"batch dimensions \(2,\).*ProxLayer"):
        problem.solve(solver="NABLA_ADMM", params={y: torch.ones(2, 3)})
    with pytest.raises(ValueError, match=r'params= belongs to.*solver="NABLA_ADMM"'):
        problem.solve(solver="CLARABEL", params={y: torch.ones(3)})
    assert y.value is None
