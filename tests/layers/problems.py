"""Layers of the tests, with what their tensors may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cvxpy as cp
import torch
from torch import Tensor

import cvxprox

DOUBLE = torch.float64


class Case(NamedTuple):
    """A layer and one set of tensors for it."""

    layer: cvxprox.ProxLayer
    tensors: tuple[Tensor, ...]


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Numbers of a standard normal distribution."""
    return torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def least_absolute() -> Case:
    """The example of cvxpylayers' documentation: an absolute error over the positive orthant."""
    x, A, b = cp.Variable(2), cp.Parameter((3, 2)), cp.Parameter(3)
    problem = cp.Problem(cp.Minimize(cp.pnorm(A @ x - b, p=1)), [x >= 0])
    return Case(cvxprox.ProxLayer(problem, [A, b], [x]), (normal(3, 2, seed=1), normal(3, seed=2)))


def quadratic_program() -> Case:
    """The layer of OptNet: a quadratic program, all of it data."""
    n, m, p = 4, 2, 3
    z = cp.Variable(n)
    L, q, A, b = cp.Parameter((n, n)), cp.Parameter(n), cp.Parameter((m, n)), cp.Parameter(m)
    G, h = cp.Parameter((p, n)), cp.Parameter(p)
    cost = 0.5 * cp.sum_squares(L @ z) + q @ z
    problem = cp.Problem(cp.Minimize(cost), [A @ z == b, G @ z <= h])
    point = normal(n, seed=8)
    data = (normal(n, n, seed=3), normal(n, seed=4), normal(m, n, seed=5), normal(p, n, seed=6))
    tensors = (*data[:3], data[2] @ point, data[3], data[3] @ point + 0.3)
    return Case(cvxprox.ProxLayer(problem, [L, q, A, b, G, h], [z]), tensors)


def control() -> Case:
    """A control policy: one step of a linear system, with a bound on the input."""
    n, m = 3, 2
    u, x, root, A, B = (
        cp.Variable(m),
        cp.Parameter(n),
        cp.Parameter((n, n)),
        normal(n, n),
        normal(n, m, seed=1),
    )
    following = A.numpy() @ x + B.numpy() @ u
    lifted = cp.Variable(n)
    cost = cp.sum_squares(root @ lifted) + cp.sum_squares(u)
    problem = cp.Problem(cp.Minimize(cost), [lifted == following, cp.norm(u) <= 0.5])
    return Case(cvxprox.ProxLayer(problem, [x, root], [u]), (3 * normal(n, seed=2), normal(n, n, seed=3)))


def monotonic() -> Case:
    """Monotonic regression."""
    x, y = cp.Variable(5), cp.Parameter(5)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - y)), [cp.diff(x) >= 0])
    return Case(
        cvxprox.ProxLayer(problem, [y], [x]), (torch.tensor([1.0, 3.0, 2.0, 2.9, 4.0], dtype=DOUBLE),)
    )


def geometric() -> Case:
    """The geometric program of cvxpylayers' documentation."""
    x, y, z = (cp.Variable(pos=True) for _ in range(3))
    a, b, c = cp.Parameter(pos=True), cp.Parameter(pos=True), cp.Parameter()
    problem = cp.Problem(cp.Minimize(1 / (x * y * z)), [a * (x * y + x * z + y * z) <= b, x >= y**c])
    tensors = tuple(torch.tensor(value, dtype=DOUBLE) for value in (2.0, 1.0, 0.5))
    return Case(cvxprox.ProxLayer(problem, [a, b, c], [x, y, z], gp=True), tensors)


def logistic_regression() -> Case:
    """The weights of a classifier as a function of its data."""
    X, y = normal(8, 2, seed=4), (normal(8, seed=5) > 0).double() * 2 - 1
    w, data = cp.Variable(2), cp.Parameter((8, 2))
    loss = cp.sum(cp.logistic(-cp.multiply(y.numpy(), data @ w))) + 0.5 * cp.sum_squares(w)
    return Case(cvxprox.ProxLayer(cp.Problem(cp.Minimize(loss)), [data], [w]), (X,))


def semidefinite() -> Case:
    """A small semidefinite program with a symmetric parameter: the nearest matrix of trace one."""
    X, C = cp.Variable((2, 2), PSD=True), cp.Parameter((2, 2), symmetric=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(X - C)), [cp.trace(X) == 1])
    return Case(
        cvxprox.ProxLayer(problem, [C], [X]), (torch.tensor([[2.0, 0.3], [0.3, -1.0]], dtype=DOUBLE),)
    )


def not_dpp() -> Case:
    """A product of parameters, and a quotient."""
    x, a, b = cp.Variable(2), cp.Parameter(2), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - a * b) + cp.norm1(x) / (1 + b)))
    return Case(
        cvxprox.ProxLayer(problem, [a, b], [x]),
        (torch.tensor([1.0, -2.0]).double(), torch.tensor(1.5).double()),
    )


def complex_parameter() -> Case:
    """A complex parameter and a complex variable."""
    x, y = cp.Variable(2, complex=True), cp.Parameter(2, complex=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - y) + cp.norm(x)), [cp.real(x) >= 0.2])
    return Case(
        cvxprox.ProxLayer(problem, [y], [x]), (torch.tensor([1 + 2j, -1 + 0.5j], dtype=torch.complex128),)
    )


CASES: dict[str, Callable[[], Case]] = {
    function.__name__: function
    for function in (
        least_absolute, quadratic_program, control, monotonic, geometric, logistic_regression, semidefinite,
        not_dpp, complex_parameter,
    )
}  # fmt: skip
