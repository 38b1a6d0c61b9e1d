"""Programs that the tests of the numerical core share, and how they are made, scaled and run."""

from __future__ import annotations

import math
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox import prox
from cvxprox.algorithms import Result, Session, solve_program
from cvxprox.algorithms.scaling import Metric
from cvxprox.operators import SparseMatrix, as_dense
from cvxprox.options import Options
from cvxprox.program import Block, ProxProgram
from cvxprox.reductions.assemble import assemble

F64 = torch.float64
INF = math.inf
Rows = tuple[prox.ProxFunction, tuple[int, ...], "Tensor | None"]


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def build(
    K: Any, b: Tensor, rows: list[Rows], q: Tensor | None = None, P: Any = None, offset: float = 0.0
) -> ProxProgram:
    """A program from matrices and ``(function, shape, weight)`` of its blocks."""
    K = sp.csr_array(K)
    blocks, start = [], 0
    for function, shape, weight in rows:
        stop = start + math.prod(shape)
        blocks.append(Block(function, start, stop, shape, weight))
        start = stop
    assert start == K.shape[0] == b.numel()
    q = torch.zeros(K.shape[1], dtype=F64) if q is None else q
    quadratic = None if P is None else SparseMatrix(sp.csr_array(P))
    return ProxProgram(quadratic, q, offset, SparseMatrix(K), b, tuple(blocks))


def box(lower: Any, upper: Any) -> Rows:
    low, high = (torch.as_tensor(v, dtype=F64).reshape(-1) for v in (lower, upper))
    return prox.Box(low, high), (low.numel(),), None


def compiled(problem: cp.Problem) -> ProxProgram:
    """The program that the solver makes of a CVXPY problem."""
    data = problem.get_problem_data("NABLA_ADMM")[0]
    return assemble(data["numbers"], data["param_prob"].layout).program


def run(program: ProxProgram, **options: Any) -> Result:
    return solve_program(Session.start(program, Options().with_changes(options)))


def random_program(seed: int = 0, quadratic: bool = True) -> ProxProgram:
    """Equalities, intervals, bounds (some twice on a variable), an l1 term, cones; feasible and bounded."""
    rng = np.random.default_rng(seed)
    n, size = 9, 4
    scale = 10.0 ** rng.uniform(-1, 1, n)
    general = sp.random_array((6, n), density=0.5, rng=rng).toarray() + np.eye(6, n)
    bounds = np.eye(n)[[0, 1, 2, 2, 5]] * np.array([1.0, -2.0, 3.0, 0.5, 1.0])[:, None]
    terms = sp.random_array((5, n), density=0.4, rng=rng).toarray() * 3
    cones = rng.standard_normal((2 * size, n))
    K = np.vstack([general, bounds, terms, cones]) * scale
    x = rng.standard_normal(n) / scale
    b = torch.from_numpy(rng.standard_normal(len(K)))
    at_x = K @ x + b.numpy()
    low, high = at_x[:11] - rng.uniform(0, 1, 11), at_x[:11] + rng.uniform(0, 1, 11)
    low[:2] = high[:2] = at_x[:2]
    high[3], low[8] = INF, -INF
    for k in range(2):
        first = 16 + size * k
        b[first] += 0.3 + np.linalg.norm(at_x[first + 1 : first + size]) - at_x[first]
    weight = torch.from_numpy(rng.uniform(0.1, 2, 5))
    P = None
    if quadratic:
        factor = rng.standard_normal((4, n)) * scale
        P = factor.T @ factor
    rows: list[Rows] = [
        box(low, high),
        (prox.Abs(), (5,), weight),
        (prox.SecondOrderCone(), (2, size), None),
    ]
    q = torch.from_numpy(K.T @ rng.uniform(-0.1, 0.1, len(K)))
    return build(K, b, rows, q, P)


def only_rows(K: Any) -> ProxProgram:
    K = np.asarray(K, dtype=float)
    return build(K, torch.ones(len(K), dtype=F64), [box(-np.ones(len(K)), np.ones(len(K)))])


def plain_metric(program: ProxProgram) -> Metric:
    return Metric(torch.ones_like(program.q), torch.ones_like(program.b), 1.0)


def scaled(program: ProxProgram, metric: Metric) -> ProxProgram:
    """The equilibrated program, written out: boxes, l1 terms and second-order cones only."""
    D, E, c = sp.diags_array(metric.d.numpy()), sp.diags_array(metric.e.numpy()), metric.c
    rows: list[Rows] = []
    for block in program.blocks:
        e = metric.e[block.start : block.stop]
        if isinstance(block.function, prox.Box):
            rows.append(box(block.function.lower * e, block.function.upper * e))
        elif block.weight is not None:
            rows.append((block.function, block.shape, c * block.weight / e))
        else:
            rows.append((block.function, block.shape, None))
    P = None if program.P is None else c * D @ sp.csr_array(as_dense(program.P).numpy()) @ D
    K = E @ sp.csr_array(as_dense(program.K).numpy()) @ D
    return build(K, metric.e * program.b, rows, c * metric.d * program.q, P)


def quadratic_program() -> cp.Problem:
    rng = np.random.default_rng(0)
    x = cp.Variable(6)
    return cp.Problem(
        cp.Minimize(cp.sum_squares(rng.standard_normal((8, 6)) @ x - rng.standard_normal(8))),
        [cp.sum(x) == 1, x >= -0.1, x <= 0.4, rng.standard_normal((3, 6)) @ x <= 0.2],
    )
