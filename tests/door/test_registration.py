"""Registration with CVXPY: done twice, on a changed CVXPY, and what CVXPY then lists."""

from __future__ import annotations

import cvxpy as cp
import pytest
from cvxpy.problems.problem import Problem

from cvxprox.registration import register

from .problems import SOLVER, assert_solved_by, lasso

WRAPPED = ("_construct_chain", "solve", "_solve", "backward", "derivative")


def test_registering_again_wraps_the_original() -> None:
    originals = [getattr(getattr(Problem, name), "_cvxprox_original", None) for name in WRAPPED]
    register()
    register()
    for name, original in zip(WRAPPED, originals, strict=True):
        assert original is not None
        assert not hasattr(original, "_cvxprox_original")
        assert getattr(Problem, name)._cvxprox_original is original
    assert cp.installed_solvers().count(SOLVER) == 1
    assert_solved_by(lasso(), solver=SOLVER)


@pytest.mark.parametrize("name", [*WRAPPED, "register_solve"])
def test_a_cvxpy_without_the_hooks_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Problem, name)
    with pytest.raises(ImportError, match=rf"Problem\.{name} is missing"):
        register()


def test_a_changed_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Problem, "_construct_chain", lambda self, solver: None)
    with pytest.raises(ImportError, match="differs"):
        register()


def test_installed_solvers() -> None:
    assert SOLVER in cp.installed_solvers()
