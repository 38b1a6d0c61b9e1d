"""Problems of all sorts: complex, geometric, quasiconvex, constant, of size zero, with attributes."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from .problems import SOLVER, TIGHT, assert_same_duals, assert_solved, assert_solved_by, by_clarabel


def complex_problem() -> cp.Problem:
    rng = np.random.default_rng(2)
    z = cp.Variable(3, complex=True, name="z")
    A = rng.standard_normal((1, 3)) + 1j * rng.standard_normal((1, 3))
    target = np.array([1 + 1j, 2, -1j])
    return cp.Problem(
        cp.Minimize(cp.norm(z - target) + 0.3 * cp.norm1(z)),
        [A @ z == np.array([1.0 + 2j]), cp.real(z) >= 0.2, cp.abs(z[1]) <= 1.5],
    )


def test_complex_variables_and_their_duals() -> None:
    mine = complex_problem()
    theirs = by_clarabel(mine, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    mine.solve(solver=SOLVER, **TIGHT)
    assert mine.value == pytest.approx(theirs.value, rel=1e-6)
    np.testing.assert_allclose(mine.variables()[0].value, theirs.variables()[0].value, atol=1e-5)
    assert np.abs(mine.variables()[0].value.imag).max() > 0.1
    assert np.abs(mine.constraints[0].dual_value.imag).max() > 0.01
    assert_same_duals(mine, theirs)


def test_hermitian_variable() -> None:
    rng = np.random.default_rng(3)
    C = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
    C = C + C.conj().T
    X = cp.Variable((3, 3), hermitian=True)
    problem = cp.Problem(cp.Minimize(cp.real(cp.trace(C @ X))), [X >> 0, cp.real(cp.trace(X)) == 1])
    problem.solve(solver=SOLVER, **TIGHT)
    assert_solved(problem, np.linalg.eigvalsh(C)[0])


def test_geometric_program() -> None:
    x, y, z = cp.Variable(pos=True), cp.Variable(pos=True), cp.Variable(pos=True)
    p = cp.Parameter(pos=True, value=2.0)
    problem = cp.Problem(
        cp.Maximize(x * y * z), [4 * x * y * z + p * x * z <= 10, x <= 2 * y, y <= x, z >= 1]
    )
    for value in (2.0, 3.0):
        p.value = value
        expected = problem.solve(gp=True, solver=cp.CLARABEL)
        problem.solve(gp=True, solver=SOLVER)
        assert_solved(problem, expected)


def test_quasiconvex_program() -> None:
    x, y = cp.Variable(), cp.Variable(pos=True)
    problem = cp.Problem(cp.Minimize((cp.square(x) + 1) / y), [x + y <= 3, x >= 0.5])
    problem.solve(qcp=True, solver=SOLVER, low=0, high=10)
    assert problem.value == pytest.approx(1.25 / 2.5, abs=1e-4)
    assert problem.status == cp.OPTIMAL


def test_maximize() -> None:
    x = cp.Variable(3, name="x")
    problem = cp.Problem(cp.Maximize(cp.sum(cp.log(x)) - cp.norm(x)), [x <= 2, cp.sum(x) <= 4])
    assert_solved_by(problem, solver=SOLVER)
    assert_same_duals(problem, by_clarabel(problem))


@pytest.mark.parametrize("sense", [cp.Minimize, cp.Maximize])
def test_constant_problems(sense: type) -> None:
    p = cp.Parameter(value=3.0)
    problem = cp.Problem(sense(2 * p), [p >= 1])
    assert problem.solve(solver=SOLVER) == pytest.approx(6)
    p.value = 0.0
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE


def test_constant_objective_and_offset() -> None:
    x = cp.Variable(2)
    feasibility = cp.Problem(cp.Minimize(5.0), [x >= 1, cp.sum(x) == 3])
    assert feasibility.solve(solver=SOLVER) == pytest.approx(5)
    assert x.value.min() >= 1 - 1e-5 and x.value.sum() == pytest.approx(3, abs=1e-5)
    assert cp.Problem(cp.Minimize(cp.norm1(x - 1) - 7)).solve(solver=SOLVER) == pytest.approx(-7, abs=1e-5)


def test_zero_sized_pieces() -> None:
    x, empty = cp.Variable(3), cp.Variable(0)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(x - 2) + cp.norm1(x[:0]) + cp.sum(empty)),
        [x <= 1, x[3:] >= 5, empty == np.zeros(0), np.zeros((0, 3)) @ x == np.zeros(0)],
    )
    problem.solve(solver=SOLVER)
    assert problem.value == pytest.approx(3, abs=1e-5)
    assert empty.value.shape == (0,)


def test_variable_attributes() -> None:
    X = cp.Variable((2, 2), PSD=True)
    y = cp.Variable(2, nonneg=True, name="y")
    z = cp.Variable((2, 2), diag=True)
    target = np.array([[1.0, 2.0], [2.0, 1.0]])
    problem = cp.Problem(
        cp.Minimize(cp.norm(X - target, "fro") + cp.norm1(y + 1) + cp.sum_squares(z - target))
    )
    problem.solve(solver=SOLVER)
    nearest = np.linalg.eigh(target)
    projected = nearest[1] @ np.diag(nearest[0].clip(0)) @ nearest[1].T
    np.testing.assert_allclose(X.value, projected, atol=1e-4)
    np.testing.assert_allclose(y.value, 0, atol=1e-5)
    dense = z.value.toarray() if hasattr(z.value, "toarray") else z.value
    np.testing.assert_allclose(dense, np.eye(2), atol=1e-5)
