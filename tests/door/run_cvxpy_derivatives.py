"""CVXPY's own tests of derivatives, with the derivatives taken by this library.

``python -m tests.door.run_cvxpy_derivatives`` prints what passes. All solves go to NABLA_ADMM, those
at perturbed parameters with higher accuracy: their differences are divided by small steps.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import time
import traceback
import unittest
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import mock

import cvxpy as cp
from cvxpy.tests.base_test import BaseTest

from .problems import SOLVER

MODULE = "cvxpy.tests.test_derivative"
EXACT = {"eps_abs": 1e-11, "eps_rel": 1e-11}
NOT_ABOUT_US = {
    "test_unsupported_solver": "tests that other solvers are refused",
    "test_zero_in_problem_data": "reads the matrices of the solver DIFFCP",
}


def cases() -> Iterator[tuple[type[unittest.TestCase], str]]:
    """The classes and the names of their tests; none where CVXPY comes without its tests."""
    try:
        module = importlib.import_module(MODULE)
    except ModuleNotFoundError:
        return
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ == MODULE:
            yield from ((kind, name) for name in sorted(dir(kind)) if name.startswith("test_"))


def run(kind: type[unittest.TestCase], name: str) -> None:
    """One test."""
    with _redirected(), mock.patch.object(kind, "setUp", BaseTest.setUp), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case: Any = kind(name)
        case.setUp()
        getattr(case, name)()


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    original = cp.Problem.solve

    def solve(
        problem: cp.Problem, *args: Any, gp: bool = False, requires_grad: bool = False, **_: Any
    ) -> Any:
        accuracy = {} if requires_grad else EXACT
        return original(problem, solver=SOLVER, gp=gp, requires_grad=requires_grad, **accuracy)

    with mock.patch.object(cp.Problem, "solve", solve):
        yield


def main() -> int:
    """Run them all; 1 if one fails."""
    failed = passed = skipped = 0
    for kind, name in cases():
        if name in NOT_ABOUT_US:
            skipped += 1
            print(f"skipped  {kind.__name__}.{name}: {NOT_ABOUT_US[name]}")
            continue
        started = time.perf_counter()
        try:
            run(kind, name)
        except Exception:
            failed += 1
            print(f"FAILED   {kind.__name__}.{name}\n{traceback.format_exc()}")
        else:
            passed += 1
            print(f"passed   {kind.__name__}.{name}  {time.perf_counter() - started:.2f} s")
    if not passed + failed:
        print(f"{MODULE} is not installed")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
