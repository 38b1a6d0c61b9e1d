"""Gradients of the linear solves, in the right-hand sides, the penalties and the operators."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from cvxprox.linear_solve import (
    MINRES,
    ConjugateGradient,
    DenseCholesky,
    LinearSolve,
    SparseLDL,
    SpectralSolve,
)
from cvxprox.linear_solve.implicit import derivatives
from cvxprox.operators import Convolution, FiniteDifference, Matrix, OnSlice, SquareOnSlice, Stacked, gram
from cvxprox.program import ProxProgram

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

F64 = torch.float64
DIRECT: list[LinearSolve] = [SparseLDL(), DenseCholesky()]
ITERATIVE: list[LinearSolve] = [ConjugateGradient(floor=1e-14), MINRES(floor=1e-14)]
SOLVES = [*DIRECT, *ITERATIVE]
name = lambda solve: solve.name  # noqa: E731


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def program(P: Tensor, K: Tensor) -> ProxProgram:
    symmetric = P @ P.mT
    q, b = torch.zeros(K.shape[1], dtype=F64), torch.zeros(K.shape[0], dtype=F64)
    return ProxProgram(Matrix(symmetric), q, 0.0, Matrix(K), b, ())


def matrices() -> tuple[Tensor, ...]:
    """P's root, K with rows of one entry among others, sigma, rho, f and r."""
    K = numbers(5, 4, seed=1)
    K[1, 1:] = K[3, :3] = 0.0
    sigma, rho = numbers(4, seed=2).exp(), numbers(5, seed=3).exp()
    tensors = (numbers(4, 2), K, sigma, rho, numbers(4, seed=4), numbers(5, seed=5))
    return tuple(t.requires_grad_() for t in tensors)


def solution(solve: LinearSolve) -> Callable[..., tuple[Tensor, Tensor]]:
    def of(P: Tensor, K: Tensor, sigma: Tensor, rho: Tensor, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        state = solve.init(program(P, K), sigma, rho)
        return solve.solve(state, f, r)

    return of


@pytest.mark.parametrize("solve", SOLVES, ids=name)
def test_first_derivatives_in_everything(solve: LinearSolve) -> None:
    assert gradcheck(solution(solve), matrices(), check_forward_ad=True, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("solve", SOLVES, ids=name)
def test_second_derivatives_in_everything(solve: LinearSolve) -> None:
    with derivatives(2):
        assert gradgradcheck(solution(solve), matrices(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("solve", [SparseLDL(), ConjugateGradient()], ids=name)
def test_second_derivatives_that_were_not_announced_are_refused(solve: LinearSolve) -> None:
    P, *rest = matrices()
    x, _ = solution(solve)(P, *rest)
    (first,) = torch.autograd.grad(x.square().sum(), P, create_graph=True)
    with pytest.raises(RuntimeError, match="order=2"):
        torch.autograd.grad(first.sum(), P)


@pytest.mark.parametrize("solve", SOLVES, ids=name)
def test_batches_of_right_hand_sides(solve: LinearSolve) -> None:
    P, K, sigma, rho, _, _ = matrices()
    f, r = numbers(2, 3, 4, seed=6).requires_grad_(), numbers(2, 3, 5, seed=7).requires_grad_()
    x, miss = solution(solve)(P, K, sigma, rho, f, r)
    assert x.shape == f.shape and miss.shape == r.shape
    one, missed = solution(solve)(P, K, sigma, rho, f[1, 2], r[1, 2])
    torch.testing.assert_close((x[1, 2], miss[1, 2]), (one, missed))
    grads = torch.autograd.grad(x.square().sum(), (K, rho, f))
    parts = [solution(solve)(P, K, sigma, rho, f[i, j], r[i, j])[0] for i in range(2) for j in range(3)]
    expected = torch.autograd.grad(torch.stack(parts).square().sum(), (K, rho, f))
    torch.testing.assert_close(grads, expected)


def test_batches_of_matrices_and_penalties() -> None:
    solve = DenseCholesky()
    P, K = numbers(3, 4, 2).requires_grad_(), numbers(3, 5, 4, seed=1).requires_grad_()
    sigma, rho = numbers(4, seed=2).exp(), numbers(3, 5, seed=3).exp().requires_grad_()
    f, r = numbers(3, 4, seed=4), numbers(3, 5, seed=5)
    zero = ProxProgram(Matrix(P @ P.mT), torch.zeros_like(f), 0.0, Matrix(K), torch.zeros_like(r), ())
    x, miss = solve.solve(solve.init(zero, sigma, rho), f, r)
    each = [solution(solve)(P[i], K[i], sigma, rho[i], f[i], r[i]) for i in range(3)]
    torch.testing.assert_close(x, torch.stack([one for one, _ in each]))
    torch.testing.assert_close(miss, torch.stack([one for _, one in each]))
    grads = torch.autograd.grad(x.square().sum(), (P, K, rho))
    expected = torch.autograd.grad(torch.stack([one for one, _ in each]).square().sum(), (P, K, rho))
    torch.testing.assert_close(grads, expected)


def test_sparse_factors_refuse_a_batch_of_penalties() -> None:
    P, K, sigma, rho, _, _ = matrices()
    with pytest.raises(ValueError, match='linear_solver="dense"'):
        SparseLDL().init(program(P, K), sigma, rho.expand(2, 5))


SHAPE = (3, 4)


def deblurring(kernel: Tensor) -> ProxProgram:
    blur = Convolution(kernel, SHAPE)
    K = Stacked((OnSlice(FiniteDifference(SHAPE, None, "circular"), 0, 12),))
    P = SquareOnSlice(gram(blur), 0, 12)
    return ProxProgram(P, torch.zeros(12, dtype=F64), 0.0, K, torch.zeros(24, dtype=F64), ())


@pytest.mark.parametrize("solve", [SpectralSolve(), DenseCholesky(), *ITERATIVE], ids=name)
def test_kernels_and_penalties_of_images(solve: LinearSolve) -> None:
    def of(kernel: Tensor, sigma: Tensor, rho: Tensor, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        state = solve.init(deblurring(kernel), sigma.expand(12), rho.expand(24))
        return solve.solve(state, f, r)

    tensors = (numbers(3, 3).abs(), numbers(1).exp(), numbers(1, seed=1).exp(), numbers(12), numbers(24))
    leaves = tuple(t.requires_grad_() for t in tensors)
    assert gradcheck(of, leaves, check_forward_ad=True, atol=1e-6, rtol=1e-6, fast_mode=True)
    with derivatives(2):
        assert gradgradcheck(of, leaves, atol=1e-5, rtol=1e-5, fast_mode=True)


@pytest.mark.parametrize("solve", SOLVES, ids=name)
def test_function_transforms(solve: LinearSolve) -> None:
    P, K, sigma, rho, f, r = (t.detach() for t in matrices())
    df, dr = numbers(4, seed=8), numbers(5, seed=9)

    def of(f: Tensor, r: Tensor, rho: Tensor) -> Tensor:
        return solution(solve)(P, K, sigma, rho, f, r)[0]

    _, tangent = torch.func.jvp(of, (f, r, rho), (df, dr, dr))
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(*pair) for pair in ((f, df), (r, dr), (rho, dr))]
        expected = forward_ad.unpack_dual(of(*duals)).tangent
    torch.testing.assert_close(tangent, expected)


@pytest.mark.parametrize("solve", SOLVES, ids=name)
def test_what_is_not_recorded_has_no_graph(solve: LinearSolve) -> None:
    with torch.no_grad():
        x, miss = solution(solve)(*matrices())
    y, _ = solution(solve)(*(t.detach() for t in matrices()))
    assert not x.requires_grad and not miss.requires_grad and not y.requires_grad
