"""Running a case: the oracle's answer, the solver's answer, and what is wrong with it."""

from __future__ import annotations

import importlib
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import cvxpy as cp
import numpy as np
from cvxpy.atoms.matrix_frac import MatrixFrac

from tests.random_problems.cases import INFEASIBLE, OPTIMAL, UNBOUNDED, Case
from tests.random_problems.generate import case
from tests.random_problems.saddle import (
    certificate_error,
    dual_sign_error,
    largest_dual,
    saddle_error,
    shape_error,
    violation,
)

OBJECTIVE_TOL = 1e-4
FEASIBILITY_TOL = 1e-4
SADDLE_TOL = 1e-4
CERTIFYING = ("NABLA_ADMM",)


@dataclass(frozen=True)
class Outcome:
    """What came of one case. `verdict` is "ok", "failed" or "discarded"; `reason` says why."""

    family: str
    seed: int
    status: str
    verdict: str
    reason: str
    seconds: float
    notes: tuple[str, ...]

    def __str__(self) -> str:
        what = ", ".join(self.notes)
        return f"{self.verdict}: --family {self.family} --seed {self.seed} [{what}] {self.reason}"


class Overtime(Exception):
    """A case ran past its time guard."""


@contextmanager
def time_guard(seconds: float) -> Iterator[None]:
    """Raise `Overtime` in the body after that many seconds (in the main thread of a process)."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Overtime(f"stopped after {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def truth(known: Case) -> float | str:
    """The optimal value, or why Clarabel's answer and the construction do not make it certain."""
    problem = known.problem
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem.solve(solver=cp.CLARABEL, time_limit=10.0)
    except Exception as error:
        return f"Clarabel: {type(error).__name__}: {error}"
    if problem.status != known.status:
        return f"Clarabel says {problem.status}, the construction {known.status}"
    if known.status != OPTIMAL:
        return float("nan")
    if not np.isfinite(problem.value):
        return "CVXPY evaluates the objective at the optimum to infinity"
    if (reason := _at_a_pole(problem)) is not None:
        return reason
    if known.value is not None and not close(known.value, problem.value, 1e-5):
        return f"Clarabel finds {problem.value:.8g}, the construction {known.value:.8g}"
    return float(problem.value if known.value is None else known.value)


def _at_a_pole(problem: cp.Problem) -> str | None:
    """Why CVXPY cannot evaluate the objective at the optimum: a `matrix_frac` of a singular matrix.

    ``x'P^-1x`` is continuous along the solvers' paths, not at their end: the value that
    CVXPY computes from a point of the boundary is noise.
    """
    nodes = [problem.objective.expr]
    while nodes:
        node = nodes.pop()
        nodes.extend(node.args)
        if isinstance(node, MatrixFrac):
            values = np.linalg.eigvalsh(node.args[1].value)
            if values[0] < 1e-5 * values[-1]:
                return "the optimum of matrix_frac is at a singular matrix"
    return None


def close(a: float, b: float, tol: float) -> bool:
    return abs(a - b) <= tol * (1 + abs(b))


def fault(known: Case, expected: float, solver: str) -> str:
    """What is wrong with the answer that `known.problem` holds now; empty if nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _fault(known, expected, solver)


def _fault(known: Case, expected: float, solver: str) -> str:
    problem, rng = known.problem, np.random.default_rng(known.seed)
    if problem.status != known.status:
        return f"expected {known.status}, got {problem.status}"
    if known.status == UNBOUNDED:
        return ""
    if known.status == INFEASIBLE:
        if solver not in CERTIFYING:
            return ""
        return shape_error(problem) or certificate_error(problem, rng) or ""
    if not close(problem.value, expected, OBJECTIVE_TOL):
        return f"expected the value {expected:.8g}, got {problem.value:.8g} ({problem.value - expected:+.1e})"
    if (worst := violation(problem)) > FEASIBILITY_TOL:
        return f"a constraint is violated by {worst:.1e}"
    if wrong := shape_error(problem):
        return wrong
    if wrong := dual_sign_error(problem, 1e-5 * (1 + largest_dual(problem))):
        return wrong
    if wrong := saddle_error(problem, rng, SADDLE_TOL):
        return f"the dual values are wrong: {wrong}"
    return ""


def run(
    family: str,
    seed: int,
    solver: str,
    options: Mapping[str, object] | None = None,
    limit: float = 20.0,
    before: Callable[[], None] = lambda: None,
) -> Outcome:
    """Generate a case, ask the oracle, ask `solver`, compare; `before` is called between the questions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = truth(case(family, seed))
        known = case(family, seed)
        if isinstance(expected, str):
            return Outcome(family, seed, known.status, "discarded", expected, 0.0, known.notes)
        before()
        start = time.perf_counter()
        try:
            with time_guard(limit):
                known.problem.solve(solver=solver, **(options or {}))
            seconds = time.perf_counter() - start
            reason = fault(known, expected, solver)
        except np.linalg.LinAlgError as error:  # not of the solver: CVXPY's atoms at singular matrices
            why = f"CVXPY cannot evaluate the objective at the solution: {error}"
            return Outcome(family, seed, known.status, "discarded", why, 0.0, known.notes)
        except Exception as error:
            seconds = time.perf_counter() - start
            reason = f"expected {known.status}, got {type(error).__name__}: {str(error).strip()[:300]}"
    return Outcome(family, seed, known.status, "failed" if reason else "ok", reason, seconds, known.notes)


def prepare(solver: str) -> None:
    """Register `solver` with CVXPY if it is not one of CVXPY's own."""
    if solver in CERTIFYING:
        importlib.import_module("cvxprox")
