"""Certificates of infeasible and unbounded problems, in the user's variables and constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from .problems import SOLVER, Build, normal


def dual_pairs(problem: cp.Problem) -> Iterator[tuple[Any, np.ndarray, float]]:
    """(argument, dual value, sign in the Lagrangian)."""
    for con in problem.constraints:
        if isinstance(con, cp.constraints.Inequality | cp.constraints.Equality):
            yield con.expr, np.asarray(con.dual_value), 1.0
        else:
            for arg, dual in zip(con.args, con.dual_variables, strict=True):
                yield arg, np.reshape(dual.value, arg.shape, order="F"), -1.0


def lagrangian(problem: cp.Problem) -> float:
    return sum(sign * float(np.sum(np.asarray(arg.value) * dual)) for arg, dual, sign in dual_pairs(problem))


def infeasible(make: Callable[[cp.Variable], list], *shape: int) -> Build:
    def build() -> cp.Problem:
        x = cp.Variable(shape or (4,))
        return cp.Problem(cp.Minimize(cp.norm1(x - 1) + cp.sum(x)), make(x))

    return build


F = normal(3, 4, seed=8)
INFEASIBLE: dict[str, Build] = {
    "bounds": infeasible(lambda x: [x >= 1, cp.sum(x) <= 2]),
    "contradictory rows": infeasible(lambda x: [F @ x >= 1, F[1] @ x <= 0, x <= 9]),
    "contradictory equalities": infeasible(lambda x: [F @ x == 1, 2 * (F[0] @ x) == 3]),
    "dependent rows": infeasible(lambda x: [F @ x <= 0, np.ones(3) @ F @ x >= 0.5]),
    "SOC": infeasible(lambda x: [cp.SOC(x[0], x[1:]), x[0] <= 1, x[1] + x[2] >= 2]),
    "PSD": infeasible(lambda X: [cp.PSD(X), X[0, 1] >= 2, X[0, 0] <= 1, X[1, 1] <= 1, X == X.T], 3, 3),
    "ExpCone": infeasible(lambda x: [cp.ExpCone(x[0], x[1], x[2]), x[0] >= 2, x[1] == 1, x[2] <= 3]),
    "PowCone3D": infeasible(lambda x: [cp.PowCone3D(x[0], x[1], x[2], 0.5), x[:2] <= 1, x[2] >= 1.5]),
    "mixed": infeasible(lambda x: [cp.SOC(x[0] + 1, F @ x), cp.sum(x) == 20, x <= 1, x[3] >= -1]),
}  # fmt: skip


@pytest.mark.parametrize("name", INFEASIBLE)
def test_certificates_of_infeasibility_satisfy_farkas(name: str) -> None:
    """The Lagrangian of the constraints alone is a positive constant, the duals are in the dual cones."""
    problem = INFEASIBLE[name]()
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE and problem.value == np.inf
    x, values = problem.variables()[0], []
    for seed in range(5):
        x.value = normal(*x.shape, seed=seed)
        values.append(lagrangian(problem))
    assert min(values) > 0
    assert np.ptp(values) <= 1e-4 * max(values)
    for con in problem.constraints:
        if isinstance(con, cp.constraints.Inequality):
            assert np.min(con.dual_value) >= 0
        elif isinstance(con, cp.SOC):
            assert np.linalg.norm(con.dual_value[1]) <= con.dual_value[0] + 1e-9
        elif isinstance(con, cp.PSD):
            assert np.linalg.eigvalsh(con.dual_value)[0] >= -1e-9
        elif isinstance(con, cp.ExpCone):
            s, t, w = (float(np.asarray(v).item()) for v in con.dual_value)
            assert s < 0 and w > 0 and -s * np.exp(t / s - 1) <= w * (1 + 1e-6)
        elif isinstance(con, cp.PowCone3D):
            s, t, w = (float(np.asarray(v).item()) for v in con.dual_value)
            assert np.sqrt(2 * s * 2 * t) >= abs(w) - 1e-6


def unbounded(
    make: Callable[[cp.Variable], tuple[cp.Expression, list]], *shape: int
) -> tuple[Callable[[], cp.Problem]]:
    def build() -> cp.Problem:
        x = cp.Variable(shape or (3,))
        objective, constraints = make(x)
        return cp.Problem(cp.Minimize(objective), constraints)

    return (build,)


UNBOUNDED: dict[str, Any] = {
    "LP": (*unbounded(lambda x: (x[0] - x[1], [x >= 0, cp.sum(x) >= 1, x[0] + x[2] <= 4])), [1.0, 1, 1]),
    "QP": (*unbounded(lambda x: (cp.square(x[0] - 1) - x[1], [x[2] == 1, x[1] >= x[0]])), [0.0, 0, 1]),
    "l1": (*unbounded(lambda x: (cp.norm1(x) - 2 * x[0], [x[1] >= 1])), [0.0, 1, 0]),
    "SOC": (*unbounded(lambda x: (-x[0] - x[1] / 2, [cp.norm(x[1:]) <= x[0]])), [1.0, 0, 0]),
    "log": (*unbounded(lambda x: (-cp.sum(cp.log(x)) - x[0], [x >= 0.5])), [1.0, 1, 1]),
    "Maximize": (*unbounded(lambda x: (-cp.min(x), [x[0] >= 1])), [1.0, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNBOUNDED)
def test_directions_of_unbounded_problems(name: str) -> None:
    build, feasible = UNBOUNDED[name]
    problem = build()
    problem.solve(solver=SOLVER)
    assert problem.status == cp.UNBOUNDED and problem.value == -np.inf
    (x,) = problem.variables()
    direction = problem.solver_stats.extra_stats["direction"][x.id]
    assert direction.shape == x.shape
    values = []
    for length in (0.0, 10.0, 1e3, 1e5):
        x.value = np.asarray(feasible) + length * direction
        values.append(float(problem.objective.value))
        assert all(float(np.max(con.violation())) <= 1e-6 * (1 + length) for con in problem.constraints)
    slopes = [(v - values[0]) / s for v, s in zip(values[1:], (10.0, 1e3, 1e5), strict=True)]
    assert slopes[-1] < -0.5 and slopes[-1] == pytest.approx(slopes[-2], rel=0.05)


def test_unbounded_maximisation() -> None:
    x = cp.Variable(2)
    problem = cp.Problem(cp.Maximize(cp.sum(x) - cp.norm(x)), [x >= 0])
    assert problem.solve(solver=SOLVER) == np.inf
    assert problem.status == cp.UNBOUNDED
    direction = problem.solver_stats.extra_stats["direction"][x.id]
    assert direction.sum() - np.linalg.norm(direction) > 0.5


@pytest.mark.parametrize(
    "attributes", [{"symmetric": True}, {"PSD": True}, {"nonneg": True}, {"complex": True}]
)
def test_directions_have_the_shape_of_the_variable(attributes: dict[str, bool]) -> None:
    X = cp.Variable((2, 2), **attributes)
    part = cp.real(X) if X.is_complex() else X
    problem = cp.Problem(cp.Maximize(cp.trace(part) + 2 * part[0, 1]), [part >= -1])
    problem.solve(solver=SOLVER)
    assert problem.status == cp.UNBOUNDED
    direction = problem.solver_stats.extra_stats["direction"][X.id]
    assert direction.shape == (2, 2)
    assert np.real(np.trace(direction) + 2 * direction[0, 1]) > 0.5
