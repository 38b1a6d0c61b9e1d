"""Batches of dense programs as functions of tensors, and the same samples in CVXPY."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor

from cvxprox import prox
from cvxprox.differentiation import Task
from cvxprox.operators import Matrix
from cvxprox.program import Block, ProxProgram

F64 = torch.float64
INF = math.inf
SAMPLES, N, M = 5, 6, 8

Rows = tuple[prox.ProxFunction, tuple[int, ...], Tensor | None]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape))


def program(P: Tensor | None, q: Tensor, K: Tensor, b: Tensor, *rows: Rows, **layout: bool) -> ProxProgram:
    """A program of dense matrices, with a batch or shared, and of ``(function, shape, weight)``."""
    blocks, start = [], 0
    for function, shape, weight in rows:
        stop = start + math.prod(shape)
        blocks.append(Block(function, start, stop, shape, weight, **layout))
        start = stop
    return ProxProgram(None if P is None else Matrix(P), q, 0.0, Matrix(K), b, tuple(blocks))


def between(lower: float | Tensor, upper: float | Tensor) -> prox.Box:
    low, high = (torch.as_tensor(t, dtype=F64) for t in (lower, upper))
    return prox.Box(low, high)


def constant(value: float) -> Tensor:
    return torch.tensor(value, dtype=F64)


Terms = tuple[Any, list[Any]]
"""What the functions of a sample add to the objective, and the constraints that they are."""


@dataclass(frozen=True)
class Case:
    """A batch of programs.

    `build` makes it of `theta`; ``terms(i, z)`` are the functions of sample i in CVXPY.
    """

    build: Callable[..., ProxProgram]
    theta: tuple[Tensor, ...]
    terms: Callable[[int, Any], Terms]

    def task(self, *theta: Tensor) -> Task:
        theta = theta or self.theta
        return Task(self.build(*theta), self.build(*(t.detach() for t in theta)))

    def optimum(self, i: int) -> tuple[float, np.ndarray]:
        """The value and the solution of sample i, by Clarabel."""
        frozen = self.build(*self.theta)
        x = cp.Variable(frozen.variables)
        K, b = sample(frozen.K.matrix, i, 2), frozen.b[i].numpy()
        objective, constraints = self.terms(i, K @ x + b)
        objective = objective + frozen.q[i].numpy() @ x
        if frozen.P is not None:
            objective = objective + 0.5 * cp.quad_form(x, cp.psd_wrap(sample(frozen.P.matrix, i, 2)))
        problem = cp.Problem(cp.Minimize(objective), constraints)
        problem.solve(cp.CLARABEL)
        return problem.value, x.value


def sample(t: Tensor, i: int, own: int) -> np.ndarray:
    """Sample i of a tensor that has a batch or not."""
    return (t[i] if t.dim() > own else t).numpy()


def positive(samples: int = SAMPLES, n: int = N) -> Tensor:
    root = randn(samples, n, n, seed=1)
    return root.mT @ root + 0.2 * torch.eye(n, dtype=F64)


def qp() -> Case:
    """Two equations, four inequalities and two-sided bounds that differ from sample to sample."""
    inside = randn(SAMPLES, N, seed=2)
    A = randn(SAMPLES, M, N, seed=3)
    eye = torch.eye(N, dtype=F64).expand(SAMPLES, N, N)
    K = torch.cat([A[:, :6], eye], 1)
    upper = 0.3 * rand(SAMPLES, 4, seed=4)
    lower, high = inside - 0.2 * rand(SAMPLES, N, seed=5), inside + rand(SAMPLES, N, seed=6)
    b = torch.cat([-(A[:, :6] @ inside[..., None])[..., 0], torch.zeros(SAMPLES, N, dtype=F64)], 1)

    def build(P: Tensor, q: Tensor, K: Tensor, b: Tensor, upper: Tensor, lower: Tensor) -> ProxProgram:
        rows = (
            (between(0.0, 0.0), (2,), None),
            (between(-INF, upper), (4,), None),
            (between(lower, high), (N,), None),
        )
        return program(P, q, K, b, *rows)

    def terms(i: int, z: Any) -> Terms:
        bounds = [z[6:] >= lower[i].numpy(), z[6:] <= high[i].numpy()]
        return 0.0, [z[:2] == 0, z[2:6] <= upper[i].numpy(), *bounds]

    return Case(build, (positive(), 3 * randn(SAMPLES, N, seed=7), K, b, upper, lower), terms)


def shared_lasso() -> Case:
    """One P for all samples, K the identity: the l1 norm with a weight for every sample."""
    A = randn(4, N, seed=1)
    weight = 0.5 + rand(SAMPLES, 1, seed=2)
    zeros = torch.zeros(SAMPLES, N, dtype=F64)

    def build(P: Tensor, q: Tensor, weight: Tensor) -> ProxProgram:
        rows = (prox.Abs(), (N,), weight.expand(SAMPLES, N))
        return program(P, q, torch.eye(N, dtype=F64), zeros, rows)

    def terms(i: int, z: Any) -> Terms:
        return float(weight[i]) * cp.norm1(z), []

    return Case(build, (A.mT @ A, -3 * randn(SAMPLES, 4, seed=3) @ A, weight), terms)


def separable() -> Case:
    """The Huber function of two thresholds, squares and absolute values of images of x."""
    weight, m = 0.2 + rand(SAMPLES, M, seed=2), 0.2 + rand(SAMPLES, 3, seed=3)

    def build(q: Tensor, K: Tensor, b: Tensor, weight: Tensor, m: Tensor) -> ProxProgram:
        rows = (
            (prox.Huber(m), (3,), weight[:, :3]), (prox.Square(), (3,), weight[:, 3:6]),
            (prox.Abs(), (2,), weight[:, 6:]),
        )  # fmt: skip
        return program(positive(), q, K, b, *rows)

    def terms(i: int, z: Any) -> Terms:
        w = weight[i].numpy()
        value = sum(w[k] * cp.huber(z[k], float(m[i, k])) for k in range(3))
        return value + w[3:6] @ cp.square(z[3:6]) + w[6:] @ cp.abs(z[6:]), []

    theta = (3 * randn(SAMPLES, N, seed=4), randn(SAMPLES, M, N, seed=5), 2 * randn(SAMPLES, M, seed=6))
    return Case(build, (*theta, weight, m), terms)


def socp() -> Case:
    """A linear objective, an equation and two cones of four rows each."""
    inside, K = randn(SAMPLES, N, seed=1), randn(SAMPLES, 9, N, seed=2)
    image = (K @ inside[..., None])[..., 0]
    z = randn(SAMPLES, 2, 4, seed=3)
    z[..., 0] = z[..., 1:].norm(dim=-1) + 0.5
    dual = randn(SAMPLES, 2, 4, seed=4)
    dual[..., 0] = -dual[..., 1:].norm(dim=-1) - 0.5
    b = torch.cat([torch.zeros(SAMPLES, 1, dtype=F64), z.flatten(1)], 1) - image
    y = torch.cat([torch.ones(SAMPLES, 1, dtype=F64), dual.flatten(1)], 1)
    q = -(K.mT @ y[..., None])[..., 0]

    def build(q: Tensor, K: Tensor, b: Tensor) -> ProxProgram:
        cone = prox.SecondOrderCone()
        return program(
            None, q, K, b, (between(0.0, 0.0), (1,), None), (cone, (1, 4), None), (cone, (1, 4), None)
        )

    def terms(i: int, z: Any) -> Terms:
        return 0.0, [z[0] == 0, cp.SOC(z[1], z[2:5]), cp.SOC(z[5], z[6:9])]

    return Case(build, (q, K, b), terms)


def cones() -> Case:
    """A semidefinite matrix of order 3 and two exponential cones, stored component by component."""
    at = torch.tensor([2.0, 0, 2, 0, 0, 2, 0, 0.5, 1, 1, 3, 3], dtype=F64)

    def build(q: Tensor, K: Tensor, b: Tensor) -> ProxProgram:
        blocks = (
            Block(prox.PsdCone(3), 0, 6, (1, 6)),
            Block(prox.ExponentialCone(), 6, 12, (2, 3), leading=True),
        )  # fmt: skip
        return ProxProgram(Matrix(positive()), q, 0.0, Matrix(K), b, blocks)

    def terms(i: int, z: Any) -> Terms:
        root = math.sqrt(2)
        upper = [
            [z[0], z[1] / root, z[3] / root],
            [z[1] / root, z[2], z[4] / root],
            [z[3] / root, z[4] / root, z[5]],
        ]
        return 0.0, [cp.bmat(upper) >> 0, cp.ExpCone(z[6:8], z[8:10], z[10:12])]

    theta = (6 * randn(SAMPLES, N, seed=2), randn(SAMPLES, 12, N, seed=3), at.expand(SAMPLES, 12).clone())
    return Case(build, theta, terms)


def groups() -> Case:
    """Euclidean norms and a largest entry, with weights and matrices of all samples."""
    weight = torch.tensor([0.5, 4.0], dtype=F64)
    K = randn(M + 3, N, seed=3)

    def build(q: Tensor, b: Tensor, weight: Tensor) -> ProxProgram:
        rows = (prox.Norm2(), (2, 4), weight), (prox.Max(), (1, 3), weight[:1])
        return program(positive(), q, K, b, *rows)

    def terms(i: int, z: Any) -> Terms:
        w = weight.numpy()
        return w[0] * cp.norm(z[:4]) + w[1] * cp.norm(z[4:8]) + w[0] * cp.max(z[8:]), []

    return Case(build, (2 * randn(SAMPLES, N, seed=4), randn(SAMPLES, M + 3, seed=5), weight), terms)


CASES = {case.__name__: case() for case in (qp, shared_lasso, separable, socp, cones, groups)}
