"""Programs with matrices as functions of tensors, their accurate solutions, and J written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox import prox
from cvxprox.algorithms import Point, Session, solve_program
from cvxprox.differentiation.base import Run, Task
from cvxprox.operators import (
    Convolution,
    FiniteDifference,
    LinearOperator,
    OnSlice,
    SparseEntries,
    SquareOnSlice,
    Stacked,
    as_dense,
    gram,
)
from cvxprox.options import Options
from cvxprox.program import Block, ProxProgram
from cvxprox.status import Status

F64 = torch.float64
INF = math.inf


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def entries(matrix: Tensor) -> SparseEntries:
    """The nonzero entries of a dense matrix, with its graph."""
    pattern = sp.csr_array(matrix.detach().numpy())
    row, column = (torch.from_numpy(i.astype(np.int64)) for i in pattern.tocoo().coords)
    return SparseEntries(pattern, matrix[row, column])


Rows = tuple[prox.ProxFunction, tuple[int, ...], "Tensor | None"]


def build(P: Tensor | None, q: Tensor, K: Tensor, b: Tensor, *rows: Rows) -> ProxProgram:
    """A program from dense matrices and ``(function, shape, weight)`` of its blocks."""
    blocks, start = [], 0
    for function, shape, weight in rows:
        stop = start + math.prod(shape)
        blocks.append(Block(function, start, stop, shape, weight))
        start = stop
    quadratic = None if P is None else entries(P)
    return ProxProgram(quadratic, q, 0.0, entries(K), b, tuple(blocks))


@dataclass(frozen=True)
class Case:
    """A program as a function of tensors, and tensors at which its solution is regular."""

    program: Callable[..., ProxProgram]
    theta: tuple[Tensor, ...]

    def task(self, *theta: Tensor) -> Task:
        program = self.program(*(theta or self.theta))
        return Task(program, frozen(program))

    def solve(self, *theta: Tensor) -> tuple[Task, Run]:
        task = self.task(*theta)
        return task, solved(task.frozen)


def frozen(program: ProxProgram) -> ProxProgram:
    def plain(K: LinearOperator | None) -> LinearOperator | None:
        return K.frozen() if isinstance(K, SparseEntries) else K

    blocks = tuple(
        replace(
            block,
            function=_without_graph(block.function),
            weight=None if block.weight is None else block.weight.detach(),
        )
        for block in program.blocks
    )
    P, K, q, b = plain(program.P), plain(program.K), program.q.detach(), program.b.detach()
    assert K is not None
    return replace(program, P=P, K=K, q=q, b=b, blocks=blocks)


def _without_graph(function: prox.ProxFunction) -> prox.ProxFunction:
    tensors = {name: v.detach() for name, v in vars(function).items() if isinstance(v, Tensor)}
    return replace(function, **tensors)


def solved(program: ProxProgram, eps: float = 1e-11, max_iter: int = 200_000) -> Run:
    """An accurate solution."""
    options = Options().with_changes({"eps_abs": eps, "eps_rel": eps, "max_iter": max_iter})
    session = Session.start(program, options)
    result = solve_program(session)
    assert result.status in (Status.OPTIMAL, Status.OPTIMAL_INACCURATE), result.status
    largest = max(result.residuals.primal, result.residuals.dual)
    rho = session.metric.rho(session.multiplier)
    return Run(result.point, (result.status,), torch.tensor(largest), result.iterations, rho)


def dense_J(program: ProxProgram, point: Point, rho: Tensor) -> np.ndarray:
    """J by its definition."""
    n, m = program.variables, program.rows
    K = as_dense(program.K).detach().numpy()
    P = np.zeros((n, n)) if program.P is None else as_dense(program.P).detach().numpy()
    v, steps = point.z + point.y / rho, program.steps(rho)
    D = torch.autograd.functional.jacobian(lambda v: program.prox(v, steps), v).numpy()
    return np.block([[P, K.T * rho.numpy() @ (np.eye(m) - D)], [K, -D]])


def qp(F: Tensor, q: Tensor, A: Tensor, upper: Tensor) -> ProxProgram:
    lower = torch.tensor([-INF, -INF, -INF, 0.3, -1.0], dtype=F64)
    upper = torch.cat([upper, lower.new_tensor([0.3, 1.0])])
    return build(F.mT @ F, q, A, randn(5, seed=9) / 10, (prox.Box(lower, upper), (5,), None))


def fitted(A: Tensor, target: Tensor, rows: Rows) -> ProxProgram:
    """Least squares and a term in x."""
    n = A.shape[1]
    return build(A.mT @ A, -A.mT @ target, torch.eye(n, dtype=F64), torch.zeros(n, dtype=F64), rows)


def lasso(A: Tensor, target: Tensor, weight: Tensor) -> ProxProgram:
    return fitted(A, target, (prox.Abs(), (A.shape[1],), weight))


def cones(q: Tensor, A: Tensor, b: Tensor) -> ProxProgram:
    return build(torch.eye(5, dtype=F64), q, A, b, (prox.SecondOrderCone(), (2, 3), None))


def semidefinite(q: Tensor, A: Tensor, b: Tensor) -> ProxProgram:
    """A matrix of order 3 with an equation."""
    K, zero = torch.cat([torch.eye(6, dtype=F64), A]), torch.zeros(1, dtype=F64)
    b = torch.cat([torch.zeros(6, dtype=F64), b])
    cone = (prox.PsdCone(3), (1, 6), None)
    return build(0.5 * torch.eye(6, dtype=F64), q, K, b, cone, (prox.Box(zero, zero), (1,), None))


def exponential(q: Tensor, A: Tensor, b: Tensor) -> ProxProgram:
    return build(torch.eye(4, dtype=F64), q, A, b, (prox.ExponentialCone(), (2, 3), None))


def robust(A: Tensor, target: Tensor, weight: Tensor, q: Tensor) -> ProxProgram:
    n = A.shape[1]
    return build(0.1 * torch.eye(n, dtype=F64), q, A, -target, (prox.Huber(), (A.shape[0],), weight))


def grouped(A: Tensor, target: Tensor, weight: Tensor) -> ProxProgram:
    return fitted(A, target, (prox.Norm2(), (3, 2), weight))


def smooth(A: Tensor, b: Tensor, weight: Tensor, q: Tensor) -> ProxProgram:
    """A logistic loss of some rows and the log-sum-exp of others."""
    terms = (prox.Logistic(), (4,), weight), (prox.LogSumExp(), (1, 3), weight[:1])
    return build(0.1 * torch.eye(4, dtype=F64), q, A, b, *terms)


CASES = {
    "qp": Case(qp, (randn(5, 5), 3 * randn(5, seed=1), randn(5, 5, seed=2), randn(3, seed=3).abs() / 5)),
    "lasso": Case(lasso, (randn(8, 6), 2 * randn(8, seed=1), torch.linspace(0.5, 3.0, 6, dtype=F64))),
    "socp": Case(cones, (3 * randn(5), randn(6, 5, seed=1), randn(6, seed=2))),
    "psd": Case(semidefinite, (2 * randn(6), randn(1, 6, seed=1), randn(1, seed=2))),
    "exponential": Case(exponential, (2 * randn(4), randn(6, 4, seed=1), randn(6, seed=2))),
    "huber": Case(
        robust, (randn(7, 4), 2 * randn(7, seed=1), torch.linspace(0.5, 2.0, 7, dtype=F64), randn(4, seed=2))
    ),
    "smooth": Case(
        smooth, (randn(7, 4), randn(7, seed=1), torch.linspace(0.5, 2.0, 4, dtype=F64), randn(4, seed=2) / 5)
    ),
    "grouped": Case(grouped, (randn(8, 6), 2 * randn(8, seed=1), torch.tensor([0.5, 2.0, 9.0], dtype=F64))),
}


def total_variation(size: int) -> Case:
    """Deblurring: the kernel, the image seen and the weight."""
    shape = (size, size)
    n = size * size
    x = torch.linspace(-1, 1, size, dtype=F64)
    truth = ((x[:, None] ** 2 + x**2) < 0.5).to(F64) + 0.3 * (x > 0.2)
    kernel = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.5, 0.2], [0.0, 0.1, 0.0]], dtype=F64)
    image = Convolution(kernel, shape, "circular").forward(truth) + 0.05 * randn(*shape)

    def program(kernel: Tensor, image: Tensor, weight: Tensor) -> ProxProgram:
        A = Convolution(kernel, shape, "circular")
        D = FiniteDifference(shape, None, "circular")
        block = Block(prox.Norm2(), 0, 2 * n, (n, 2), weight.expand(n), leading=True)
        K = Stacked((OnSlice(D, 0, n),))
        b = torch.zeros(2 * n, dtype=F64)
        return ProxProgram(SquareOnSlice(gram(A), 0, n), -A.adjoint(image).reshape(-1), 0.0, K, b, (block,))

    return Case(program, (kernel, image, torch.tensor(0.1, dtype=F64)))
