"""Gradients of programs whose operators are not matrices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.testing import assert_close

from cvxprox import prox
from cvxprox.differentiation.attach import attach
from cvxprox.differentiation.base import Run, Task
from cvxprox.differentiation.kkt import sensitivity_of
from cvxprox.differentiation.kkt_matrix_free import MatrixFreeSensitivity
from cvxprox.differentiation.kkt_sparse import SparseSensitivity
from cvxprox.linear_solve import ConjugateGradient, SpectralSolve
from cvxprox.linear_solve.induced_dimension import induced_dimension_reduction
from cvxprox.linear_solve.least_squares import DampedLeastSquares
from cvxprox.operators import FiniteDifference, FunctionOperator, Identity, OnSlice, Stacked
from cvxprox.program import Block, ProxProgram

from .kkt_cases import F64, dense_J, randn, solved, total_variation

TV = total_variation(12)


@pytest.fixture(scope="module")
def accurate() -> tuple[Task, Run]:
    return TV.solve()


def matrix_free(program: ProxProgram, run: Run) -> MatrixFreeSensitivity:
    return MatrixFreeSensitivity(program, run.point, run.rho, 1e-12, 5000)


def test_both_kinds_solve_the_dense_system(accurate: tuple[Task, Run]) -> None:
    task, run = accurate
    program = task.frozen
    J, n = dense_J(program, run.point, run.rho), program.variables
    # in the range of J, which is singular where the differences along a flat loop are all zero
    solution = randn(len(J), seed=1)
    for sensitivity in (sensitivity_of(task, run), matrix_free(program, run)):
        for solve, matrix in ((sensitivity.solve, J), (sensitivity.solve_transposed, J.T)):
            f = torch.from_numpy(matrix @ solution.numpy())
            found = torch.cat(solve(f[:n], f[n:])).numpy()
            assert np.linalg.norm(matrix @ found - f.numpy()) <= 1e-8 * np.linalg.norm(f.numpy())
            assert_close(torch.from_numpy(found[:n]), solution[:n], rtol=1e-6, atol=1e-6)


def test_deblurring_against_finite_differences(accurate: tuple[Task, Run]) -> None:
    theta = tuple(t.clone().requires_grad_() for t in TV.theta)
    task, run = TV.task(*theta), accurate[1]
    loss_of = randn(task.program.variables, seed=3)
    d = tuple(t * randn(*t.shape, seed=5 + i) for i, t in enumerate(TV.theta))
    h = 1e-5
    plus, minus = (
        loss_of @ TV.solve(*(t + s * u for t, u in zip(TV.theta, d, strict=True)))[1].point.x for s in (h, -h)
    )
    expected = (plus - minus) / (2 * h)
    for sensitivity in (sensitivity_of(task, run), matrix_free(task.frozen, run)):
        x = attach(task.program, run, sensitivity).x
        grads = torch.autograd.grad(loss_of @ x, theta, retain_graph=True)
        along = sum((g * u).sum() for g, u in zip(grads, d, strict=True))
        assert_close(along, expected, rtol=1e-5, atol=1e-6)


def test_small_programs_become_matrices_and_large_ones_do_not(accurate: tuple[Task, Run]) -> None:
    assert isinstance(sensitivity_of(*accurate), SparseSensitivity)
    large = total_variation(36)
    task = large.task()
    run = solved(task.frozen, 1e-3)
    sensitivity = sensitivity_of(task, run)
    assert isinstance(sensitivity, MatrixFreeSensitivity)
    assert isinstance(sensitivity.linear_solve, SpectralSolve)
    assert sensitivity.max_iter == max(100, int(1.5 * run.iterations))
    sensitivity.max_iter = 40
    sensitivity.solve(task.frozen.q, torch.zeros_like(task.frozen.b))
    assert 40 <= sensitivity.iterations < 50 and 1e-6 < sensitivity.residual < 1


def mixed(hidden: bool) -> ProxProgram:
    """Differences, bounds and a nuclear norm, with penalties that differ."""
    shape, n = (4, 5), 20
    matrix = randn(9, n, seed=5) / 5
    F = FunctionOperator(lambda x: x.flatten(-2) @ matrix.mT, shape) if hidden else Identity(shape)
    pieces = [OnSlice(K, 0, n) for K in (FiniteDifference(shape, None, "circular"), Identity(shape), F)]
    K = Stacked(tuple(pieces))
    one = torch.ones((), dtype=F64)
    last = K.shape_out[0] - 3 * n
    blocks = [
        Block(prox.Norm2(), 0, 2 * n, (n, 2), (0.3 * one).expand(n), leading=True),
        Block(prox.Box(-0.5 * one, 0.5 * one), 2 * n, 3 * n, (n,)),
    ]
    if hidden:
        blocks.append(Block(prox.Square(), 3 * n, 3 * n + last, (last,), one.expand(last)))
    else:
        blocks.append(Block(prox.NuclearNorm(), 3 * n, 4 * n, (1, *shape), one.expand(1)))
    return ProxProgram(None, randn(n, seed=2), 0.0, K, torch.zeros(K.shape_out[0], dtype=F64), tuple(blocks))


@pytest.mark.parametrize("hidden", [False, True], ids=["closed form", "conjugate gradients"])
def test_several_pieces_and_penalties(hidden: bool) -> None:
    program = mixed(hidden)
    run = solved(program, 1e-9)
    sensitivity = matrix_free(program, run)
    assert isinstance(sensitivity.linear_solve, ConjugateGradient if hidden else SpectralSolve)
    J, n = dense_J(program, run.point, run.rho), program.variables
    solution = randn(len(J), seed=1).numpy()
    for solve, matrix in ((sensitivity.solve, J), (sensitivity.solve_transposed, J.T)):
        f = torch.from_numpy(matrix @ solution)
        found = torch.cat(solve(f[:n], f[n:])).numpy()
        assert np.linalg.norm(matrix @ found - f.numpy()) <= 1e-7 * np.linalg.norm(f.numpy())


def test_induced_dimension_reduction() -> None:
    A, b = torch.eye(60, dtype=F64) + randn(60, 60) / 12, randn(60, seed=1)
    x, residual, count = induced_dimension_reduction(lambda v: A @ v, b, 1e-11, 500)
    assert_close(x, torch.linalg.solve(A, b), rtol=1e-8, atol=1e-9)
    assert residual <= 1e-11 and count < 120
    short = induced_dimension_reduction(lambda v: A @ v, b, 1e-11, 7)
    assert short[2] == 7 and 1e-11 < short[1] < 1
    assert_close(float(torch.linalg.vector_norm(b - A @ short[0]) / b.norm()), short[1], rtol=1e-6, atol=0.0)
    zero = torch.zeros(3, dtype=F64)
    assert induced_dimension_reduction(lambda v: v, zero, 1e-9, 5)[2] == 0


def test_damped_least_squares_is_the_pseudo_inverse() -> None:
    A = randn(6, 4).numpy() @ randn(4, 6, seed=1).numpy()
    f = randn(6, seed=2).numpy()
    assert np.allclose(DampedLeastSquares(sp.csr_array(A)).solve(f), np.linalg.pinv(A) @ f, rtol=1e-6)
