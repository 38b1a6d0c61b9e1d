"""Closed-form solves against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cvxprox.linear_solve import SpectralSolve, choose_linear_solve, spectral_structure
from cvxprox.linear_solve.pieces import pieces
from cvxprox.operators import FiniteDifference, Identity, OnSlice
from cvxprox.program import ProxProgram

from .linear_solves import dense_answer
from .structured_programs import (
    CLOSED,
    F64,
    OPEN,
    SHAPE,
    SIZE,
    blur,
    differences,
    on_x,
    structured,
    two_images,
)


def penalties(program: ProxProgram, rng: np.random.Generator) -> Tensor:
    """One for every piece."""
    return torch.cat(
        [torch.full(K.shape_out, 10 ** rng.uniform(-1, 1), dtype=F64) for K in pieces(program.K)]
    )


def right_hand_sides(program: ProxProgram, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(rng.standard_normal(program.variables)), torch.from_numpy(
        rng.standard_normal(program.rows)
    )


@pytest.mark.parametrize("grad", [False, True], ids=["in place", "recording"])
@pytest.mark.parametrize("case", CLOSED)
def test_closed_forms_agree_with_dense_algebra(case: str, grad: bool) -> None:
    rng = np.random.default_rng(0)
    program, solve, state = CLOSED[case](), SpectralSolve(), None
    for size in (1.0, 1e-3, 1e-6):
        sigma, rho = torch.full((program.variables,), size, dtype=F64), penalties(program, rng)
        state = solve.init(program, sigma, rho) if state is None else solve.update(state, program, sigma, rho)
        f, r = right_hand_sides(program, rng)
        f.requires_grad_(grad)
        given = f.detach().clone(), r.clone()
        x, miss = (value.detach() for value in solve.solve(state, f, r))
        assert torch.equal(f, given[0]) and torch.equal(r, given[1])
        f = f.detach()
        expected, missed = dense_answer(program, sigma, rho, f, r)
        image = program.quadratic(x) + sigma * x + program.K.adjoint(rho * program.K.forward(x))
        rhs = f + program.K.adjoint(rho * r)
        assert (image - rhs).abs().max() <= 1e-10 * rhs.abs().max() + 1e-13 * x.abs().max()
        np.testing.assert_allclose(x, expected, atol=1e-9 * np.abs(expected).max() / size**0.5)
        np.testing.assert_allclose(miss, missed, atol=1e-9 * np.abs(expected).max() / size**0.5)


@pytest.mark.parametrize("case", CLOSED)
def test_new_penalties_are_those_of_a_fresh_start(case: str) -> None:
    rng = np.random.default_rng(1)
    program, solve = CLOSED[case](), SpectralSolve()
    sigma, (f, r) = torch.full((program.variables,), 0.1, dtype=F64), right_hand_sides(program, rng)
    state = solve.init(program, 2 * sigma, penalties(program, rng))
    first = solve.solve(state, f, r)
    rho = penalties(program, rng)
    later, fresh = solve.update(state, program, sigma, rho), solve.init(program, sigma, rho)
    for one, other in zip(solve.solve(later, f, r), solve.solve(fresh, f, r), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(solve.solve(state, f, r), first, strict=True):  # the old state still serves
        assert torch.equal(one, other)


@pytest.mark.parametrize("case", OPEN)
def test_programs_without_a_closed_form(case: str) -> None:
    reason, make = OPEN[case]
    program = make()
    assert spectral_structure(program) is None
    with pytest.raises(ValueError, match=reason):
        choose_linear_solve("spectral", program)


def test_the_reason_names_the_basis_and_the_variable() -> None:
    structure = spectral_structure(CLOSED["blur and differences"]())
    assert structure is not None
    assert structure.reason == "Gram of K and P is Fourier-diagonal on x (6×8)"
    structure = spectral_structure(CLOSED["uncoupled variables"]())
    assert structure is not None
    assert "Cosine-diagonal on x[48:96] (6×8)" in structure.reason
    structure = spectral_structure(CLOSED["two coupled images"]())
    assert structure is not None and "2×2" in structure.reason
    structure = spectral_structure(CLOSED["super-resolution"]())
    assert structure is not None and "Woodbury" in structure.reason


def test_penalties_that_vary_within_a_piece() -> None:
    program = CLOSED["differences only"]()
    rho = torch.ones(program.rows, dtype=F64)
    rho[3] = 2
    with pytest.raises(ValueError, match="one penalty for every piece"):
        SpectralSolve().init(program, torch.ones(SIZE, dtype=F64), rho)


def test_expanded_penalties() -> None:
    program = CLOSED["blur and differences"]()
    one = torch.tensor(0.7, dtype=F64)
    f, r = right_hand_sides(program, np.random.default_rng(2))
    short = SpectralSolve().init(program, one.expand(SIZE), one.expand(program.rows))
    long = SpectralSolve().init(program, torch.full((SIZE,), 0.7, dtype=F64), one.repeat(program.rows))
    for a, b in zip(SpectralSolve().solve(short, f, r), SpectralSolve().solve(long, f, r), strict=True):
        assert torch.equal(a, b)


def test_singular_matrices_give_the_smallest_solution() -> None:
    program = CLOSED["differences only"]()
    sigma, rho = torch.zeros(SIZE, dtype=F64), torch.full((program.rows,), 2.0, dtype=F64)
    rng = np.random.default_rng(3)
    f, r = right_hand_sides(program, rng)
    f = f - f.mean()
    x, _ = SpectralSolve().solve(SpectralSolve().init(program, sigma, rho), f, r)
    K = program.K
    residual = K.adjoint(rho * (K.forward(x) - r)) - f
    assert residual.abs().max() < 1e-12 and abs(x.mean()) < 1e-14


def test_singular_coupled_matrices_give_the_smallest_solution() -> None:
    program = structured(two_images(Identity(SHAPE), -1.0 * Identity(SHAPE)))
    f, r = right_hand_sides(program, np.random.default_rng(7))
    f = torch.cat([f[:SIZE], -f[:SIZE]])  # in the range of the matrix
    sigma, rho = torch.zeros(2 * SIZE, dtype=F64), torch.full((SIZE,), 2.0, dtype=F64)
    x, miss = SpectralSolve().solve(SpectralSolve().init(program, sigma, rho), f, r)
    torch.testing.assert_close(program.K.adjoint(rho * miss), f)
    torch.testing.assert_close(x[:SIZE], -x[SIZE:])


def test_batches() -> None:
    program = CLOSED["two coupled images"]()
    rng = np.random.default_rng(4)
    sigma, rho = torch.full((program.variables,), 0.1, dtype=F64), penalties(program, rng)
    f = torch.from_numpy(rng.standard_normal((3, program.variables)))
    r = torch.from_numpy(rng.standard_normal((3, program.rows)))
    solve = SpectralSolve()
    state = solve.init(program, sigma, rho)
    x, miss = solve.solve(state, f, r)
    for k in range(3):
        for one, all_ in zip(solve.solve(state, f[k], r[k]), (x, miss), strict=True):
            torch.testing.assert_close(one, all_[k], atol=1e-12, rtol=0)


def test_gradients_through_right_hand_sides_and_penalties() -> None:
    program = structured(on_x(differences()), on_x(blur()))
    rng = np.random.default_rng(5)
    f, r = right_hand_sides(program, rng)
    sigma = torch.full((SIZE,), 0.1, dtype=F64)

    def solution(f: Tensor, r: Tensor, weight: Tensor) -> Tensor:
        state = SpectralSolve().init(program, sigma, weight.expand(program.rows))
        return torch.cat(SpectralSolve().solve(state, f, r))[::7]

    weight = torch.tensor(0.3, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(solution, (f.requires_grad_(), r.requires_grad_(), weight))


def test_single_precision() -> None:
    D = FiniteDifference((6, 8), None, "circular", dtype_in=torch.float32)
    zeros = torch.zeros(SIZE)
    program = ProxProgram(None, zeros, 0.0, OnSlice(D, 0, SIZE), torch.zeros(96), ())
    solve = SpectralSolve()
    f, r = (v.float() for v in right_hand_sides(program, np.random.default_rng(6)))
    sigma, rho = torch.full((SIZE,), 1e-6), torch.full((96,), 10.0)
    x, miss = solve.solve(solve.init(program, sigma, rho), f, r)
    assert x.dtype == miss.dtype == torch.float32
    # what the proximal term adds to an eigenvalue of zero is not lost in roundoff
    assert abs(float(x.mean()) * 1e-6 / float(f.mean()) - 1) < 1e-3
