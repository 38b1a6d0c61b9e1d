"""Gradients through the optimality conditions against finite differences and dense matrices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from cvxprox import prox
from cvxprox.algorithms import Point
from cvxprox.differentiation import Implicit, SessionEngine
from cvxprox.differentiation.attach import attach
from cvxprox.differentiation.base import Run, Task
from cvxprox.differentiation.kkt import sensitivity_of
from cvxprox.differentiation.kkt_sparse import SparseSensitivity

from .kkt_cases import CASES, F64, Case, build, dense_J, randn, solved

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def directions(case: Case, seed: int = 5) -> tuple[Tensor, ...]:
    """Relative changes of all tensors, none where an entry is zero."""
    return tuple(t * randn(*t.shape, seed=seed + i) for i, t in enumerate(case.theta))


def moved(case: Case, step: float, d: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(t + step * s for t, s in zip(case.theta, d, strict=True))


def attached(case: Case, *theta: Tensor, order: int = 1) -> Point:
    task, run = case.solve(*theta)
    return attach(task.program, run, sensitivity_of(task, run), order)


def differences(case: Case, d: tuple[Tensor, ...], h: float = 1e-5) -> Tensor:
    """The derivative of (x, z, y) along d."""
    plus, minus = (torch.cat(case.solve(*moved(case, s, d))[1].point) for s in (h, -h))
    return (plus - minus) / (2 * h)


def leaves(case: Case) -> tuple[Tensor, ...]:
    return tuple(t.clone().requires_grad_() for t in case.theta)


@every
def test_the_point_stays_what_it_is(case: Case) -> None:
    theta = leaves(case)
    task, run = case.solve(*theta)
    point = attach(task.program, run, sensitivity_of(task, run))
    for t, value in zip(point, run.point, strict=True):
        assert t.requires_grad
        assert_close(t.detach(), value, rtol=0.0, atol=1e-9)
    constant = attach(task.frozen, run, sensitivity_of(task, run))
    assert not any(t.requires_grad for t in constant)


@every
def test_reverse_mode_against_finite_differences(case: Case) -> None:
    theta, d = leaves(case), directions(case)
    point = torch.cat(attached(case, *theta))
    w = randn(point.numel(), seed=8)
    grads = torch.autograd.grad(w @ point, theta)
    along = sum((g * s).sum() for g, s in zip(grads, d, strict=True))
    expected = w @ differences(case, d)
    assert abs(expected) > 1e-3
    assert_close(along, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@every
def test_forward_mode_against_finite_differences(case: Case) -> None:
    d = directions(case)
    with torch.autograd.forward_ad.dual_level():
        theta = tuple(torch.autograd.forward_ad.make_dual(t, s) for t, s in zip(case.theta, d, strict=True))
        point = torch.cat(attached(case, *theta))
        tangent = torch.autograd.forward_ad.unpack_dual(point).tangent
    assert_close(tangent, differences(case, d), rtol=1e-5, atol=1e-6)


@every
def test_solves_against_the_dense_matrix(case: Case) -> None:
    task, run = case.solve()
    program, sensitivity = task.frozen, sensitivity_of(task, run)
    assert isinstance(sensitivity, SparseSensitivity)
    J, n = dense_J(program, run.point, run.rho), program.variables
    f = randn(len(J), seed=4)
    for solve, matrix in ((sensitivity.solve, J), (sensitivity.solve_transposed, J.T)):
        solution = torch.cat(solve(f[:n], f[n:])).numpy()
        expected = np.linalg.solve(matrix, f.numpy())
        assert np.linalg.norm(solution - expected) <= 1e-10 * np.linalg.norm(expected)
        assert sensitivity.residual < 1e-10 and sensitivity.iterations >= 1


@pytest.mark.parametrize("name", ["qp", "lasso", "socp", "huber", "smooth", "grouped"])
def test_second_derivatives_against_differences_of_gradients(name: str) -> None:
    case, d = CASES[name], directions(CASES[name])

    def gradient(theta: tuple[Tensor, ...], order: int) -> tuple[Tensor, ...]:
        point = attached(case, *theta, order=order)
        return torch.autograd.grad(point.x.pow(3).sum() + point.y.sum(), theta, create_graph=order > 1)

    theta = leaves(case)
    slope = sum((g * s).sum() for g, s in zip(gradient(theta, 2), d, strict=True))
    second = torch.autograd.grad(slope, theta)
    h = 1e-5
    plus, minus = (gradient(tuple(t.requires_grad_() for t in moved(case, step, d)), 1) for step in (h, -h))
    for ours, a, b in zip(second, plus, minus, strict=True):
        expected = (a - b) / (2 * h)
        assert_close(ours, expected, rtol=1e-4, atol=1e-5 * (1 + float(expected.abs().max())))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_batched_gradients_are_gradients_one_by_one() -> None:
    case = CASES["grouped"]
    theta = leaves(case)
    x = attached(case, *theta).x
    units = torch.eye(x.numel(), dtype=F64)

    def gradient(u: Tensor) -> Tensor:
        return torch.autograd.grad(x, theta[0], u, retain_graph=True)[0]

    assert_close(torch.func.vmap(gradient)(units), torch.stack([gradient(u) for u in units]))


def degenerate(q: Tensor, b: Tensor) -> Case:
    """A linear program in the plane with three constraints through one corner."""
    A = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=F64)
    zero = torch.zeros(3, dtype=F64)
    return Case(
        lambda q, b: build(None, q, A, b, (prox.Box(zero, zero + torch.inf), (3,), None)), (q, b + zero)
    )


def test_a_degenerate_linear_program_has_finite_gradients() -> None:
    case = degenerate(torch.tensor([2.0, 1.0], dtype=F64), torch.zeros(3, dtype=F64))
    theta = leaves(case)
    task, run = case.solve(*theta)
    sensitivity = sensitivity_of(task, run)
    point = attach(task.program, run, sensitivity)
    for t in (point.x, point.y):
        grads = torch.autograd.grad(t.sum(), theta, retain_graph=True)
        assert all(bool(g.isfinite().all()) and float(g.abs().max()) < 1e3 for g in grads)


def test_a_solution_that_is_not_unique_gets_the_least_squares_solution() -> None:
    # the objective does not see the second variable, and no constraint is active in it
    K = torch.eye(2, dtype=F64)
    low, high = torch.tensor([0.0, -1.0], dtype=F64), torch.tensor([2.0, 1.0], dtype=F64)
    program = build(
        torch.diag(torch.tensor([1.0, 0.0], dtype=F64)), torch.tensor([-1.0, 0.0], dtype=F64),
        K, torch.zeros(2, dtype=F64), (prox.Box(low, high), (2,), None),
    )  # fmt: skip
    run = solved(program)
    sensitivity = SparseSensitivity(program, run.point, run.rho)
    gx = torch.tensor([3.0, 5.0], dtype=F64)
    lx, lv = sensitivity.solve_transposed(gx, torch.zeros(2, dtype=F64))
    assert_close(lx, torch.tensor([3.0, 0.0], dtype=F64), rtol=1e-6, atol=1e-6)
    assert bool(lv.isfinite().all()) and sensitivity.residual > 0.1


def test_terms_that_are_not_convex_are_refused() -> None:
    program = build(
        torch.eye(2, dtype=F64), torch.ones(2, dtype=F64), torch.eye(2, dtype=F64), torch.zeros(2, dtype=F64),
        (prox.Norm0(), (2,), torch.ones(2, dtype=F64)),
    )  # fmt: skip
    program = replace(program, blocks=(replace(program.blocks[0], label="counts"),))
    zero = torch.zeros(2, dtype=F64)
    run = Run(Point(zero, zero, zero), (), torch.tensor(0.0), 1, torch.ones(2, dtype=F64))
    with pytest.raises(ValueError, match=r'"counts" is not convex(.|\n)*Implicit\("anderson"\)'):
        sensitivity_of(Task(program, program), run)


def test_without_gradients_nothing_is_linearised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        pytest.fail("there is nothing to differentiate")

    monkeypatch.setattr(SessionEngine, "sensitivity", refused)
    task, _ = CASES["lasso"].solve(*leaves(CASES["lasso"]))
    with torch.no_grad():
        solution = Implicit("kkt").solve(SessionEngine(), task)
    assert not solution.point.x.requires_grad
