"""Derivatives of the solutions of batches of dense programs against dense Jacobians and differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from cvxprox import prox
from cvxprox.differentiation import Task
from cvxprox.differentiation.attach import attach
from cvxprox.differentiation.dense import DenseEngine
from cvxprox.operators import Matrix
from cvxprox.program import ProxProgram

from .dense_cases import CASES, F64, INF, SAMPLES, Case, between, positive, program, rand, randn

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def jacobian(frozen: ProxProgram, x: Tensor, v: Tensor, rho: Tensor, i: int) -> Tensor:
    """J of sample i, by differentiating the optimality conditions of the whole batch."""

    def conditions(x: Tensor, v: Tensor) -> Tensor:
        z = frozen.prox(v, frozen.steps(rho))
        dual = frozen.quadratic(x) + frozen.q + frozen.K.adjoint(rho * (v - z))
        return torch.cat([dual, frozen.K.forward(x) + frozen.b - z], -1)[i]

    by_x, by_v = torch.autograd.functional.jacobian(conditions, (x, v))
    return torch.cat([by_x[:, i], by_v[:, i]], -1)


@every
def test_it_solves_with_the_jacobian_and_its_transpose(case: Case) -> None:
    task, engine = case.task(), DenseEngine()
    frozen, run = task.frozen, engine.run(task)
    sensitivity = engine.sensitivity(task, run)
    f = randn(*run.point.x.shape, seed=8), randn(*run.point.z.shape, seed=9)
    forth, back = sensitivity.solve(*f), sensitivity.solve_transposed(*f)
    assert sensitivity.residual < 1e-12 and sensitivity.iterations <= 10
    v = run.point.z + run.point.y / run.rho
    for i in range(SAMPLES):
        J = jacobian(frozen, run.point.x, v, run.rho, i)
        right = torch.cat([t[i] for t in f])
        assert_close(torch.cat([t[i] for t in forth]), torch.linalg.solve(J, right), atol=1e-8, rtol=1e-8)
        assert_close(torch.cat([t[i] for t in back]), torch.linalg.solve(J.mT, right), atol=1e-8, rtol=1e-8)


@every
def test_gradients_are_those_of_the_solutions(case: Case) -> None:
    engine = DenseEngine()
    theta = tuple(t.clone().requires_grad_() for t in case.theta)
    task = case.task(*theta)
    run = engine.run(task)
    point = attach(task.program, run, engine.sensitivity(task, run))
    weights = [randn(*t.shape, seed=10 + k) for k, t in enumerate(point)]
    # q of variables that stay at zero, say, has none
    gradients = torch.autograd.grad(
        sum((w * t).sum() for w, t in zip(weights, point, strict=True)), theta, allow_unused=True
    )
    directions = [randn(*t.shape, seed=20 + k) for k, t in enumerate(theta)]
    if case is CASES["qp"] or case is CASES["shared_lasso"]:
        directions[0] = directions[0] + directions[0].mT  # P is symmetric
    step = 1e-6
    sides = []
    for sign in (1.0, -1.0):
        moved = (t + sign * step * d for t, d in zip(case.theta, directions, strict=True))
        near = engine.run(case.task(*moved)).point
        sides.append(sum((w * t).sum() for w, t in zip(weights, near, strict=True)))
    expected = (sides[0] - sides[1]) / (2 * step)
    pairs = zip(gradients, directions, strict=True)
    actual = sum((g * d).sum() for g, d in pairs if g is not None)
    assert abs(expected) > 0.1
    assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_gradients_of_a_hundred_programs_are_exact() -> None:
    """The errors of the gradients, relative to the active set's own linear system in NumPy's precision."""
    samples, n, equations, rows = 100, 12, 6, 18
    inside = randn(samples, n, seed=1)
    K = randn(samples, rows, n, seed=2)
    b = -(K @ inside[..., None])[..., 0]
    b[:, equations:] -= rand(samples, rows - equations, seed=3)
    P, q = positive(samples, n), randn(samples, n, seed=4)
    leaves = tuple(t.clone().requires_grad_() for t in (P, q, K, b))

    def build(P: Tensor, q: Tensor, K: Tensor, b: Tensor) -> ProxProgram:
        blocks = (between(0.0, 0.0), (equations,), None), (between(-INF, 0.0), (rows - equations,), None)
        return program(P, q, K, b, *blocks)

    task, engine = Task(build(*leaves), build(P, q, K, b)), DenseEngine()
    run = engine.run(task)
    weight = randn(samples, n, seed=5)
    (weight * attach(task.program, run, engine.sensitivity(task, run)).x).sum().backward()
    errors = []
    for i in range(samples):
        active = run.point.y[i].abs() > 1e-7
        A = K[i, active]
        zero = torch.zeros(len(A), len(A), dtype=F64)
        KKT = torch.cat([torch.cat([P[i], A.mT], 1), torch.cat([A, zero], 1)])
        solution = torch.linalg.solve(KKT, -torch.cat([q[i], b[i, active]]))
        assert_close(run.point.x[i], solution[:n], atol=1e-9, rtol=1e-9)
        lx, ly = torch.linalg.solve(KKT, torch.cat([weight[i], torch.zeros(len(A), dtype=F64)])).split(
            [n, len(A)]
        )
        full, dual = torch.zeros(rows, dtype=F64), torch.zeros(rows, dtype=F64)
        full[active], dual[active] = ly, solution[n:]
        exact = (
            -lx[:, None] * solution[:n], -lx,
            -(dual[:, None] * lx + full[:, None] * solution[:n]), -full,
        )  # fmt: skip
        found = torch.cat([t.grad[i].flatten() for t in leaves if t.grad is not None])
        truth = torch.cat([t.flatten() for t in exact])
        errors.append((found - truth).norm() / truth.norm())
    spread = torch.stack(errors)
    assert spread.median() < 1e-10 and spread.quantile(0.99) < 1e-8


def test_singular_conditions_have_a_large_residual() -> None:
    """Rows that repeat leave the multipliers open; a consistent right-hand side is still solved."""
    K = randn(2, 1, 3, seed=1).expand(2, 2, 3).contiguous()
    frozen = program(
        positive(2, 3), randn(2, 3, seed=2), K, torch.zeros(2, 2, dtype=F64), (between(0.0, 0.0), (2,), None)
    )
    task, engine = Task(frozen, frozen), DenseEngine()
    sensitivity = engine.sensitivity(task, engine.run(task))
    lx, _ = sensitivity.solve_transposed(randn(2, 3, seed=3), torch.zeros(2, 2, dtype=F64))
    assert sensitivity.residual < 1e-9
    assert_close((K @ lx[..., None])[..., 0], torch.zeros(2, 2, dtype=F64), atol=1e-9, rtol=0)
    sensitivity.solve(torch.zeros(2, 3, dtype=F64), torch.tensor([[1.0, -1.0]] * 2, dtype=F64))
    assert sensitivity.residual > 0.1


def test_sparse_solutions_need_a_small_system() -> None:
    """P of a product, a large l1 norm: gradients against those of the free variables alone."""
    A = (randn(2, 80, 300, seed=1) / 9).requires_grad_()
    target = randn(2, 80, seed=2)

    def build(A: Tensor) -> ProxProgram:
        q = -(A.mT @ target[..., None])[..., 0]
        zeros = torch.zeros(2, 300, dtype=F64)
        rows = (prox.Abs(), (300,), torch.tensor(0.4, dtype=F64).expand(300))
        frozen = program(None, q, torch.eye(300, dtype=F64), zeros, rows)
        return ProxProgram(Matrix(A).T @ Matrix(A), q, 0.0, frozen.K, zeros, frozen.blocks)

    task, engine = Task(build(A), build(A.detach())), DenseEngine()
    run = engine.run(task)
    x = attach(task.program, run, engine.sensitivity(task, run)).x
    weight = randn(2, 300, seed=3)
    (found,) = torch.autograd.grad((weight * x).sum(), A)
    for i in range(2):
        free = run.point.x[i] != 0
        B = A[i].detach()[:, free].requires_grad_()
        sign = run.point.x[i][free].sign()
        own = torch.linalg.solve(B.mT @ B, B.mT @ target[i] - 0.4 * sign)
        assert_close(run.point.x[i][free], own.detach(), atol=1e-9, rtol=1e-9)
        (exact,) = torch.autograd.grad((weight[i][free] * own).sum(), B)
        assert_close(found[i][:, free], exact, atol=1e-8, rtol=1e-8)
        assert found[i][:, ~free].abs().max() < 1e-8
