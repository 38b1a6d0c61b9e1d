"""Problems of the examples that come with cvxpylayers, with batches of data."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import torch
from torch import Tensor

import cvxprox

from .problems import DOUBLE, Case, normal


def uniform(*shape: int, seed: int = 0) -> Tensor:
    """Numbers between 1/2 and 3/2."""
    return 0.5 + torch.rand(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def rectified() -> Case:
    """ReLU layers: a linear map as variables that are equal to parameters."""
    z, copy = cp.Variable(3), cp.Variable((3, 4))
    W, b, x = cp.Parameter((3, 4)), cp.Parameter(3), cp.Parameter(4)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(z - copy @ x - b)), [z >= 0, copy == W])
    return Case(cvxprox.ProxLayer(problem, [W, b, x], [z]), (normal(3, 4), normal(3), normal(6, 4, seed=1)))


def denoised() -> Case:
    """Signal denoising with a learned metric."""
    n = 8
    y, difference = cp.Variable(n), cp.Variable(n)
    x, metric, weight = cp.Parameter(n), cp.Parameter((n, n)), cp.Parameter(pos=True)
    cost = cp.sum_squares(metric @ difference) + weight * cp.sum_squares(cp.diff(y))
    layer = cvxprox.ProxLayer(cp.Problem(cp.Minimize(cost), [difference == x - y]), [x, metric, weight], [y])
    return Case(layer, (normal(3, n), torch.eye(n, dtype=DOUBLE) + 0.1 * normal(n, n), uniform()))


def predictive_control() -> Case:
    """Constrained model predictive control."""
    n, m, horizon = 3, 2, 4
    A, B = torch.eye(n, dtype=DOUBLE).numpy() + 0.05 * normal(n, n).numpy(), normal(n, m, seed=1).numpy()
    x, weights = cp.Parameter(n), cp.Parameter(n, nonneg=True)
    states = [cp.Variable(n) for _ in range(horizon)]
    controls = [cp.Variable(m) for _ in range(horizon)]
    cost = sum(
        cp.sum(cp.multiply(weights, cp.square(s))) + cp.sum_squares(c)
        for s, c in zip(states, controls, strict=True)
    )
    constraints = [states[0] == x, *(cp.norm(c, "inf") <= 0.6 for c in controls)]
    constraints += [states[t + 1] == A @ states[t] + B @ controls[t] for t in range(horizon - 1)]
    layer = cvxprox.ProxLayer(cp.Problem(cp.Minimize(cost), constraints), [x, weights], [controls[0]])
    return Case(layer, (normal(5, n, seed=2), uniform(n)))


def allocation() -> Case:
    """Resource allocation, with exponentials."""
    m = 4
    y, units, t = cp.Variable(m), cp.Variable(m), cp.Variable(m)
    alpha, inverse = cp.Parameter(m, nonneg=True), cp.Parameter(m, nonneg=True)
    budget = cp.Parameter(nonneg=True)
    constraints = [
        cp.sum(y) == budget,
        y >= 0,
        -cp.exp(-cp.multiply(alpha, units)) >= cp.multiply(alpha, t),
        units == cp.multiply(y, inverse),
    ]
    layer = cvxprox.ProxLayer(cp.Problem(cp.Maximize(cp.sum(t)), constraints), [budget, inverse, alpha], [y])
    return Case(layer, (torch.tensor(4.0, dtype=DOUBLE), uniform(2, m), uniform(m, seed=1)))


def policy() -> Case:
    """Convex approximate dynamic programming."""
    n, m = 2, 3
    x, root = cp.Parameter((n, 1)), cp.Parameter((m, m))
    P, q, u, y = cp.Parameter((n, m)), cp.Parameter((m, 1)), cp.Variable((m, 1)), cp.Variable((n, 1))
    cost = 0.5 * cp.sum_squares(root @ u) + x.T @ y + q.T @ u
    layer = cvxprox.ProxLayer(
        cp.Problem(cp.Minimize(cost), [cp.norm(u) <= 1, y == P @ u]), [x, root, P, q], [u]
    )
    return Case(layer, (normal(4, n, 1), normal(m, m, seed=1), normal(n, m, seed=2), normal(m, 1, seed=3)))


def poisoned() -> Case:
    """A data poisoning attack on logistic regression with two penalties."""
    m, n = 12, 2
    a, b, X = cp.Variable((n, 1)), cp.Variable((1, 1)), cp.Parameter((m, n))
    labels = (normal(m, 1, seed=1) > 0).double().numpy()
    fit = (1 / m) * cp.sum(cp.multiply(labels, X @ a + b) - cp.logistic(X @ a + b))
    problem = cp.Problem(cp.Maximize(fit - 0.01 * cp.norm(a, 1) - 0.1 * cp.sum_squares(a)))
    return Case(cvxprox.ProxLayer(problem, [X], [a, b]), (normal(m, n),))


def portfolio() -> Case:
    """A trading policy."""
    n = 4
    new, trade, risk = cp.Variable(n), cp.Variable(n), cp.Variable(n)
    old, alpha, S = cp.Parameter(n), cp.Parameter(n), cp.Parameter((n, n))
    short, cost, gamma = (cp.Parameter(1, nonneg=True) for _ in range(3))
    gain = alpha @ new - gamma * cp.sum_squares(risk)
    gain -= short * cp.sum(cp.neg(new)) + cost * cp.sum(cp.abs(trade))
    constraints = [
        cp.sum(new) == 1,
        cp.norm(new, 1) <= 1.5,
        cp.norm(new, "inf") <= 0.5,
        risk == S @ new,
        trade == new - old,
    ]
    problem = cp.Problem(cp.Maximize(gain), constraints)
    layer = cvxprox.ProxLayer(problem, [old, alpha, S, short, cost, gamma], [new, trade, risk])
    one = torch.ones(1, dtype=DOUBLE)
    return Case(
        layer,
        (uniform(3, n) / n, 0.1 * normal(n), 0.3 * normal(n, n, seed=1), 0.002 * one, 0.001 * one, 5 * one),
    )


DOCUMENTED: dict[str, Callable[[], Case]] = {
    function.__name__: function
    for function in (rectified, denoised, predictive_control, allocation, policy, poisoned, portfolio)
}
