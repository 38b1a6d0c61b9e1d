"""CVXPY's own solver tests, run for NABLA_ADMM."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Iterator

import cvxpy.tests.solver_test_helpers as helpers
import pytest

import cvxprox

SOLVER = cvxprox.NablaADMM().name()
BOUND_DATA = "asks for bounds in the solver's data; the same problem is solved in test_variable_bounds"


def reason_to_skip(name: str) -> str | None:
    """Why one of the tests does not apply."""
    if name.startswith("test_mi_"):
        return "mixed-integer"
    if name == "test_lp_7" and importlib.util.find_spec("sdpap") is None:
        return "reads a file through the package sdpap, which is not installed"
    return BOUND_DATA if "bound" in name else None


def standard_tests() -> Iterator[object]:
    """Every test of the StandardTest classes, found by introspection."""
    for group, suite in inspect.getmembers(helpers, inspect.isclass):
        if not group.startswith("StandardTest"):
            continue
        for name in sorted(dir(suite)):
            if name.startswith("test_"):
                reason = reason_to_skip(name)
                marks = [pytest.mark.skip(reason=reason)] if reason else []
                yield pytest.param(suite, name, id=f"{group}-{name}", marks=marks)


@pytest.mark.parametrize(("suite", "name"), list(standard_tests()))
def test_standard(suite: type, name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # spellings in CVXPY's own tests
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", message="The problem has an expression with dimension greater")
        getattr(suite, name)(solver=SOLVER)


@pytest.mark.parametrize("problem", [n for n in dir(helpers) if "bound" in n and not n.startswith("_")])
def test_variable_bounds(problem: str) -> None:
    case = getattr(helpers, problem)()
    case.solve(SOLVER)
    case.verify_objective(places=4)
    case.verify_primal_values(places=4)


def test_the_suite_is_found() -> None:
    groups = {param.id.split("-")[0] for param in standard_tests()}  # type: ignore[attr-defined]
    kinds = ("LPs", "QPs", "SOCPs", "SDPs", "ECPs", "MixedCPs", "PCPs", "InfeasibleProblems")
    assert {f"StandardTest{kind}" for kind in kinds} <= groups
