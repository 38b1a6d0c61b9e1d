"""Programs without assembled matrices: their norms, penalties, checks and optima."""

from __future__ import annotations

import math
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from cvxprox import prox
from cvxprox.algorithms import (
    ALGORITHMS,
    Point,
    Residuals,
    Tolerances,
    program_is_assembled,
    residuals,
)
from cvxprox.algorithms.block_penalties import JointPenalty, block_penalties
from cvxprox.algorithms.checks import EveryFew, Foreseeing
from cvxprox.algorithms.primal_weight import PrimalWeight
from cvxprox.algorithms.residuals import LARGE
from cvxprox.algorithms.rows import coupling, curvature
from cvxprox.algorithms.scaling import equilibrate
from cvxprox.operators import (
    Convolution,
    FiniteDifference,
    Identity,
    LinearOperator,
    OnSlice,
    Scaled,
    SparseMatrix,
    SquareOnSlice,
    Stacked,
    Sum,
    as_dense,
    gram,
)
from cvxprox.program import Block, ProxProgram
from cvxprox.status import Status

from .programs import F64, plain_metric, random_program, run

SHAPE, N = (8, 6), 48
QUIET = Residuals(1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0)


def deblurring(bounded: bool = True, boundary: str = "circular") -> ProxProgram:
    """``|k * x - d|^2 + 0.3 tv(x)`` over the images x, with 0 <= x <= 1 and a variable of its own added."""
    rng = np.random.default_rng(0)
    blur = Convolution(torch.from_numpy(rng.uniform(0, 1, (3, 3))) / 4.5, SHAPE, boundary, (-2, -1))
    target = torch.from_numpy(rng.uniform(-0.3, 1.3, SHAPE))
    P = Sum((Scaled(2.0, SquareOnSlice(gram(blur), 0, N)),))
    q = -2 * blur.adjoint(target).reshape(-1)
    pieces: list[LinearOperator] = [OnSlice(FiniteDifference(SHAPE, (-2, -1), boundary), 0, N)]
    weight = torch.tensor(0.3, dtype=F64).expand(N)
    blocks = [Block(prox.Norm2(), 0, 2 * N, (N, 2), weight, "tv(x)", leading=True)]
    if bounded:
        pieces.append(OnSlice(Identity(SHAPE, F64), 0, N))
        box = prox.Box(torch.zeros(N, dtype=F64), torch.ones(N, dtype=F64))
        blocks.append(Block(box, 2 * N, 3 * N, (N,), None, "0 <= x <= 1"))
    K = Stacked(tuple(pieces))
    b = torch.zeros(K.shape_out[0], dtype=F64)
    return ProxProgram(P, q, float(target.square().sum()), K, b, tuple(blocks))


def optimum(program: ProxProgram) -> tuple[float, np.ndarray]:
    x = cp.Variable(program.variables)
    z = as_dense(program.K).numpy() @ x
    P = cp.psd_wrap(as_dense(program.P).numpy())  # type: ignore[arg-type]
    objective = 0.5 * cp.quad_form(x, P) + program.q.numpy() @ x + program.offset
    objective += 0.3 * cp.sum(cp.norm(cp.vstack([z[:N], z[N : 2 * N]]), axis=0))
    limits = [z[2 * N :] >= 0, z[2 * N :] <= 1] if len(program.blocks) > 1 else []
    value = cp.Problem(cp.Minimize(objective), limits).solve(solver=cp.CLARABEL)
    return value, x.value


@pytest.mark.parametrize("boundary", ["circular", "zero"])
@pytest.mark.parametrize("name", ["admm", "admm_vxu", "ladmm", "pdhg"])
def test_optima_of_images(name: str, boundary: str) -> None:
    program = deblurring(boundary=boundary)
    assert not program_is_assembled(program)
    value, x = optimum(program)
    result = run(program, algorithm=name, eps_abs=1e-7, eps_rel=1e-7)
    assert result.status is Status.OPTIMAL
    assert result.residuals.objective == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(result.primal.numpy(), x, atol=1e-3)
    assert residuals(program, result.point).ratio(Tolerances(1e-6, 1e-6)) <= 1


def test_proximal_gradients_of_images() -> None:
    program = deblurring()
    last = program.blocks[1]
    only = Block(last.function, 0, N, last.shape, None, last.label)
    identity = program.K.blocks[1]  # type: ignore[attr-defined]
    program = ProxProgram(program.P, program.q, program.offset, identity, torch.zeros(N, dtype=F64), (only,))
    points = [run(program, algorithm=name, eps_abs=1e-8, eps_rel=1e-8) for name in ("admm", "pgd", "fista")]
    for result in points:
        assert result.status is Status.OPTIMAL
        torch.testing.assert_close(result.point.x, points[0].point.x, rtol=1e-4, atol=1e-5)
    assert ALGORITHMS["pgd"].form.refuse(deblurring()) is not None


@pytest.mark.parametrize("options", [{"rho": 0.01}, {"rho": 1.0}, {"adaptive_rho": False}, {"sigma": 1e-2},
                                     {"adaptive_rho": "scalar"}, {"alpha": 1.0}, {"scaling": 0},
                                     {"acceleration": 5}, {"dtype": "float32"}], ids=str)  # fmt: skip
def test_optima_do_not_depend_on_options(options: dict[str, Any]) -> None:
    program = deblurring()
    tol = 1e-4 if "dtype" in options else 1e-6
    result = run(program, eps_abs=tol, eps_rel=tol, **options)
    assert result.status is Status.OPTIMAL
    assert result.residuals.objective == pytest.approx(optimum(program)[0], rel=10 * tol)


def test_records_have_a_residual_for_every_term() -> None:
    history = run(deblurring(), eps_abs=1e-5, eps_rel=1e-5).history
    assert all(set(record["terms"]) == {"tv(x)", "0 <= x <= 1"} for record in history)
    assert all(max(record["terms"].values()) == record["primal"] for record in history)
    twice = run(random_program()).history[0]["terms"]
    assert set(twice) == {"Box", "Abs", "SecondOrderCone"}


def test_norms_are_upper_bounds_and_close() -> None:
    rng = np.random.default_rng(0)
    for program in (deblurring(), deblurring(boundary="zero"), random_program()):
        K, P = as_dense(program.K).numpy(), as_dense(program.P).numpy()  # type: ignore[arg-type]
        one = torch.ones((), dtype=F64)
        blocks = torch.ones_like(program.b)
        for k, block in enumerate(program.blocks):
            blocks[block.start : block.stop] = (2.0, 0.3, 4.0)[k]
        uneven = torch.from_numpy(rng.uniform(0.5, 2, program.variables))
        for rho in (one.expand(program.rows), blocks):
            for d in (one.expand(program.variables), 3 * one.expand(program.variables), uneven):
                R, D = rho.sqrt().numpy()[:, None], d.numpy()
                exact = np.linalg.norm(R * K * D, 2) ** 2
                assert exact * (1 - 1e-9) <= coupling(program.K, rho, d) <= 1.03 * exact
                exact = np.linalg.norm(D[:, None] * P * D, 2)
                assert exact * (1 - 1e-9) <= curvature(program.P, d) <= 1.03 * exact


def test_equilibration_makes_the_norms_of_pieces_one() -> None:
    program = deblurring()
    metric = equilibrate(program, 10)
    assert not any(metric.d.stride()) and float(metric.d[0]) == 1
    pieces = program.K.blocks  # type: ignore[attr-defined]
    for block, piece in zip(program.blocks, pieces, strict=True):
        e = metric.e[block.start : block.stop]
        assert float(e.min()) == float(e.max())
        assert float(e[0]) * np.linalg.norm(as_dense(piece).numpy(), 2) == pytest.approx(1, rel=1e-6)


def test_initial_penalties_are_weights_over_sizes() -> None:
    program = deblurring()
    metric = equilibrate(program, 10)
    rho = metric.rho(block_penalties(program, metric, 0.1))
    x = -program.q / np.linalg.norm(as_dense(program.P).numpy(), 2)  # type: ignore[arg-type]
    z = program.K.forward(x)[: 2 * N]
    expected = 0.3 / float(z.square().mean().sqrt())
    assert float(rho[0]) == pytest.approx(expected, rel=1e-2)
    assert float(rho[-1]) == pytest.approx(expected, rel=1e-2)  # the indicator follows
    doubled = metric.rho(block_penalties(program, metric, 0.2))
    torch.testing.assert_close(doubled, 2 * rho)
    single = block_penalties(deblurring(bounded=False), equilibrate(deblurring(bounded=False), 10), 0.1)
    assert not any(single.stride())


def test_joint_penalty_is_a_secant() -> None:
    program = random_program()
    metric = equilibrate(program, 10)
    rule = JointPenalty(metric, last=3)
    multiplier = torch.linspace(0.5, 2, program.rows, dtype=F64)
    rho = metric.rho(multiplier)
    zero, dz = torch.zeros_like(program.b), torch.linspace(-1, 2, program.rows, dtype=F64)
    x = torch.zeros_like(program.q)
    old, new = Point(x, zero, zero), Point(x, dz, 7 * rho * dz)
    assert rule.propose(5, multiplier, old, new, QUIET) is None
    proposed = rule.propose(6, multiplier, old, new, QUIET)
    assert proposed is not None
    torch.testing.assert_close(proposed, 7 * multiplier)
    assert rule.propose(11, multiplier, old, new, QUIET) is None
    still = Point(x, zero, zero)
    assert rule.propose(12, multiplier, old, still, QUIET) is None  # nothing has moved
    assert rule.propose(24, multiplier, old, new._replace(y=1.2 * rho * dz), QUIET) is None  # not worth it
    assert rule.propose(1000, multiplier, old, new, QUIET) is None  # no more updates


def test_primal_weight_balances_the_movements() -> None:
    program = random_program()
    metric = plain_metric(program)
    rule = PrimalWeight(metric, norm=2.0)
    zero = Point(*(torch.zeros_like(v) for v in (program.q, program.b, program.b)))
    moved = Point(torch.ones_like(program.q), zero.z, torch.ones_like(program.b))
    multiplier = torch.full_like(program.b, 0.5)
    assert rule.propose(10, multiplier, zero, zero, QUIET) is None
    proposed = rule.propose(20, multiplier, zero, moved, QUIET)
    omega = math.sqrt(program.rows / program.variables)
    torch.testing.assert_close(proposed, torch.full_like(program.b, math.sqrt(0.5 * omega / 2)))
    assert rule.propose(25, multiplier, zero, moved, QUIET) is None
    assert rule.propose(26, multiplier, zero, moved, QUIET) is None  # not since the last update


def test_checks_come_when_the_tolerance_is_foreseen() -> None:
    assert [EveryFew(25).next(k, 1.0) for k in (0, 25)] == [25, 50]
    checks, seen, iteration = Foreseeing(), [], 0
    while iteration < 200:
        ratio = 1e4 * 0.95**iteration  # within the tolerance from iteration 180 on
        seen.append(iteration)
        if ratio <= 1:
            break
        iteration = checks.next(iteration, ratio)
    assert seen[:5] == [0, 6, 12, 24, 48]
    assert 180 <= seen[-1] <= 190 and len(seen) <= 12
    stuck = Foreseeing()
    assert stuck.next(100, 5.0) == 200 or stuck.next(150, 5.0) == 200


def test_extremes_of_large_vectors() -> None:
    """Two ways to the same number, also where there is no number."""
    n = LARGE + 1
    one = torch.ones((), dtype=F64)
    K = SparseMatrix(sp.eye_array(n, format="csr"))
    block = Block(prox.Abs(), 0, n, (n,), one.expand(n))
    program = ProxProgram(None, torch.zeros(n, dtype=F64), 0.0, K, torch.zeros(n, dtype=F64), (block,))
    x = torch.zeros(n, dtype=F64)
    x[7] = -3.0
    point = Point(x, torch.zeros(n, dtype=F64), torch.zeros(n, dtype=F64))
    assert residuals(program, point).primal == 3.0
    x[9] = math.nan
    assert residuals(program, point).primal == math.inf
