"""The linear solves against dense algebra, the pattern of their matrix, and the choice of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from cvxprox.linear_solve import (
    MINRES,
    ConjugateGradient,
    DenseCholesky,
    LinearSolve,
    SparseLDL,
    choose_linear_solve,
)
from cvxprox.linear_solve.choose import DENSE_LIMIT
from cvxprox.linear_solve.kkt_matrix import kkt_pattern
from cvxprox.linear_solve.krylov import Krylov
from cvxprox.operators import as_dense
from cvxprox.program import ProxProgram

from .linear_solves import SOLVES, dense_answer
from .programs import F64, box, build, only_rows, random_program


def without_rows(P: Any) -> ProxProgram:
    return build(sp.csr_array((0, 3)), torch.zeros(0, dtype=F64), [], P=P)


SYSTEMS: dict[str, Callable[[], ProxProgram]] = {
    "all kinds of rows": random_program,
    "no P": lambda: random_program(1, quadratic=False),
    "no rows": lambda: without_rows(np.diag([1.0, 2.0, 0.0])),
    "no rows, no P": lambda: without_rows(None),
    "zero rows": lambda: only_rows([[0, 0, 0], [1, 2, 0], [0, 0, 0], [0, 1, 0]]),
    "only zero rows": lambda: only_rows(np.zeros((3, 2))),
    "only bounds": lambda: only_rows([[0, 2, 0], [3, 0, 0], [0, -1, 0]]),
    "bounds in order": lambda: only_rows(np.diag([1.0, -2, 3])),
    "no bounds": lambda: only_rows([[1, 2, 3], [4, 5, 6]]),
    "an empty column": lambda: only_rows([[1, 0, 3], [4, 0, 6], [1, 0, 0]]),
}


@pytest.mark.parametrize("solve", SOLVES, ids=lambda s: s.name)
@pytest.mark.parametrize("system", SYSTEMS)
def test_linear_solves_agree_with_dense_algebra(system: str, solve: LinearSolve) -> None:
    rng = np.random.default_rng(3)
    program = SYSTEMS[system]()
    n, m = program.variables, program.rows
    state = None
    for _ in range(3):
        sigma = torch.from_numpy(10 ** rng.uniform(-2, 0, n))
        rho = torch.from_numpy(10 ** rng.uniform(-1, 1, m))
        if state is None:
            state = solve.init(program, sigma, rho)
        else:
            state = solve.update(state, program, sigma, rho)
        for _ in range(2):
            f, r = torch.from_numpy(rng.standard_normal(n)), torch.from_numpy(rng.standard_normal(m))
            given = f.clone(), r.clone()
            x, miss = solve.solve(state, f, r)
            expected, missed = dense_answer(program, sigma, rho, f, r)
            np.testing.assert_allclose(x, expected, rtol=1e-7, atol=1e-8)
            np.testing.assert_allclose(miss, missed, rtol=1e-7, atol=1e-7)
            assert torch.equal(f, given[0]) and torch.equal(r, given[1])


@pytest.mark.parametrize("solve", SOLVES, ids=lambda s: s.name)
def test_linear_solves_in_single_precision(solve: LinearSolve) -> None:
    program = random_program().to("cpu", torch.float32)
    sigma, rho = torch.ones(program.variables), torch.full((program.rows,), 0.5)
    f, r = torch.linspace(-1, 1, program.variables), torch.linspace(-1, 1, program.rows)
    single = replace(solve, tolerance=1e-6, floor=1e-7) if isinstance(solve, Krylov) else solve
    x, miss = single.solve(single.init(program, sigma, rho), f, r)
    assert x.dtype == miss.dtype == torch.float32
    expected, missed = dense_answer(
        program.to("cpu", F64), sigma.double(), rho.double(), f.double(), r.double()
    )
    np.testing.assert_allclose(x, expected, atol=1e-3)
    np.testing.assert_allclose(miss, missed, atol=1e-3)


def test_conjugate_gradients_become_more_accurate() -> None:
    program, solve = random_program(), ConjugateGradient(tolerance=1e-1)
    sigma, rho = torch.full((program.variables,), 1e-3, dtype=F64), torch.ones(program.rows, dtype=F64)
    state = solve.init(program, sigma, rho)
    rng, errors = np.random.default_rng(0), []
    for _ in range(200):
        f = torch.from_numpy(rng.standard_normal(program.variables))
        r = torch.from_numpy(rng.standard_normal(program.rows))
        x, _ = solve.solve(state, f, r)
        rhs = f + program.K.adjoint(rho * r)
        image = program.quadratic(x) + sigma * x + program.K.adjoint(rho * program.K.forward(x))
        errors.append(float((image - rhs).norm() / rhs.norm()))
    assert 1e-4 < errors[0] <= 1e-1
    assert max(errors[-20:]) <= 1e-1 * 180**-1.5
    state = solve.update(state, program, sigma, 2 * rho)
    assert state.calls == 200


def test_padding_of_long_columns_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    n, m = 4000, 2000
    row = np.repeat(np.arange(m), 2)
    column = rng.integers(1, n, 2 * m)
    row, column = np.append(row, np.arange(300)), np.append(column, np.zeros(300, dtype=int))
    K = sp.csr_array((rng.standard_normal(row.size), (row, column)), shape=(m, n))
    K.sum_duplicates()
    K.sort_indices()
    pattern = kkt_pattern(None, K)
    length = np.diff(sp.csc_array(K).indptr)[0]
    kept = K[pattern.kept]
    matrix = pattern.matrix(np.ones(n), 2 * np.ones(pattern.kept.size))
    expected = sp.block_array([[sp.eye_array(n), kept.T], [None, -2 * sp.eye_array(pattern.kept.size)]])
    assert abs(sp.csc_array(matrix) - sp.csc_array(expected)).max() == 0
    stored = np.bincount(matrix.indices[matrix.indptr[n] :], minlength=n)[0]
    assert stored > 2 * length  # zeros were stored

    b = torch.zeros(m, dtype=F64)
    program = build(K, b, [box(-np.ones(m), np.ones(m))])
    sigma, rho = torch.full((n,), 0.1, dtype=F64), torch.full((m,), 2.0, dtype=F64)
    f, r = torch.from_numpy(rng.standard_normal(n)), torch.from_numpy(rng.standard_normal(m))
    x, miss = SparseLDL().solve(SparseLDL().init(program, sigma, rho), f, r)
    system = sp.csc_array(0.1 * sp.eye_array(n) + 2 * K.T @ K)
    reference = sp.linalg.spsolve(system, f.numpy() + 2 * K.T @ r.numpy())
    np.testing.assert_allclose(x, reference, atol=1e-9)
    np.testing.assert_allclose(miss, K @ reference - r.numpy(), atol=1e-9)


@pytest.mark.parametrize("quadratic", [True, False])
def test_kkt_pattern_with_coupled_rows(quadratic: bool) -> None:
    """Newton's matrix, with dense blocks, against the block matrix it stands for."""
    program = random_program(2, quadratic)
    K, n = as_dense(program.K).numpy(), program.variables
    P = np.zeros((n, n)) if program.P is None else as_dense(program.P).numpy()
    from cvxprox.linear_solve.kkt_matrix import coupling_pattern

    coupling = coupling_pattern(program)
    assert coupling is not None
    pattern = kkt_pattern(sp.csr_array(P) if quadratic else None, sp.csr_array(K), coupling)
    assert set(pattern.folded) == {6, 7, 8, 9, 10} | {r for r in range(16) if np.count_nonzero(K[r]) == 1}
    rng = np.random.default_rng(0)
    top, diagonal = rng.uniform(1, 2, n), rng.uniform(1, 2, program.rows)
    lower = coupling.copy()
    lower.data = rng.standard_normal(coupling.nnz)
    upper = pattern.matrix(top, diagonal[pattern.kept], lower.data).toarray()
    E = np.diag(diagonal) + lower.toarray() + lower.toarray().T
    kept = pattern.kept
    full = np.block([[P + np.diag(top), K[kept].T], [K[kept], -E[np.ix_(kept, kept)]]])
    np.testing.assert_allclose(upper, np.triu(full), atol=1e-15)


def test_choice_of_the_linear_solve() -> None:
    program = random_program()
    kinds = {"auto": SparseLDL, "qdldl": SparseLDL, "dense": DenseCholesky, "cg": ConjugateGradient,
             "minres": MINRES}  # fmt: skip
    for name, kind in kinds.items():
        assert isinstance(choose_linear_solve(name, program)[0], kind)
    elsewhere = replace(program, q=torch.empty(10, device="meta"))
    assert isinstance(choose_linear_solve("auto", elsewhere)[0], DenseCholesky)
    large = replace(program, q=torch.empty(DENSE_LIMIT + 1, device="meta"))
    solve, reason = choose_linear_solve("auto", large)
    assert isinstance(solve, ConjugateGradient) and str(DENSE_LIMIT + 1) in reason
    with pytest.raises(ValueError, match=r'runs on the CPU, not on meta\. Use "dense" or "cg"'):
        choose_linear_solve("qdldl", elsewhere)
