"""Batches of dense programs against Clarabel; what happens in one sample stays there."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from cvxprox import prox
from cvxprox.algorithms import Point
from cvxprox.differentiation import Run, Task
from cvxprox.differentiation.dense import DenseEngine
from cvxprox.operators import Matrix
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.status import Status

from .dense_cases import CASES, F64, INF, SAMPLES, Case, N, between, positive, program, rand, randn

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def solved(frozen: ProxProgram, start: Point | None = None, **options: object) -> Run:
    return DenseEngine(Options(**options)).run(Task(frozen, frozen), start)


def errors(frozen: ProxProgram, point: Point, rho: Tensor) -> Tensor:
    """The largest violation of the optimality conditions, the subgradients told by the prox itself."""
    x, z, y = point
    dual = frozen.quadratic(x) + frozen.q + frozen.K.adjoint(y)
    nearest = frozen.prox(z + y / rho, frozen.steps(rho))
    return torch.stack(
        [t.abs().amax() for t in (dual, frozen.K.forward(x) + frozen.b - z, nearest - z)]
    ).amax()


@every
def test_samples_are_solved_as_clarabel_does(case: Case) -> None:
    frozen = case.build(*case.theta)
    run = solved(frozen)
    assert run.status == (Status.OPTIMAL,) * SAMPLES
    assert run.residual.shape == (SAMPLES,) and run.residual.max() < 1e-10
    assert errors(frozen, run.point, run.rho) < 1e-9
    for i in range(SAMPLES):
        value, x = case.optimum(i)
        assert_close(run.point.x[i], torch.from_numpy(x), atol=1e-4, rtol=1e-4)
        own, _ = case.terms(i, cp.Constant(run.point.z[i].numpy()))
        found = float(run.point.x[i] @ frozen.q[i] + 0.5 * run.point.x[i] @ frozen.quadratic(run.point.x)[i])
        assert found + float(cp.Constant(0.0).value + getattr(own, "value", own)) == pytest.approx(
            value, abs=1e-6
        )


def test_many_batch_dimensions_are_one_batch() -> None:
    case = CASES["separable"]
    frozen, half = case.build(*case.theta), SAMPLES - 1
    q, K, b, weight, m = (t[:half] for t in case.theta)
    shape = (2, half // 2)
    boxed = program(
        positive()[:half].reshape(*shape, N, N), q.reshape(*shape, N), K.reshape(*shape, -1, N),
        b.reshape(*shape, -1),
        (prox.Huber(m.reshape(*shape, 3)), (3,), weight[:, :3].reshape(*shape, 3)),
        (prox.Square(), (3,), weight[:, 3:6].reshape(*shape, 3)),
        (prox.Abs(), (2,), weight[:, 6:].reshape(*shape, 2)),
    )  # fmt: skip
    run, flat = solved(boxed), solved(frozen)
    assert run.point.x.shape == (*shape, N) and run.residual.shape == shape and len(run.status) == half
    assert_close(run.point.x.reshape(half, N), flat.point.x[:half], atol=1e-10, rtol=1e-10)


def test_a_program_without_a_batch() -> None:
    run = solved(
        program(
            torch.eye(3, dtype=F64), torch.tensor([1.0, -2.0, 3.0], dtype=F64), torch.eye(3, dtype=F64),
            torch.zeros(3, dtype=F64), (between(0.0, INF), (3,), None),
        )
    )  # fmt: skip
    assert_close(run.point.x, torch.tensor([0.0, 2.0, 0.0], dtype=F64))
    assert run.residual.shape == () and run.status == (Status.OPTIMAL,)


@pytest.fixture
def mixed() -> ProxProgram:
    """Linear programs: one contradicts itself, one has no bound, two have data that are not numbers."""
    A, inside = randn(6, 9, 4, seed=1), randn(6, 4, seed=2)
    h = (A @ inside[..., None])[..., 0] + rand(6, 9, seed=3)
    q = -(A.mT @ rand(6, 9, 1, seed=4))[..., 0]
    A[1, 1], h[1, :2] = -A[1, 0], -1.0
    q[2, 0] = torch.nan
    q[3] = A[3, :, :].sum(0)
    A[4, 2, 1] = torch.nan
    return program(None, q, A, -h, (between(-INF, 0.0), (9,), None))


def test_samples_fail_by_themselves(mixed: ProxProgram) -> None:
    run = solved(mixed)
    expected = (Status.INFEASIBLE, Status.ITERATION_LIMIT, Status.UNBOUNDED, Status.ITERATION_LIMIT)
    assert run.status == (Status.OPTIMAL, *expected, Status.OPTIMAL)
    assert run.point.x[[2, 4]].isnan().all() and run.residual[[2, 4]].isnan().all()
    for i in (0, 5):
        alone = replace(mixed, q=mixed.q[i], K=Matrix(mixed.K.matrix[i]), b=mixed.b[i])
        assert_close(run.point.x[i], solved(alone).point.x, atol=1e-9, rtol=1e-9)


def test_gradients_of_failed_samples_are_zero(mixed: ProxProgram) -> None:
    task = Task(mixed, mixed)
    engine = DenseEngine()
    run = engine.run(task)
    sensitivity = engine.sensitivity(task, run)
    lx, lv = sensitivity.solve_transposed(torch.ones_like(mixed.q), torch.ones_like(mixed.b))
    assert not lx[1:5].any() and not lv[1:5].any()
    assert lx[[0, 5]].any(-1).all() and sensitivity.residual < 1e-9


def test_contradicting_bounds_are_infeasible() -> None:
    lower = torch.tensor([[0.0, 0.0], [0.0, 2.0]], dtype=F64)
    eye, zeros = torch.eye(2, dtype=F64), torch.zeros(2, 2, dtype=F64)
    run = solved(program(eye, zeros, eye, zeros, (between(lower, 1.0), (2,), None)))
    assert run.status == (Status.OPTIMAL, Status.INFEASIBLE)


def test_a_function_that_is_no_number_fails_its_sample() -> None:
    case = CASES["separable"]
    *theta, m = case.theta
    m = m.clone()
    m[1, 0] = torch.nan
    run = solved(case.build(*theta, m))
    assert [status is Status.OPTIMAL for status in run.status] == [True, False, True, True, True]


def test_functions_that_hold_a_batch_of_unknown_places() -> None:
    """A radius for every point: the batch cannot be divided, and one sample still ends by itself."""
    K = torch.cat([torch.eye(3, dtype=F64), torch.ones(1, 3, dtype=F64)]).expand(3, 4, 3)
    b = torch.tensor([[0.0, 0, 0, -1], [0.0, 0, 0, -9], [0.0, 0, 0, 1]], dtype=F64)
    ball = prox.Norm2Ball(torch.tensor([2.0], dtype=F64))
    rows = (ball, (1, 3), None), (between(0.0, 0.0), (1,), None)
    q = torch.tensor([[1.0, 0, 0], [0.0, 1, 0], [0.0, 0, 1]], dtype=F64)
    run = solved(program(None, q, K, b, *rows))
    assert run.status == (Status.OPTIMAL, Status.INFEASIBLE, Status.OPTIMAL)
    x = cp.Variable(3)
    cp.Problem(cp.Minimize(x[0]), [cp.norm(x) <= 2, cp.sum(x) == 1]).solve(cp.CLARABEL)
    assert_close(run.point.x[0], torch.from_numpy(x.value), atol=1e-5, rtol=1e-5)


def test_matrices_that_only_pick_variables() -> None:
    """A matrix a sample with one entry in every row, two of them in one column: bounds of two kinds."""
    K = torch.zeros(2, 3, 2, dtype=F64)
    K[:, 0, 0], K[:, 1, 1], K[:, 2, 0] = torch.tensor([1.0, 2.0]), 1.0, torch.tensor([3.0, -1.0])
    rows = (between(-1.0, 1.0), (2,), None), (prox.Abs(), (1,), torch.tensor([0.5], dtype=F64))
    P, q = positive(2, 2), randn(2, 2, seed=5)
    run = solved(program(P, q, K, torch.zeros(2, 3, dtype=F64), *rows))
    assert run.status == (Status.OPTIMAL,) * 2
    for i in range(2):
        x = cp.Variable(2)
        z = K[i].numpy() @ x
        objective = 0.5 * cp.quad_form(x, P[i].numpy()) + q[i].numpy() @ x + 0.5 * cp.abs(z[2])
        cp.Problem(cp.Minimize(objective), [cp.abs(z[:2]) <= 1]).solve(cp.CLARABEL)
        assert_close(run.point.x[i], torch.from_numpy(x.value), atol=1e-5, rtol=1e-5)


def test_dependent_equations_and_solutions_that_are_not_unique() -> None:
    A = randn(3, 2, 5, seed=1)
    A = torch.cat([A, A.sum(1, keepdim=True), torch.eye(5, dtype=F64).expand(3, 5, 5)], 1)
    b = torch.zeros(3, 8, dtype=F64)
    q = torch.cat([randn(2, 5, seed=2), torch.zeros(1, 5, dtype=F64)])
    rows = (between(0.0, 0.0), (3,), None), (between(-1.0, 1.0), (5,), None)
    run = solved(program(None, q, A, b, *rows))
    assert run.status == (Status.OPTIMAL,) * 3
    b[1, 2] = 0.5
    run = solved(program(None, q, A, b, *rows))
    assert run.status == (Status.OPTIMAL, Status.INFEASIBLE, Status.OPTIMAL)


@pytest.mark.parametrize("factored", [False, True], ids=["matrix", "product"])
def test_large_lasso_starts_with_gradients(factored: bool) -> None:
    """As large as the programs that are not factored before Newton's method."""
    A = randn(3, 100, 300, seed=1) / 10
    target = randn(3, 100, seed=2)
    q = -(A.mT @ target[..., None])[..., 0]
    weight = 0.2 * q.abs().amax(-1, keepdim=True)
    frozen = program(
        A.mT @ A, q, torch.eye(300, dtype=F64), torch.zeros(3, 300, dtype=F64),
        (prox.Abs(), (300,), weight.expand(3, 300)),
    )  # fmt: skip
    if factored:
        frozen = replace(frozen, P=Matrix(A).T @ Matrix(A))
    run = solved(frozen)
    assert run.status == (Status.OPTIMAL,) * 3
    # the conditions of the lasso, written out
    slope = (A.mT @ ((A @ run.point.x[..., None])[..., 0] - target)[..., None])[..., 0]
    zero = run.point.x == 0
    assert 20 < int((~zero).sum()) < 300
    assert (slope.abs() <= weight + 1e-9)[zero].all()
    assert_close((slope + weight * run.point.x.sign())[~zero], torch.zeros(int((~zero).sum()), dtype=F64))


def test_a_warm_start_takes_no_time() -> None:
    case = CASES["qp"]
    frozen = case.build(*case.theta)
    first = solved(frozen)
    again = solved(frozen, first.point, max_iter=1)
    assert again.status == (Status.OPTIMAL,) * SAMPLES
    assert_close(again.point.x, first.point.x, atol=1e-9, rtol=1e-9)
    far = Point(*(torch.full_like(t, torch.nan) for t in first.point))
    assert solved(frozen, far).status == (Status.OPTIMAL,) * SAMPLES


def test_single_precision_is_as_accurate_as_its_numbers() -> None:
    case = CASES["socp"]
    double = case.build(*case.theta)
    frozen = double.to("cpu", torch.float32)
    run = solved(frozen)
    assert run.point.x.dtype == run.rho.dtype == torch.float32 and run.status == (Status.OPTIMAL,) * SAMPLES
    assert_close(run.point.x.double(), solved(double).point.x, atol=1e-4, rtol=1e-4)


def test_limits_end_a_run() -> None:
    A = torch.from_numpy(np.random.default_rng(0).integers(-2, 3, (4, 30, 12))).double()
    frozen = program(None, -A.sum(1), A, -torch.ones(4, 30, dtype=F64), (between(-INF, 0.0), (30,), None))
    assert all(status is Status.OPTIMAL for status in solved(frozen).status)
    short = solved(frozen, max_iter=2)
    assert short.iterations == 2 and Status.OPTIMAL not in short.status
    late = solved(frozen, time_limit=1e-6)
    assert late.iterations < solved(frozen).iterations and Status.TIME_LIMIT in late.status


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_on_a_device(case: Case) -> None:
    frozen = case.build(*case.theta)
    run = solved(frozen.to("cuda", F64))
    assert run.point.x.device.type == "cuda"
    assert_close(run.point.x.cpu(), solved(frozen).point.x, atol=1e-8, rtol=1e-8)
