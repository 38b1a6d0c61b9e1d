"""Random problems with a known answer: status, value, feasibility, multipliers and certificates."""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.random_problems import FAMILIES, case, run
from tests.random_problems.cases import INFEASIBLE, OPTIMAL, UNBOUNDED
from tests.random_problems.oracle import fault, prepare, truth

SOLVER = "NABLA_ADMM"
SEEDS = st.integers(min_value=0, max_value=10**6)
seeded = settings(
    max_examples=7,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    prepare(SOLVER)


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=SEEDS)
@seeded
def test_solver_agrees_with_the_oracle(family: str, seed: int) -> None:
    outcome = run(family, seed, SOLVER, limit=20.0)
    assert outcome.verdict != "failed", f"python -m tests.random_problems {outcome}"


@pytest.mark.parametrize("family", FAMILIES)
def test_oracle_confirms_the_construction(family: str) -> None:
    outcomes = [run(family, seed, cp.CLARABEL) for seed in range(4)]
    assert not [str(o) for o in outcomes if o.verdict == "failed"]
    assert sum(o.verdict == "ok" for o in outcomes) >= 3


@pytest.mark.parametrize("family", FAMILIES)
def test_cases_are_reproducible(family: str) -> None:
    first, second = case(family, 5), case(family, 5)
    assert (first.status, first.value, first.notes) == (second.status, second.value, second.notes)
    assert str(first.problem.objective.expr.shape) == str(second.problem.objective.expr.shape)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_variant_occurs(family: str) -> None:
    missing = {OPTIMAL, INFEASIBLE, UNBOUNDED}
    for seed in range(60):
        if missing:
            missing.discard(case(family, seed).status)
    assert not missing


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.05], ids=["sign", "zero", "scale"])
@pytest.mark.parametrize("family", ["lp", "qp", "socp", "sdp", "exp", "power", "constrained"])
def test_wrong_multipliers_are_noticed(family: str, factor: float) -> None:
    noticed, tried = 0, 0
    for seed in range(8):
        known = case(family, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = truth(known)
        if known.status != OPTIMAL or isinstance(expected, str) or not known.problem.constraints:
            continue
        assert fault(known, expected, cp.CLARABEL) == ""
        duals = [v for con in known.problem.constraints for v in con.dual_variables]
        if max(float(np.max(np.abs(v.value), initial=0)) for v in duals) < 1e-2:
            continue
        for dual in duals:
            dual.save_value(factor * dual.value)
        tried += 1
        noticed += fault(known, expected, cp.CLARABEL) != ""
    assert tried and noticed >= 0.5 * tried


@pytest.mark.parametrize("family", ["lp", "qp", "socp", "sdp"])
def test_wrong_certificates_are_noticed(family: str) -> None:
    rng, noticed, tried = np.random.default_rng(0), 0, 0
    for seed in range(40):
        known = case(family, seed)
        if known.status != INFEASIBLE or isinstance(truth(known), str):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known.problem.solve(solver=SOLVER)
        assert fault(known, float("nan"), SOLVER) == ""
        duals = [v for con in known.problem.constraints for v in con.dual_variables]
        for dual in duals:
            dual.save_value(rng.uniform(0.4, 2.5, np.shape(dual.value)) * dual.value)
        tried += 1
        noticed += fault(known, float("nan"), SOLVER) != ""
    assert tried and noticed >= 0.3 * tried  # some are certificates still


def test_wrong_answers_are_noticed() -> None:
    known = case("lp", next(s for s in range(40) if case("lp", s).status == OPTIMAL))
    expected = truth(known)
    assert isinstance(expected, float)
    assert "expected the value" in fault(known, expected + 1, cp.CLARABEL)
    for x in known.problem.variables():
        x.save_value(np.asarray(x.value) + 1)
    assert fault(known, expected, cp.CLARABEL)
