"""The numerical core: linear solves, scaling, penalties, acceleration, residuals, certificates, polish."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

import cvxprox
from cvxprox import prox
from cvxprox.algorithms import (
    ADMM,
    Accelerated,
    Algorithm,
    Point,
    Residuals,
    Result,
    Session,
    Tolerances,
    iterate,
    residuals,
    solve_admm,
)
from cvxprox.algorithms.certificates import dual_infeasibility, primal_infeasibility
from cvxprox.algorithms.elastic import elastic_certificate, elastic_program
from cvxprox.algorithms.newton import NewtonPolish
from cvxprox.algorithms.penalties import (
    EQUALITY_FACTOR,
    FixedPenalties,
    ScalarPenalty,
    SpectralPenalties,
    initial_multiplier,
)
from cvxprox.algorithms.scaling import Metric, equilibrate
from cvxprox.linear_solve import (
    ConjugateGradient,
    DenseCholesky,
    LinearSolve,
    SparseLDL,
    choose_linear_solve,
)
from cvxprox.linear_solve.choose import DENSE_LIMIT
from cvxprox.linear_solve.kkt_matrix import kkt_pattern
from cvxprox.operators import SparseMatrix, as_dense
from cvxprox.options import Options
from cvxprox.program import Block, ProxProgram
from cvxprox.reductions.assemble import assemble
from cvxprox.solver import Outcome
from cvxprox.status import Status

F64 = torch.float64
INF = math.inf
Rows = tuple[prox.ProxFunction, tuple[int, ...], "Tensor | None"]


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def build(
    K: Any, b: Tensor, rows: list[Rows], q: Tensor | None = None, P: Any = None, offset: float = 0.0
) -> ProxProgram:
    """A program from matrices and ``(function, shape, weight)`` of its blocks."""
    K = sp.csr_array(K)
    blocks, start = [], 0
    for function, shape, weight in rows:
        stop = start + math.prod(shape)
        blocks.append(Block(function, start, stop, shape, weight))
        start = stop
    assert start == K.shape[0] == b.numel()
    q = torch.zeros(K.shape[1], dtype=F64) if q is None else q
    quadratic = None if P is None else SparseMatrix(sp.csr_array(P))
    return ProxProgram(quadratic, q, offset, SparseMatrix(K), b, tuple(blocks))


def box(lower: Any, upper: Any) -> Rows:
    low, high = (torch.as_tensor(v, dtype=F64).reshape(-1) for v in (lower, upper))
    return prox.Box(low, high), (low.numel(),), None


def compiled(problem: cp.Problem) -> ProxProgram:
    """The program that the solver makes of a CVXPY problem."""
    data = problem.get_problem_data("NABLA_ADMM")[0]
    return assemble(data["numbers"], data["param_prob"].layout).program


def run(program: ProxProgram, **options: Any) -> Result:
    return solve_admm(Session.start(program, Options().with_changes(options)))


def random_program(seed: int = 0, quadratic: bool = True) -> ProxProgram:
    """Equalities, intervals, bounds (some twice on a variable), an l1 term, cones; feasible and bounded."""
    rng = np.random.default_rng(seed)
    n, size = 9, 4
    scale = 10.0 ** rng.uniform(-1, 1, n)
    general = sp.random_array((6, n), density=0.5, rng=rng).toarray() + np.eye(6, n)
    bounds = np.eye(n)[[0, 1, 2, 2, 5]] * np.array([1.0, -2.0, 3.0, 0.5, 1.0])[:, None]
    terms = sp.random_array((5, n), density=0.4, rng=rng).toarray() * 3
    cones = rng.standard_normal((2 * size, n))
    K = np.vstack([general, bounds, terms, cones]) * scale
    x = rng.standard_normal(n) / scale
    b = torch.from_numpy(rng.standard_normal(len(K)))
    at_x = K @ x + b.numpy()
    low, high = at_x[:11] - rng.uniform(0, 1, 11), at_x[:11] + rng.uniform(0, 1, 11)
    low[:2] = high[:2] = at_x[:2]
    high[3], low[8] = INF, -INF
    for k in range(2):
        first = 16 + size * k
        b[first] += 0.3 + np.linalg.norm(at_x[first + 1 : first + size]) - at_x[first]
    weight = torch.from_numpy(rng.uniform(0.1, 2, 5))
    P = None
    if quadratic:
        factor = rng.standard_normal((4, n)) * scale
        P = factor.T @ factor
    rows: list[Rows] = [
        box(low, high),
        (prox.Abs(), (5,), weight),
        (prox.SecondOrderCone(), (2, size), None),
    ]
    q = torch.from_numpy(K.T @ rng.uniform(-0.1, 0.1, len(K)))
    return build(K, b, rows, q, P)


# -- linear solves -----------------------------------------------------------------------------


def without_rows(P: Any) -> ProxProgram:
    return build(sp.csr_array((0, 3)), torch.zeros(0, dtype=F64), [], P=P)


def only_rows(K: Any) -> ProxProgram:
    K = np.asarray(K, dtype=float)
    return build(K, torch.ones(len(K), dtype=F64), [box(-np.ones(len(K)), np.ones(len(K)))])


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
SOLVES: list[LinearSolve] = [SparseLDL(), DenseCholesky(), ConjugateGradient(tolerance=1e-13, floor=1e-15)]


def dense_answer(
    program: ProxProgram, sigma: Tensor, rho: Tensor, f: Tensor, r: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    K = as_dense(program.K).numpy()
    P = np.zeros((K.shape[1], K.shape[1])) if program.P is None else as_dense(program.P).numpy()
    S, R = np.diag(sigma.numpy()), np.diag(rho.numpy())
    x = np.linalg.solve(P + S + K.T @ R @ K, f.numpy() + K.T @ R @ r.numpy())
    return x, K @ x - r.numpy()


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
    single = replace(solve, tolerance=1e-6, floor=1e-7) if isinstance(solve, ConjugateGradient) else solve
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
    kinds = {"auto": SparseLDL, "qdldl": SparseLDL, "dense": DenseCholesky, "cg": ConjugateGradient}
    for name, kind in kinds.items():
        assert isinstance(choose_linear_solve(name, program)[0], kind)
    elsewhere = replace(program, q=torch.empty(10, device="meta"))
    assert isinstance(choose_linear_solve("auto", elsewhere)[0], DenseCholesky)
    large = replace(program, q=torch.empty(DENSE_LIMIT + 1, device="meta"))
    solve, reason = choose_linear_solve("auto", large)
    assert isinstance(solve, ConjugateGradient) and str(DENSE_LIMIT + 1) in reason
    with pytest.raises(ValueError, match=r'runs on the CPU, not on meta\. Use "dense" or "cg"'):
        choose_linear_solve("qdldl", elsewhere)


# -- equilibration -----------------------------------------------------------------------------


def scaled(program: ProxProgram, metric: Metric) -> ProxProgram:
    """The equilibrated program, written out: boxes, l1 terms and second-order cones only."""
    D, E, c = sp.diags_array(metric.d.numpy()), sp.diags_array(metric.e.numpy()), metric.c
    rows: list[Rows] = []
    for block in program.blocks:
        e = metric.e[block.start : block.stop]
        if isinstance(block.function, prox.Box):
            rows.append(box(block.function.lower * e, block.function.upper * e))
        elif block.weight is not None:
            rows.append((block.function, block.shape, c * block.weight / e))
        else:
            rows.append((block.function, block.shape, None))
    P = None if program.P is None else c * D @ sp.csr_array(as_dense(program.P).numpy()) @ D
    K = E @ sp.csr_array(as_dense(program.K).numpy()) @ D
    return build(K, metric.e * program.b, rows, c * metric.d * program.q, P)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("quadratic", [True, False])
def test_equilibration_is_a_metric(seed: int, quadratic: bool) -> None:
    """The iterates on the original data are those of the scaled program, mapped back."""
    program = random_program(seed, quadratic)
    metric = equilibrate(program, 10)
    assert float(metric.d.max() / metric.d.min()) > 3 and not 0.99 < metric.c < 1.01
    other = scaled(program, metric)
    multiplier = initial_multiplier(program, 0.1)
    assert torch.equal(multiplier, initial_multiplier(other, 0.1))
    assert set((multiplier / 0.1).round(decimals=6).tolist()) == {1.0, EQUALITY_FACTOR}
    admm = ADMM(program, SparseLDL(), metric.sigma(1e-2), metric.rho(multiplier))
    twin = ADMM(other, SparseLDL(), torch.full_like(other.q, 1e-2), multiplier)
    state, image = admm.init(), twin.init()
    for _ in range(40):
        state, image = admm.step(state), twin.step(image)
    point, mapped = admm.point(state), twin.point(image)
    assert float(point.x.abs().max()) > 1e-3
    torch.testing.assert_close(point.x, metric.d * mapped.x, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(point.z, mapped.z / metric.e, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(point.y, metric.e * mapped.y / metric.c, rtol=1e-6, atol=1e-8)


def test_equilibration_balances_rows_and_columns() -> None:
    program = random_program()
    metric = equilibrate(program, 20)
    balanced = scaled(program, metric)
    K, P = as_dense(balanced.K).abs(), as_dense(balanced.P).abs() / metric.c  # type: ignore[arg-type]
    columns = torch.maximum(K.amax(dim=0), P.amax(dim=0))
    assert float(columns.max() / columns.min()) < 1.5
    for block in program.blocks:
        rows = block.points(K.amax(dim=1)).reshape(block.shape[0], -1).amax(dim=1)
        assert float(rows.max() / rows.min()) < 1.5
        e = block.points(metric.e).reshape(block.shape[0], -1)
        assert bool((e == e[:, :1]).all())
    original = torch.maximum(as_dense(program.K).abs().amax(dim=0), torch.zeros(()))
    assert float(original.max() / original.min()) > 10
    none = equilibrate(program, 0)
    assert torch.equal(none.d, torch.ones_like(none.d)) and torch.equal(none.e, torch.ones_like(none.e))


def test_equilibration_of_zero_rows_and_columns() -> None:
    program = only_rows([[0.0, 0.0], [5.0, 0.0]])
    metric = equilibrate(program, 10)
    assert bool(torch.isfinite(metric.d).all()) and bool(torch.isfinite(metric.e).all())
    assert metric.d[1] == 1 and metric.e[0] == 1 and metric.c == 1


# -- penalties ---------------------------------------------------------------------------------

QUIET = Residuals(1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0)


def separable_program() -> ProxProgram:
    rows: list[Rows] = [box([0.0, 1.0, -1.0], [INF, 1.0, 1.0]), (prox.Norm2(), (1, 2), vector(1.0))]
    return build(np.eye(5), torch.zeros(5, dtype=F64), rows)


def test_spectral_penalties_are_secants() -> None:
    program = separable_program()
    metric = Metric(torch.ones(5, dtype=F64), vector(1, 1, 2, 3, 3), 0.5)
    rule = SpectralPenalties(program, metric)
    zero = torch.zeros(5, dtype=F64)
    dz, dy = vector(1, 1, 2, 1, 4), vector(3, 7, 0.1, 9, 1)
    multiplier = initial_multiplier(program, 0.1)
    old, new = Point(zero, zero, zero), Point(zero, dz, -dy)
    assert rule.propose(49, multiplier, old, new, QUIET) is None
    proposed = rule.propose(50, multiplier, old, new, QUIET)
    assert proposed is not None
    dual, primal = dy * metric.c / metric.e, dz * metric.e
    secant = (dual + 1e-3 * dual.square().mean().sqrt()) / (primal + 1e-3 * primal.square().mean().sqrt())
    expected = (multiplier * secant).sqrt()
    expected[1] = 100.0  # the equality
    expected[3:] = (expected[3] * expected[4]).sqrt()  # one point of a norm
    torch.testing.assert_close(proposed, expected)
    assert rule.propose(100, multiplier, old, new, QUIET) is None  # the interval has grown to 55
    assert rule.propose(105, multiplier, old, new, QUIET) is not None
    assert rule.propose(105 + 60, multiplier, old, new, QUIET) is None


def test_spectral_penalties_have_bounds_and_an_end() -> None:
    program = separable_program()
    metric = Metric(torch.ones(5, dtype=F64), torch.ones(5, dtype=F64), 1.0)
    rule = SpectralPenalties(program, metric, interval=1, last=5)
    zero, one = torch.zeros(5, dtype=F64), torch.ones(5, dtype=F64)
    still, moved = Point(zero, zero, zero), Point(zero, one, 1e12 * one)
    multiplier = start = initial_multiplier(program, 0.1)
    proposals = []
    for iteration in range(1, 40, 3):
        proposed = rule.propose(iteration, multiplier, still, moved, QUIET)
        if proposed is not None:
            multiplier = proposed
            proposals.append(iteration)
    torch.testing.assert_close(multiplier[[0, 2, 3, 4]], 1e4 * start[[0, 2, 3, 4]])
    assert len(proposals) == 1 and rule.updates == 5  # at its bound it moves no more
    same = SpectralPenalties(program, metric, interval=1).propose(
        1, start, still, Point(zero, one, 0.2 * one), QUIET
    )
    assert same is None  # a small change is not worth a factorisation


def test_spectral_penalties_give_up_where_nothing_improves() -> None:
    """They return to the initial penalties and go on with one factor."""
    program = separable_program()
    rule = SpectralPenalties(program, plain_metric(program), interval=1, patience=3)
    zero, one = torch.zeros(5, dtype=F64), torch.ones(5, dtype=F64)
    start = initial_multiplier(program, 0.1)
    multiplier, seen = start, []
    for k, ratio in enumerate((1e6, 1e-6, 1e6, 1e-6, 1e6, 1e-6)):
        primal = max(0.4**k, 0.4**2)  # improves twice
        current = replace(QUIET, primal=primal, dual=primal)
        proposed = rule.propose(
            10 * k + 1, multiplier, Point(zero, zero, zero), Point(zero, one, ratio * one), current
        )
        multiplier = multiplier if proposed is None else proposed
        seen.append(torch.equal(multiplier, start))
    assert seen == [False, False, False, False, False, True]
    balanced = replace(QUIET, primal=1e-2, dual=1.0)
    point = Point(zero, one, one)
    proposed = rule.propose(200, multiplier, point, point, balanced)
    torch.testing.assert_close(proposed, 0.1 * multiplier)


def test_scalar_penalty_balances_the_residuals() -> None:
    rule = ScalarPenalty()
    point = Point(*(torch.zeros(2, dtype=F64) for _ in range(3)))
    multiplier = vector(0.1, 100.0)
    unbalanced = replace(QUIET, primal=0.09, primal_scale=10.0, dual=1e-3, dual_scale=10.0)
    assert rule.propose(50, multiplier, point, point, unbalanced) is None
    proposed = rule.propose(100, multiplier, point, point, unbalanced)
    torch.testing.assert_close(proposed, multiplier * math.sqrt(90))
    assert rule.propose(100, multiplier, point, point, replace(unbalanced, dual=0.01)) is None
    reverse = replace(unbalanced, primal=1e-5, dual=1.0)
    torch.testing.assert_close(
        rule.propose(200, multiplier, point, point, reverse), multiplier * math.sqrt(1e-5)
    )
    assert FixedPenalties().propose(100, multiplier, point, point, unbalanced) is None


@pytest.mark.parametrize("solve", SOLVES, ids=lambda s: s.name)
def test_new_penalties_keep_the_point(solve: LinearSolve) -> None:
    program = random_program()
    rho = torch.full((program.rows,), 0.3, dtype=F64)
    admm = ADMM(program, solve, torch.full_like(program.q, 1e-3), rho)
    state = admm.init()
    for _ in range(5):
        state = admm.step(state)
    before = admm.point(state)
    after_state = admm.with_penalties(state, 7 * rho)
    after = admm.point(after_state)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old, new, rtol=1e-9, atol=1e-9)
    stepped = admm.step(after_state)
    fresh = ADMM(program, solve, admm.sigma, 7 * rho)
    torch.testing.assert_close(stepped.x, fresh.step(fresh.init(before)).x, rtol=1e-6, atol=1e-7)
    assert not torch.allclose(stepped.x, admm.step(admm.init(before)).x, rtol=1e-3)


# -- ADMM --------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1.0, 1.6])
def test_step_is_admm(alpha: float) -> None:
    """The recursion in (z, y), as in the literature, for two steps."""
    program = random_program()
    sigma = torch.full_like(program.q, 0.1)
    rho = torch.linspace(0.5, 2, program.rows, dtype=F64)
    rho[16:20], rho[20:24] = 1.0, 1.5
    admm = ADMM(program, DenseCholesky(), sigma, rho, alpha)
    rng = np.random.default_rng(0)
    v = torch.from_numpy(rng.standard_normal(program.rows))
    state = admm.init()._replace(x=torch.from_numpy(rng.standard_normal(program.variables)), v=v)
    x, z = state.x, program.prox(v, program.steps(rho))
    y = rho * (v - z)
    for _ in range(2):
        state = admm.step(state)
        x_half, _ = dense_answer(program, sigma, rho, sigma * x - program.q, z - y / rho - program.b)
        x_tilde = torch.from_numpy(x_half)
        x = alpha * x_tilde + (1 - alpha) * x
        relaxed = alpha * (program.K.forward(x_tilde) + program.b) + (1 - alpha) * z
        z = program.prox(relaxed + y / rho, program.steps(rho))
        y = y + rho * (relaxed - z)
        point = admm.point(state)
        torch.testing.assert_close(point.x, x)
        torch.testing.assert_close(point.z, z)
        torch.testing.assert_close(point.y, y, rtol=1e-6, atol=1e-9)


def test_states_are_values() -> None:
    program = random_program()
    admm = ADMM(program, SparseLDL(), torch.full_like(program.q, 0.1), torch.ones_like(program.b))
    state = admm.step(admm.init())
    x, v = state.x.clone(), state.v.clone()
    first, second = admm.step(state), admm.step(state)
    assert torch.equal(state.x, x) and torch.equal(state.v, v)
    assert torch.equal(first.v, second.v) and not torch.equal(first.v, v)


# -- Anderson acceleration ---------------------------------------------------------------------


@dataclass(frozen=True)
class Map(Algorithm):
    """The iteration of a map of vectors."""

    function: Callable[[Tensor], Tensor]
    start: Tensor

    def init(self, start: Point | None = None) -> Tensor:
        return self.start

    def step(self, state: Tensor) -> Tensor:
        return self.function(state)

    def point(self, state: Tensor) -> Point:
        return Point(state, state, state)

    def fixed_point(self, state: Tensor) -> Tensor:
        return state

    def replace_fixed_point(self, state: Tensor, vector: Tensor) -> Tensor:
        return vector


def steps(algorithm: Algorithm, count: int) -> Any:
    state = algorithm.init()
    for _ in range(count):
        state = algorithm.step(state)
    return state


def test_acceleration_solves_linear_maps() -> None:
    rates = vector(0.99, 0.97, 0.9, 0.8)
    plain = Map(lambda w: rates * w + (1 - rates), torch.zeros(4, dtype=F64))
    state = steps(Accelerated(plain, memory=5, interval=2), 40)
    assert state.accepted >= 4
    error = (state.inner - 1).abs().max()
    assert float(error) < 1e-4 < 0.1 < float((steps(plain, 40) - 1).abs().max())


def test_one_difference_solves_a_map_of_one_rate() -> None:
    """Samples at steps 2 and 4; the extrapolation from the second is the fixed point."""
    algorithm = Accelerated(Map(lambda w: 0.9 * w + 0.1, torch.zeros(1, dtype=F64)), interval=2)
    state = steps(algorithm, 4)
    assert state.fallback is not None
    torch.testing.assert_close(algorithm.point(state).x, vector(1 - 0.9**4))  # not judged yet
    torch.testing.assert_close(state.inner, vector(1), rtol=0, atol=1e-6)
    state = algorithm.step(state)
    assert state.accepted == 1 and state.fallback is None


def test_acceleration_rejects_what_makes_the_residual_grow() -> None:
    def kinked(w: Tensor) -> Tensor:  # slow on the left of 1, moving away from it on the right
        return torch.where(w < 1, w + 0.1 * (3 - w), w + 40 * (w - 1) + 5)

    algorithm = Accelerated(Map(kinked, vector(-5.0)), interval=2, regularisation=0.0)
    state = algorithm.init()
    seen = []
    for _ in range(8):
        state = algorithm.step(state)
        seen.append((state.accepted, state.rejected))
    assert seen[-1][1] >= 1 and seen[-1][0] == 0
    # the plain iterates go on as if nothing had happened, less the steps spent on judging
    plain = steps(Map(kinked, vector(-5.0)), 8 - state.rejected - (state.fallback is not None))
    current = algorithm.point(state).x
    torch.testing.assert_close(current, plain if state.fallback is None else current)
    assert bool((current < 1).all())


def test_acceleration_of_a_map_with_constant_drift() -> None:
    """What the iterates of an infeasible program do: all differences of residuals are zero."""
    state = steps(Accelerated(Map(lambda w: w + 1, torch.zeros(2, dtype=F64)), interval=2), 20)
    assert bool(torch.isfinite(state.inner).all())


@pytest.mark.parametrize("seed", range(3))
def test_acceleration_reaches_the_same_fixed_point(seed: int) -> None:
    program = random_program(seed)
    metric = equilibrate(program, 10)
    admm = ADMM(program, SparseLDL(), metric.sigma(1e-6), metric.rho(initial_multiplier(program, 0.1)))
    fast = Accelerated(admm)
    with torch.no_grad():
        plain, accelerated = steps(admm, 3000), steps(fast, 3000)
    tol = Tolerances(1e-6, 1e-6)
    assert residuals(program, admm.point(plain)).ratio(tol) < 1
    assert residuals(program, fast.point(accelerated)).ratio(tol) < 1
    torch.testing.assert_close(fast.point(accelerated).x, admm.point(plain).x, rtol=1e-4, atol=1e-5)
    assert accelerated.accepted > 0


# -- residuals ---------------------------------------------------------------------------------


def program_of_intervals(seed: int, quadratic: bool) -> tuple[ProxProgram, np.ndarray, np.ndarray]:
    """Intervals with all bounds finite and an l1 term, and the bounds."""
    rng = np.random.default_rng(seed)
    K = rng.standard_normal((9, 4))
    low = rng.uniform(-2, 0, 6)
    high = low + rng.uniform(0, 2, 6)
    rows: list[Rows] = [box(low, high), (prox.Abs(), (3,), torch.from_numpy(rng.uniform(0.5, 2, 3)))]
    factor = rng.standard_normal((3, 4))
    b, q = (torch.from_numpy(rng.standard_normal(k)) for k in (9, 4))
    return build(K, b, rows, q, factor.T @ factor if quadratic else None, offset=2.5), low, high


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_residuals_are_those_of_explicit_primal_and_dual_values(seed: int, quadratic: bool) -> None:
    program, low, high = program_of_intervals(seed, quadratic)
    rng = np.random.default_rng(seed + 100)
    x, v = torch.from_numpy(rng.standard_normal(4)), torch.from_numpy(2 * rng.standard_normal(9))
    rho = torch.from_numpy(rng.uniform(0.5, 2, 9))
    z = program.prox(v, program.steps(rho))
    point = Point(x, z, rho * (v - z))
    X, Z, Y = (t.numpy() for t in point)
    K, b, q = as_dense(program.K).numpy(), program.b.numpy(), program.q.numpy()
    P = as_dense(program.P).numpy() if program.P is not None else np.zeros((4, 4))
    weight = program.blocks[1].weight
    assert weight is not None and np.abs(Y[6:]).max() <= weight.numpy().max() + 1e-12
    primal = 0.5 * X @ P @ X + q @ X + weight.numpy() @ np.abs(Z[6:]) + 2.5
    conjugate = np.maximum(Y[:6], 0) @ high + np.minimum(Y[:6], 0) @ low  # that of the l1 term is 0
    dual = -0.5 * X @ P @ X - conjugate + b @ Y + 2.5
    found = residuals(program, point)
    assert found.objective == pytest.approx(primal)
    assert found.gap == pytest.approx(abs(primal - dual))
    assert found.gap_scale == pytest.approx(max(abs(primal), abs(dual)))
    assert found.primal == pytest.approx(np.abs(K @ X + b - Z).max())
    assert found.dual == pytest.approx(np.abs(P @ X + q + K.T @ Y).max())
    assert found.dual_scale == pytest.approx(max(np.abs(v).max() for v in (P @ X, K.T @ Y, q)))
    for (r, scale), rows in zip(found.blocks, (slice(0, 6), slice(6, 9)), strict=True):
        assert r == pytest.approx(np.abs((K @ X + b - Z)[rows]).max())
        assert scale == pytest.approx(max(np.abs(v[rows]).max() for v in (K @ X, Z, b)))


def test_equilibrated_residuals_are_those_of_the_scaled_program() -> None:
    program = random_program()
    metric = equilibrate(program, 10)
    rng = np.random.default_rng(0)
    x, v = (torch.from_numpy(rng.standard_normal(k)) for k in (program.variables, program.rows))
    rho = metric.rho(torch.ones_like(program.b))
    z = program.prox(v, program.steps(rho))
    point = Point(x, z, rho * (v - z))
    mapped = Point(x / metric.d, z * metric.e, metric.c * point.y / metric.e)
    other = scaled(program, metric)
    found = residuals(program, point, metric).equilibrated
    assert found > 1e-3
    assert found == pytest.approx(residuals(other, mapped, plain_metric(other)).equilibrated)
    assert residuals(program, point).equilibrated == 0


def test_ratio_and_nan() -> None:
    tol = Tolerances(1e-3, 1e-2)
    base = Residuals(0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0)
    assert base.ratio(tol) == 0
    assert replace(base, dual=0.042).ratio(tol) == pytest.approx(2)
    assert replace(base, gap=0.062).ratio(tol) == pytest.approx(2)
    assert replace(base, blocks=((0.0, 9.0), (0.022, 1.0))).ratio(tol) == pytest.approx(2)
    assert replace(base, equilibrated=INF).ratio(tol) == INF
    assert base.within(base) and not replace(base, gap=1e-3).within(base)


@pytest.mark.parametrize("number", [math.nan, INF], ids=str)
@pytest.mark.parametrize("place", ["x", "z", "y"])
def test_a_point_that_is_not_finite_is_never_optimal(place: str, number: float) -> None:
    program = random_program()
    point = run(program).point
    assert residuals(program, point).ratio(Tolerances(1e-4, 1e-4)) <= 1
    broken = point._replace(**{place: getattr(point, place) + number})
    metric = equilibrate(program, 10)
    for found in (residuals(program, broken), residuals(program, broken, metric)):
        assert found.ratio(Tolerances(1e-4, 1e-4)) > 1


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_solutions_of_random_programs(seed: int, quadratic: bool) -> None:
    """Programs with bounds, cones and an l1 term, written again in CVXPY for Clarabel."""
    program = random_program(seed, quadratic)
    K, b, q = as_dense(program.K).numpy(), program.b.numpy(), program.q.numpy()
    x = cp.Variable(program.variables)
    z = K @ x + b
    bounds, weight = program.blocks[0].function, program.blocks[1].weight
    assert isinstance(bounds, prox.Box) and weight is not None
    low, high = bounds.lower.numpy(), bounds.upper.numpy()
    objective = q @ x + weight.numpy() @ cp.abs(z[11:16])
    if program.P is not None:
        objective += 0.5 * cp.quad_form(x, cp.psd_wrap(as_dense(program.P).numpy()))
    finite = [np.flatnonzero(np.isfinite(v)) for v in (low, high)]
    constraints = [z[finite[0]] >= low[finite[0]], z[finite[1]] <= high[finite[1]]]
    constraints += [cp.SOC(z[k], z[k + 1 : k + 4]) for k in (16, 20)]
    expected = cp.Problem(cp.Minimize(objective), constraints).solve(solver=cp.CLARABEL)
    result = run(program)
    assert result.status is Status.OPTIMAL
    assert result.residuals.objective == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert float(program.objective(result.primal)) == pytest.approx(expected, rel=1e-4, abs=1e-4)


# -- certificates ------------------------------------------------------------------------------


def plain_metric(program: ProxProgram) -> Metric:
    return Metric(torch.ones_like(program.q), torch.ones_like(program.b), 1.0)


INFEASIBLE: dict[str, tuple[ProxProgram, Tensor]] = {
    # x >= 1, x <= 0
    "bounds": (build([[1.0], [-1.0]], vector(-1, 0), [box([0, 0], [INF, INF])]), vector(-1, -1)),
    # x + y == 1, x + y == 2
    "equalities": (build([[1.0, 1], [1, 1]], vector(0, 0), [box([1, 2], [1, 2])]), vector(1, -1)),
    # 0 <= x <= 1, 3 <= x <= 4
    "intervals": (build([[1.0], [1.0]], vector(0, 0), [box([0, 3], [1, 4])]), vector(1, -1)),
    # |x| <= -1
    "cone": (
        build([[0.0], [1.0]], vector(-1, 0), [(prox.SecondOrderCone(), (1, 2), None)]), vector(-2, 0)
    ),
    # |x| <= 1, x >= 2
    "ball": (
        build(
            [[1.0, 0], [0, 1], [1, 0]],
            vector(0, 0, -2),
            [(prox.Norm2Ball(vector(1)), (1, 2), None), box([0], [INF])],
        ),
        vector(1, 0, -1),
    ),
    # log(x) in the objective, x <= -1
    "domain": (
        build([[1.0], [1.0]], vector(0, 0), [(prox.NegLog(), (1,), vector(2)), box([-INF], [-1])]),
        vector(-1, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INFEASIBLE)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_true_certificates_of_infeasibility_are_accepted(name: str, scale: float) -> None:
    program, y = INFEASIBLE[name]
    ray = primal_infeasibility(program, plain_metric(program), scale * y)
    assert ray is not None and ray.violation < 1e-7
    cosine = float(ray.direction @ y / ray.direction.norm() / y.norm())
    assert cosine == pytest.approx(1)
    assert float(program.K.adjoint(ray.direction).abs().max()) < 1e-7
    support = sum(float(b.function.domain_support(b.points(ray.direction)).sum()) for b in program.blocks)
    assert support - float(program.b @ ray.direction) == pytest.approx(-1)


@pytest.mark.parametrize("name", INFEASIBLE)
def test_perturbed_certificates_of_infeasibility_are_rejected(name: str) -> None:
    program, y = INFEASIBLE[name]
    metric, rng = plain_metric(program), np.random.default_rng(0)
    assert primal_infeasibility(program, metric, -y) is None
    assert primal_infeasibility(program, metric, 0 * y) is None
    assert primal_infeasibility(program, metric, torch.full_like(y, torch.nan)) is None
    kernel = torch.linalg.svd(as_dense(program.K).mT)[2][torch.linalg.matrix_rank(as_dense(program.K)) :]
    wrong = 0
    for _ in range(20):
        noise = torch.from_numpy(rng.standard_normal(y.shape))
        noise -= kernel.mT @ (kernel @ noise)  # what K'y sees
        ray = primal_infeasibility(program, metric, y + 0.1 * noise / noise.norm())
        wrong += ray is None or ray.violation > 1e-3
    assert wrong >= 15  # some are projected back onto the barrier cone


def test_feasible_programs_have_no_certificate() -> None:
    rng = np.random.default_rng(1)
    for seed in range(5):
        program = random_program(seed)
        metric = equilibrate(program, 10)
        for _ in range(40):
            y = torch.from_numpy(rng.standard_normal(program.rows)) * metric.e
            ray = primal_infeasibility(program, metric, y)
            assert ray is None or ray.violation > 1e-3


def descending(weight: float = 0.5, upper: float = INF, P: float | None = None) -> ProxProgram:
    """Minimize -x + weight |x| + P x^2 / 2 subject to 0 <= x <= upper."""
    rows: list[Rows] = [box([0.0], [upper]), (prox.Abs(), (1,), vector(weight))]
    quadratic = None if P is None else [[P]]
    return build([[1.0], [1.0]], vector(0, 0), rows, vector(-1), quadratic)


def test_true_directions_are_accepted() -> None:
    program = descending()
    ray = dual_infeasibility(program, plain_metric(program), vector(3.0))
    assert ray is not None and ray.violation == 0
    torch.testing.assert_close(ray.direction, vector(2.0))  # slope -1 + 1/2 per unit
    cone = build(np.eye(2), vector(0, 1), [(prox.SecondOrderCone(), (1, 2), None)], vector(-1, 0))
    for direction, good in ((vector(1, 0.5), True), (vector(1, 1.5), False), (vector(-1, 0), False)):
        ray = dual_infeasibility(cone, plain_metric(cone), direction)
        assert (ray is not None and ray.violation < 1e-12) == good
    quadratic = build(np.zeros((0, 2)), torch.zeros(0, dtype=F64), [], vector(-1, 0), np.diag([0.0, 1.0]))
    ray = dual_infeasibility(quadratic, plain_metric(quadratic), vector(1, 0))
    assert ray is not None and ray.violation == 0
    ray = dual_infeasibility(quadratic, plain_metric(quadratic), vector(1, 0.1))
    assert ray is not None and ray.violation == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("program", "x"),
    [
        (descending(), -1.0),
        (descending(), 0.0),
        (descending(), math.nan),
        (descending(weight=2.0), 1.0),
        (descending(upper=5.0), 1.0),
        (descending(P=1.0), 1.0),
        (descending(P=1e-3), 1.0),
    ],
    ids=["ascent", "zero", "nan", "growth", "bounded", "curved", "slightly curved"],
)
def test_wrong_directions_are_rejected(program: ProxProgram, x: float) -> None:
    ray = dual_infeasibility(program, plain_metric(program), vector(x))
    assert ray is None or ray.violation >= 5e-4


@pytest.mark.parametrize("name", INFEASIBLE)
def test_elastic_program_gives_a_certificate(name: str) -> None:
    program, _ = INFEASIBLE[name]
    metric = equilibrate(program, 10)
    elastic = elastic_program(program, metric)
    result = run(elastic, eps_abs=1e-10, eps_rel=1e-10)
    assert result.status is Status.OPTIMAL and result.residuals.objective > 1e-3
    ray = primal_infeasibility(program, metric, elastic_certificate(elastic, result.point.z))
    assert ray is not None and ray.violation < 1e-6


def test_elastic_program_is_the_least_violation() -> None:
    program = build([[1.0], [2.0], [1.0]], vector(0, 0, 0), [box([3, -INF, 0], [4, 1, INF])])
    metric = Metric(vector(1), vector(1, 0.5, 2), 1.0)
    result = run(elastic_program(program, metric), eps_abs=1e-10, eps_rel=1e-10)
    x = cp.Variable()
    violation = cp.square(cp.pos(3 - x)) + 0.25 * cp.square(cp.pos(2 * x - 1)) + 4 * cp.square(cp.neg(x))
    expected = cp.Problem(cp.Minimize(0.5 * violation)).solve(solver=cp.CLARABEL)
    assert result.residuals.objective == pytest.approx(expected, rel=1e-6)


def test_elastic_program_of_a_feasible_program_gives_none() -> None:
    program = random_program()
    metric = equilibrate(program, 10)
    elastic = elastic_program(program, metric)
    result = run(elastic, eps_abs=1e-10, eps_rel=1e-10)
    assert result.residuals.objective < 1e-8
    ray = primal_infeasibility(program, metric, elastic_certificate(elastic, result.point.z))
    assert ray is None or ray.violation > 1e-3


@pytest.mark.parametrize("name", INFEASIBLE)
@pytest.mark.parametrize("acceleration", [0, 10])
def test_infeasible_programs_end_with_a_certificate(name: str, acceleration: int) -> None:
    program, _ = INFEASIBLE[name]
    result = run(program, acceleration=acceleration)
    assert result.status is Status.INFEASIBLE
    ray = primal_infeasibility(program, plain_metric(program), result.dual)
    assert ray is not None and ray.violation < 1e-5


@pytest.mark.parametrize("acceleration", [0, 10])
def test_unbounded_programs_end_with_a_direction(acceleration: int) -> None:
    program = descending()
    result = run(program, acceleration=acceleration)
    assert result.status is Status.UNBOUNDED
    torch.testing.assert_close(result.primal, vector(2.0))


# -- Newton ------------------------------------------------------------------------------------


def quadratic_program() -> cp.Problem:
    rng = np.random.default_rng(0)
    x = cp.Variable(6)
    return cp.Problem(
        cp.Minimize(cp.sum_squares(rng.standard_normal((8, 6)) @ x - rng.standard_normal(8))),
        [cp.sum(x) == 1, x >= -0.1, x <= 0.4, rng.standard_normal((3, 6)) @ x <= 0.2],
    )


def cone_program() -> cp.Problem:
    rng = np.random.default_rng(1)
    x = cp.Variable(5)
    constraints = [cp.norm(rng.standard_normal((4, 5)) @ x + 1) <= 2 + x[k] for k in range(2)]
    return cp.Problem(cp.Minimize(cp.norm(x - 2) + 0.3 * cp.norm(x[:3])), constraints)


def semidefinite_program() -> cp.Problem:
    rng = np.random.default_rng(2)
    X, C = cp.Variable((4, 4), symmetric=True), rng.standard_normal((4, 4))
    target = rng.standard_normal((4, 4))
    return cp.Problem(
        cp.Minimize(cp.sum_squares(X - target - target.T) + cp.trace((C + C.T) @ X)),
        [X >> 0, cp.trace(X) == 2],
    )


def entropy_program() -> cp.Problem:
    rng = np.random.default_rng(3)
    x = cp.Variable(6)
    return cp.Problem(
        cp.Maximize(cp.sum(cp.entr(x)) - cp.log_sum_exp(rng.standard_normal((4, 6)) @ x)),
        [cp.sum(x) == 1, rng.standard_normal((2, 6)) @ x >= 0.1],
    )


NEWTON = {
    "QP": quadratic_program,
    "SOCP": cone_program,
    "SDP": semidefinite_program,
    "entropy": entropy_program,
}


@dataclass
class Polished:
    """A program with an accurate solution and a Newton polish."""

    program: ProxProgram
    solution: Point
    rho: Tensor
    newton: NewtonPolish
    tol: Tolerances = field(default_factory=lambda: Tolerances(1e-13, 1e-13))

    @classmethod
    def of(cls, name: str) -> Polished:
        program = compiled(NEWTON[name]())
        metric = equilibrate(program, 10)
        result = run(program, eps_abs=1e-10, eps_rel=1e-10, polish=True)
        assert result.status is Status.OPTIMAL
        rho = metric.rho(initial_multiplier(program, 0.1))
        return cls(program, result.point, rho, NewtonPolish(program, metric))

    def near(self, size: float) -> Point:
        """A perturbed solution, y in the subdifferential at z."""
        rng = np.random.default_rng(9)
        x, z, y = self.solution
        v = z + y / self.rho
        noise = torch.from_numpy(rng.standard_normal(v.shape)) / self.rho.sqrt()
        v = v + size * noise * float(v.abs().max() / noise.abs().max())
        z = self.program.prox(v, self.program.steps(self.rho))
        x = x + size * float(x.abs().max()) * torch.from_numpy(rng.standard_normal(x.shape))
        return Point(x, z, self.rho * (v - z))

    def residuals(self, point: Point) -> Residuals:
        return residuals(self.program, point, self.newton.metric)


@pytest.mark.parametrize("name", NEWTON)
def test_newton_converges_quadratically(name: str) -> None:
    case = Polished.of(name)
    start = case.near(1e-3)
    errors = [float((start.x - case.solution.x).abs().max())]
    for count in range(1, 5):
        point, _ = case.newton.improve(start, case.residuals(start), case.rho, case.tol, count)
        errors.append(float((point.x - case.solution.x).abs().max()))
    assert errors[0] > 1e-5
    assert errors[-1] < 1e-8
    for before, after in pairwise(errors):
        assert after <= max(30 * before**2 / float(case.solution.x.abs().max()), 1e-8), errors


def test_newton_solves_a_quadratic_program_in_one_step() -> None:
    case = Polished.of("QP")
    start = case.near(1e-3)
    point, achieved = case.newton.improve(start, case.residuals(start), case.rho, case.tol, 1)
    torch.testing.assert_close(point.x, case.solution.x, rtol=0, atol=1e-7)
    assert case.newton.factorizations == 1 and achieved.dual < 1e-6


@pytest.mark.parametrize("name", NEWTON)
@pytest.mark.parametrize("size", [0.0, 1e-6, 1.0, 1e3])
def test_newton_never_returns_a_worse_point(name: str, size: float) -> None:
    case = Polished.of(name)
    start = case.near(size)
    before = case.residuals(start)
    point, after = case.newton.improve(start, before, case.rho, Tolerances(1e-6, 1e-6), 12)
    assert after.ratio(case.tol) <= before.ratio(case.tol)
    assert case.residuals(point) == after
    assert point is start or after.ratio(case.tol) < before.ratio(case.tol)


@pytest.mark.parametrize("name", NEWTON)
def test_newton_with_a_borrowed_factor(name: str) -> None:
    case = Polished.of(name)
    start = case.near(1e-3)
    own, _ = case.newton.improve(start, case.residuals(start), case.rho, case.tol, 3)
    factor = SparseLDL().init(case.program, torch.full_like(case.program.q, 1e-6), case.rho)
    borrower = NewtonPolish(case.program, case.newton.metric)
    if borrower.borrow(factor):
        other, _ = borrower.improve(start, case.residuals(start), case.rho, case.tol, 3)
        torch.testing.assert_close(other.x, own.x, rtol=1e-6, atol=1e-7)
    else:
        assert any(block.function.ndim for block in case.program.blocks)
    assert not borrower.borrow(DenseCholesky().init(case.program, case.program.q**2 + 1, case.rho))


def test_newton_is_not_for_large_dense_blocks() -> None:
    K = sp.eye_array(500)
    rows: list[Rows] = [(prox.Norm2(), (1, 500), vector(1.0))]
    program = build(K, torch.ones(500, dtype=F64), rows)
    assert not NewtonPolish(program, plain_metric(program)).affordable()
    assert Session.start(program, Options()).newton is None
    result = run(program)
    assert result.status is Status.OPTIMAL and not result.info["polished"]


# -- the loop and the statuses -----------------------------------------------------------------


@dataclass
class Counter:
    """A monitor that notes its checks."""

    interval: int
    stop_at: int | None = None
    seen: list[tuple[int, float]] = field(default_factory=list)

    def check(self, iteration: int, state: Tensor) -> tuple[Tensor, bool]:
        self.seen.append((iteration, float(state)))
        return state, self.stop_at is not None and iteration >= self.stop_at

    def pause(self, iteration: int) -> int:
        return iteration + self.interval


@pytest.mark.parametrize(
    ("interval", "stop_at", "most", "checks"),
    [
        (10, None, 25, [0, 10, 20, 25]),
        (10, None, 20, [0, 10, 20]),
        (10, 20, 100, [0, 10, 20]),
        (7, 8, 100, [0, 7, 14]),
        (100, None, 3, [0, 3]),
        (5, 0, 100, [0]),
    ],
)
def test_the_loop_makes_the_exact_number_of_steps(
    interval: int, stop_at: int | None, most: int, checks: list[int]
) -> None:
    monitor = Counter(interval, stop_at)
    algorithm = Map(lambda w: w + 1, torch.zeros((), dtype=F64))
    state, iterations = iterate(algorithm, algorithm.init(), monitor, most)
    assert monitor.seen == [(k, float(k)) for k in checks]
    assert (float(state), iterations) == (float(checks[-1]), checks[-1])


MEANING = {
    Status.OPTIMAL: "optimal",
    Status.OPTIMAL_INACCURATE: "optimal_inaccurate",
    Status.INFEASIBLE: "infeasible",
    Status.UNBOUNDED: "unbounded",
    Status.ITERATION_LIMIT: "user_limit",
    Status.TIME_LIMIT: "user_limit",
    Status.INTERRUPTED: "user_limit",
}


@pytest.mark.parametrize("status", list(Status), ids=lambda s: s.name)
def test_every_status_has_its_counterpart_in_cvxpy(status: Status) -> None:
    problem = quadratic_program()
    data, chain, inverse = problem.get_problem_data("NABLA_ADMM")
    outcome = chain.solve_via_data(problem, data)
    changed = replace(outcome.result, status=status, ray=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.unpack_results(Outcome(changed, outcome.assembled), chain, inverse)
    assert problem.status == MEANING[status]
    present = MEANING[status] in ("optimal", "optimal_inaccurate", "user_limit")
    assert (problem.variables()[0].value is not None) == present
    expected = {"infeasible": INF, "unbounded": -INF}.get(MEANING[status], outcome.result.residuals.objective)
    assert problem.value == pytest.approx(expected)
    assert problem.solver_stats.extra_stats["status"] == status.value


def test_programs_print_their_mathematics() -> None:
    text = str(random_program())
    for part in (
        "½xᵀPx + qᵀx",
        "x: 9, z: 24",
        "Box: 11 points",
        "Abs: 5 points",
        "SecondOrderCone: 2 points of size 4",
    ):
        assert part in text
    assert "½" not in str(random_program(quadratic=False))
    assert cvxprox.Options().eps_abs == 1e-6
