"""Programs of tensors: against CVXPY's solutions, batches against samples, gradients against differences."""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

import cvxprox
from cvxprox.algorithms import Session, solve_program
from cvxprox.binding import Binder, Bound
from cvxprox.linear_solve.structure import spectral_structure
from cvxprox.operators import SparseMatrix, batched_dense
from cvxprox.program import ProxProgram
from cvxprox.solver import NablaADMM
from tests.binding.problems import CASES, Case

EVERY = [(name, lane) for name, make in CASES.items() for lane in make().lanes]


def bound(case: Case, lane: str, **options: float) -> Bound:
    binder = Binder(case.problem, NablaADMM(**options), gp=case.gp, lane=lane)
    return binder.bind(case.tensors(requires_grad=True))


def solution(program: ProxProgram):
    """The solution, with sparse matrices for dense ones."""
    from dataclasses import replace

    def sparse(K):
        return None if K is None else SparseMatrix(sp.csr_array(batched_dense(K, 0).numpy()))

    if program.K.shape_in[0] < 100 and not isinstance(program.K, SparseMatrix):
        program = replace(program, K=sparse(program.K), P=sparse(program.P))
    session = Session.start(program, NablaADMM(eps_abs=1e-9, eps_rel=1e-9).options)
    with torch.no_grad():
        return solve_program(session).point


@pytest.mark.parametrize(("name", "lane"), EVERY)
def test_the_program_is_that_of_the_problem(name: str, lane: str) -> None:
    case = CASES[name]()
    one = bound(case, lane)
    point = solution(one.task.frozen)
    values, duals = one.primal(point), one.duals(point)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # products of parameters are not DPP
        tight = {} if case.gp else {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
        case.problem.solve(solver="CLARABEL", gp=case.gp, **tight)
    for v in case.problem.variables():
        value = v.value.toarray() if hasattr(v.value, "toarray") else v.value
        np.testing.assert_allclose(values[v.id].numpy(), value, atol=3e-4)
    for con in case.problem.constraints:
        if con.id in duals and not isinstance(con.dual_value, list):
            np.testing.assert_allclose(duals[con.id].numpy(), con.dual_value, atol=3e-3)


def numbers(program: ProxProgram) -> list[Tensor]:
    """What a program is made of, as far as a random vector sees it."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(program.variables, generator=generator, dtype=torch.float64)
    v = torch.rand(program.rows, generator=generator, dtype=torch.float64)
    rho = torch.ones(program.rows, dtype=torch.float64)
    prox = program.prox(v.expand(program.b.shape), program.steps(rho))
    return [program.q, program.b, program.K.forward(x), program.quadratic(x.expand(program.q.shape)), prox]


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_its_samples(name: str) -> None:
    case = CASES[name]()
    binder = Binder(case.problem, NablaADMM(), gp=case.gp, lane="dense")
    together = numbers(binder.bind(case.batch(3), (3,)).task.program)
    assert together[0].shape[0] == 3
    for i in range(3):
        one = numbers(binder.bind({p: t[i] for p, t in case.batch(3).items()}).task.program)
        for a, b in zip(together, one, strict=True):
            a = a[i] if a.dim() > b.dim() else a
            torch.testing.assert_close(a, b)


def test_some_parameters_with_a_batch_and_some_without() -> None:
    case = CASES["quadratic_program"]()
    binder = Binder(case.problem, NablaADMM(), lane="dense")
    q = case.problem.parameters()[-1]
    tensors = case.tensors() | {q: case.batch(4)[q]}
    program = binder.bind(tensors, (4,)).task.program
    assert program.K.matrix.dim() == 2
    assert program.q.shape[0] == program.b.shape[0] == 4


@pytest.mark.parametrize(("name", "lane"), EVERY)
def test_gradients_of_the_numbers(name: str, lane: str) -> None:
    case = CASES[name]()
    binder = Binder(case.problem, NablaADMM(), gp=case.gp, lane=lane)
    tensors = case.tensors(requires_grad=True)

    def value(*parameters: Tensor) -> Tensor:
        found = numbers(binder.bind(dict(zip(tensors, parameters, strict=True))).task.program)
        total = torch.zeros((), dtype=torch.float64)
        for k, part in enumerate(found):
            weight = torch.sin(torch.arange(part.numel(), dtype=torch.float64) + k).reshape(part.shape)
            total = total + (weight * part).sum()
        return total

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.autograd.gradcheck(value, tuple(tensors.values()), atol=1e-6, rtol=1e-5)


def test_a_parameter_without_tensor_and_value_is_named() -> None:
    case = CASES["lasso"]()
    binder = Binder(case.problem, NablaADMM())
    weight = next(p for p in case.problem.parameters() if p.name() == "weight")
    weight.value = None
    with pytest.raises(ValueError, match="`weight` has no tensor and no value"):
        binder.bind({})


def test_warm_starts_hold_the_variables() -> None:
    case = CASES["semidefinite_program"]()
    one = bound(case, "dense")
    S = case.problem.variables()[0]
    value = torch.eye(3, dtype=torch.float64) + 0.1
    point = one.start({S.id: value})
    assert point is not None
    torch.testing.assert_close(one.primal(point)[S.id], value)


def test_data_with_a_batch_share_operators() -> None:
    case = CASES["deblurring"]()
    binder = Binder(case.problem, NablaADMM(), lane="structured")
    kernel, y, weight = (
        next(p for p in binder.parameters if p.name() == n) for n in ("kernel", "y", "weight")
    )
    assert binder.shares_operators([y])
    assert not binder.shares_operators([kernel])
    assert not binder.shares_operators([weight])
    values = case.tensors() | {y: case.batch(3)[y]}
    together = numbers(binder.bind(values, (3,)).task.program)
    for i in range(3):
        one = numbers(binder.bind(values | {y: values[y][i]}).task.program)
        for a, b in zip(together, one, strict=True):
            torch.testing.assert_close(a[i] if a.dim() > b.dim() else a, b)


@pytest.mark.parametrize("weighted", ["a number", "every pixel"])
def test_one_weight_for_all_pixels_keeps_the_closed_form(weighted: str) -> None:
    """Weights that are equal by chance may change each for itself, and are no reason for a closed form."""
    x, y = cp.Variable((8, 8)), cp.Parameter((8, 8))
    pixels = weighted == "every pixel"
    weight = cp.Parameter((8, 8), nonneg=True) if pixels else cp.Parameter(nonneg=True)
    squares = cp.square(cvxprox.conv(x, np.full((3, 3), 1 / 9)) - y)
    fit = cp.sum(cp.multiply(weight, squares)) if pixels else weight * cp.sum(squares)
    binder = Binder(cp.Problem(cp.Minimize(fit + cvxprox.tv(x))), NablaADMM(), lane="structured")
    values = {p: torch.ones(p.shape, dtype=torch.float64, requires_grad=True) for p in (y, weight)}
    task = binder.bind(values).task
    found = [spectral_structure(program) is not None for program in (task.program, task.frozen)]
    assert found == [not pixels, not pixels]
