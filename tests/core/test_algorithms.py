"""Every algorithm reaches the optimum and the duals of Clarabel, whatever its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cvxprox import prox
from cvxprox.algorithms import ALGORITHMS, Session, Tolerances, residuals
from cvxprox.options import ALGORITHMS as NAMES
from cvxprox.options import Options
from cvxprox.status import Status

from .certified import INFEASIBLE, descending
from .programs import build, run, vector
from .splittings import CASES, Case, least_squares, weights, zeros

EXACT = sorted(ALGORITHMS.keys() - {"hqs"})
TIGHT: dict[str, Any] = {"eps_abs": 1e-7, "eps_rel": 1e-7, "polish": False}
PAIRS = [
    pytest.param(name, case, id=f"{name}-{key}")
    for name in EXACT
    for key, case in CASES.items()
    if case.single or ALGORITHMS[name].form.coupling == "composed"
]


def test_the_option_names_the_registry() -> None:
    assert tuple(ALGORITHMS) == NAMES


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_optima_and_duals(name: str, case: Case) -> None:
    value, x, y = case.solution()
    result = run(case.program, algorithm=name, **TIGHT)
    assert result.status is Status.OPTIMAL
    assert result.residuals.objective == pytest.approx(value, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(result.primal.numpy(), x, atol=1e-4 * max(1, np.abs(x).max()))
    np.testing.assert_allclose(result.dual.numpy(), y, atol=1e-4 * max(1, np.abs(y).max()))
    assert residuals(case.program, result.point).ratio(Tolerances(1e-6, 1e-6)) <= 1


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_points_are_dual_feasible_after_any_number_of_steps(name: str, case: Case) -> None:
    """y is in the subdifferential at z: the prox at z + y/rho is z."""
    session = Session.start(case.program, Options().with_changes({"algorithm": name}))
    algorithm = session.splitting()
    state = algorithm.init()
    for _ in range(3):
        point, rho = algorithm.point(state), state.rho
        again = case.program.prox(point.z + point.y / rho, case.program.steps(rho))
        torch.testing.assert_close(again, point.z, rtol=1e-9, atol=1e-9)
        state = algorithm.with_penalties(algorithm.step(state), 1.7 * rho)


@pytest.mark.parametrize("rho", [0.01, 1.0])
@pytest.mark.parametrize("name", ["admm_vxu", "ladmm", "pdhg"])
def test_optima_do_not_depend_on_the_penalty(name: str, rho: float) -> None:
    case = CASES["total_variation"]
    result = run(case.program, algorithm=name, rho=rho, adaptive_rho=False, alpha=1.3, scaling=0, **TIGHT)
    assert result.status is Status.OPTIMAL and result.info["penalty_updates"] == 0
    np.testing.assert_allclose(result.primal.numpy(), case.solution()[1], atol=1e-5)


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_a_solution_is_a_fixed_point_and_a_warm_start(name: str, case: Case) -> None:
    session = Session.start(case.program, Options().with_changes({"algorithm": name, **TIGHT}))
    algorithm = session.splitting()
    point = run(case.program, eps_abs=1e-11, eps_rel=1e-11).point
    state = algorithm.init(point)
    for _ in range(2):
        torch.testing.assert_close(algorithm.point(state).x, point.x, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(algorithm.point(state).y, point.y, rtol=1e-6, atol=1e-6)
        state = algorithm.step(state)


@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_states_are_values(name: str, case: Case) -> None:
    """With and without gradients a step gives the same, and leaves its argument alone."""
    session = Session.start(case.program, Options().with_changes({"algorithm": name}))
    algorithm = session.splitting()
    state = algorithm.step(algorithm.init())
    kept = [v.clone() if isinstance(v, torch.Tensor) else v for v in state]
    first = algorithm.step(state)
    with torch.no_grad():
        second = algorithm.step(state)
    for old, new in zip(kept, state, strict=True):
        if isinstance(old, torch.Tensor):
            assert torch.equal(old, new)
    for one, other in zip(first, second, strict=True):
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", EXACT)
def test_fixed_point_vectors_carry_the_state(name: str) -> None:
    case = CASES["lasso"]
    algorithm = Session.start(case.program, Options().with_changes({"algorithm": name})).splitting()
    state = algorithm.step(algorithm.step(algorithm.init()))
    back = algorithm.replace_fixed_point(algorithm.step(state), algorithm.fixed_point(state))
    torch.testing.assert_close(algorithm.step(back).x, algorithm.step(state).x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_half_quadratic_splitting_approaches_the_optimum(case: Case) -> None:
    value, x, _ = case.solution()
    few, many = (run(case.program, algorithm="hqs", max_iter=k) for k in (100, 4000))
    for result in (few, many):
        assert result.status is Status.PENALTY_METHOD
    scale = 1 + abs(value)
    assert abs(many.residuals.objective - value) < min(0.02 * scale, abs(few.residuals.objective - value))
    assert many.residuals.primal < few.residuals.primal
    np.testing.assert_allclose(many.primal.numpy(), x, atol=0.05 * (1 + np.abs(x).max()))


def test_fista_is_faster_than_proximal_gradients() -> None:
    P, q, offset = least_squares(7, 40, 40)
    program = build(np.eye(40), zeros(40), [(prox.Abs(), (40,), weights(0.3, 40))], q, P, offset)
    counts = {name: run(program, algorithm=name, **TIGHT).iterations for name in ("pgd", "fista")}
    assert 4 * counts["fista"] < counts["pgd"] < 20_000
    free = run(program, algorithm="fista", restart=False, **TIGHT)
    assert free.iterations > counts["fista"]


@pytest.mark.parametrize("name", ["admm_vxu", "ladmm", "pdhg"])
@pytest.mark.parametrize("infeasible", ["intervals", "ball"])
def test_infeasible_programs_are_certified(name: str, infeasible: str) -> None:
    assert run(INFEASIBLE[infeasible][0], algorithm=name).status is Status.INFEASIBLE


@pytest.mark.parametrize("name", ["admm_vxu", "ladmm", "pdhg"])
def test_unbounded_programs_are_certified(name: str) -> None:
    assert run(descending(), algorithm=name).status is Status.UNBOUNDED


@pytest.mark.parametrize("name", ALGORITHMS)
def test_programs_without_functions(name: str) -> None:
    program = build(np.zeros((0, 2)), zeros(0), [], vector(-1, 2), [[2.0, 1], [1, 2]])
    np.testing.assert_allclose(run(program, algorithm=name).primal.numpy(), [4 / 3, -5 / 3], atol=1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_programs_without_quadratics(name: str) -> None:
    program = build(np.eye(2), zeros(2), [(prox.Abs(), (2,), weights(2.0, 2))], vector(-1, 1.5))
    np.testing.assert_allclose(run(program, algorithm=name).primal.numpy(), [0, 0], atol=1e-5)
