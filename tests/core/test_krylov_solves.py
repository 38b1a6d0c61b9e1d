"""Iterative solves on programs whose operators are not matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from cvxprox.linear_solve import MINRES, ConjugateGradient, DenseCholesky, SpectralSolve, choose_linear_solve
from cvxprox.linear_solve.choose import OPERATOR_DENSE_LIMIT
from cvxprox.linear_solve.krylov import Krylov
from cvxprox.linear_solve.preconditioner import Jacobi, SpectralPreconditioner, choose_preconditioner
from cvxprox.operators import Diagonal, FiniteDifference, OnSlice, Stacked
from cvxprox.program import ProxProgram

from .linear_solves import dense_answer
from .programs import random_program
from .structured_programs import CLOSED, F64, OPEN, SIZE

SOLVES: list[Krylov] = [ConjugateGradient(tolerance=1e-11), MINRES(tolerance=1e-12)]
PROGRAMS: dict[str, Callable[[], ProxProgram]] = {
    **{case: make for case, (_, make) in OPEN.items()},
    **{case: CLOSED[case] for case in ("uncoupled variables", "two coupled images", "super-resolution")},
}


@pytest.mark.parametrize("varying", [False, True], ids=["by piece", "by row"])
@pytest.mark.parametrize("solve", SOLVES, ids=lambda s: s.name)
@pytest.mark.parametrize("case", PROGRAMS)
def test_iterative_solves_agree_with_dense_algebra(case: str, solve: Krylov, varying: bool) -> None:
    rng = np.random.default_rng(0)
    program, state = PROGRAMS[case](), None
    for _ in range(2):
        sigma = torch.full((program.variables,), 10 ** rng.uniform(-2, 0), dtype=F64)
        rho = torch.from_numpy(10 ** rng.uniform(-1, 1, program.rows if varying else 1)).expand(program.rows)
        state = solve.init(program, sigma, rho) if state is None else solve.update(state, program, sigma, rho)
        f = torch.from_numpy(rng.standard_normal(program.variables))
        r = torch.from_numpy(rng.standard_normal(program.rows))
        x, miss = solve.solve(state, f, r)
        expected, missed = dense_answer(program, sigma, rho, f, r)
        np.testing.assert_allclose(x, expected, atol=1e-7)
        np.testing.assert_allclose(miss, missed, atol=1e-7)
    assert state is not None and state.calls == 2
    assert 0 < state.last < state.iterations <= 4 * program.variables


def inpainting(side: int, dtype: torch.dtype = F64) -> ProxProgram:
    known = Diagonal((torch.rand(side, side, generator=torch.Generator().manual_seed(0)) > 0.6).to(dtype))
    size = side * side
    D = FiniteDifference((side, side), None, "circular", dtype_in=dtype)
    K = Stacked((OnSlice(D, 0, size), OnSlice(known, 0, size)))
    return ProxProgram(None, torch.zeros(size, dtype=dtype), 0.0, K, torch.zeros(3 * size, dtype=dtype), ())


def with_ones(program: ProxProgram) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(program.variables, generator=generator).to(program.q), torch.randn(
        program.rows, generator=generator
    ).to(program.q)


@pytest.mark.parametrize("kind", [ConjugateGradient, MINRES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_spectral_preconditioner_makes_iterations_few(kind: type[Krylov], dtype: torch.dtype) -> None:
    program = inpainting(64, dtype)
    solve = kind(tolerance=1e-5)
    sigma, rho = torch.full_like(program.q, 1e-6), torch.ones_like(program.b)
    rho[: 2 * 64**2] = 30  # differences that weigh more than the data
    f, r = with_ones(program)
    state = solve.init(program, sigma, rho)
    assert isinstance(state.preconditioner, SpectralPreconditioner)
    assert state.preconditioner.name == "Fourier-diagonal on 64×64"
    x, _ = solve.solve(state, f, r)
    assert x.dtype == dtype
    residual = state.right_hand_side(f, r) - state.apply(x)
    assert residual.norm() <= 1e-3 * state.right_hand_side(f, r).norm()

    class Nothing(Jacobi):
        def factor(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> Tensor:
            return torch.ones_like(sigma)

    plain = replace(state, preconditioner=Nothing(), factor=torch.ones_like(sigma), solution=0 * x, calls=0)
    solve.solve(plain, f, r)
    assert 3 * state.last < plain.last
    solve.solve(state, f, r)  # from the solution, to a smaller tolerance
    assert state.last <= 6


def test_warm_starts_that_are_solutions_need_no_iteration() -> None:
    program = inpainting(16)
    for solve in (ConjugateGradient(tolerance=1e-8, floor=1e-3), MINRES(tolerance=1e-8, floor=1e-3)):
        state = solve.init(program, torch.ones_like(program.q), torch.ones_like(program.b))
        f, r = with_ones(program)
        state.calls, state.solution = (
            5,
            DenseCholesky().solve(
                DenseCholesky().init(program, torch.ones_like(program.q), torch.ones_like(program.b)), f, r
            )[0],
        )
        before = state.solution
        x, _ = solve.solve(state, f, r)
        assert state.last == 0 and torch.equal(x, before)


def test_zero_right_hand_sides() -> None:
    program = inpainting(8)
    for solve in (ConjugateGradient(), MINRES()):
        state = solve.init(program, torch.ones_like(program.q), torch.ones_like(program.b))
        x, miss = solve.solve(state, torch.zeros_like(program.q), torch.zeros_like(program.b))
        assert not x.any() and not miss.any()


def test_preconditioners_follow_the_structure() -> None:
    assert isinstance(choose_preconditioner(random_program()), Jacobi)
    for case, (_, make) in OPEN.items():
        assert isinstance(choose_preconditioner(make()), SpectralPreconditioner), case


def test_the_choice_for_operators() -> None:
    solve, reason = choose_linear_solve("auto", CLOSED["blur and differences"]())
    assert isinstance(solve, SpectralSolve) and "Fourier-diagonal" in reason
    solve, reason = choose_linear_solve("auto", OPEN["mask and differences"][1]())
    assert isinstance(solve, DenseCholesky) and f"{SIZE} unknowns" in reason and "no common basis" in reason
    side = int(OPERATOR_DENSE_LIMIT**0.5) + 1
    solve, reason = choose_linear_solve("auto", inpainting(side))
    assert isinstance(solve, ConjugateGradient) and "no common basis" in reason
    solve, reason = choose_linear_solve("spectral", CLOSED["mask"]())
    assert isinstance(solve, SpectralSolve) and reason == "Gram of K and P is diagonal on x (6×8)"
