"""Register the solver with CVXPY. Importing `cvxprox` does this once."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import cvxpy as cp
from cvxpy import settings
from cvxpy.problems.problem import Problem
from cvxpy.reductions.solvers import defines
from cvxpy.reductions.solvers.solving_chain import SolvingChain

from cvxprox.reductions.chain import compiled_otherwise, construct_chain
from cvxprox.solver import FIXED_POINT, NAME, NAMES, PENALTY_METHOD, NablaADMM

METHOD = "nabla_admm"
_ORIGINAL = "_cvxprox_original"


def register() -> None:
    """Make the solvers and their statuses known to CVXPY; calling it again changes nothing.

    Raises
    ------
    ImportError
        If this version of CVXPY lacks what the registration relies on.
    """
    _require_cvxpy()
    for name, algorithm in NAMES.items():
        defines.SOLVER_MAP_CONIC.setdefault(name, NablaADMM(algorithm=algorithm))
    for status in (FIXED_POINT, PENALTY_METHOD):
        if status not in settings.SOLUTION_PRESENT:
            settings.SOLUTION_PRESENT.append(status)
    Problem.register_solve(METHOD, _solve_method)
    _wrap("_construct_chain", _construct_chain)
    _wrap("solve", _solve)


def _wrap(attribute: str, make: Any) -> None:
    original = getattr(Problem, attribute)
    original = getattr(original, _ORIGINAL, original)
    wrapper = functools.wraps(original)(make(original))
    setattr(wrapper, _ORIGINAL, original)
    setattr(Problem, attribute, wrapper)


def _construct_chain(original: Any) -> Any:
    def chain(self: Problem, solver: Any = None, **kwargs: Any) -> SolvingChain:
        ours = _ours(solver)
        if ours is not None:
            return construct_chain(self, ours, **kwargs)
        return original(self, solver=solver, **kwargs)

    return chain


def _solve(original: Any) -> Any:
    def solve(self: Problem, *args: Any, **kwargs: Any) -> Any:
        method = kwargs.pop("solve_method", None)
        if method is not None:
            if "method" in kwargs:
                raise ValueError("Give either method= or solve_method=, not both.")
            kwargs["method"] = method
        solver = _ours(kwargs.get("solver"))
        if solver is not None and compiled_otherwise(self, solver, kwargs):
            self._cache.invalidate()
        return original(self, *args, **kwargs)

    return solve


def _ours(solver: Any) -> NablaADMM | None:
    """The solver behind a name or an instance, if it is one of this library."""
    if isinstance(solver, NablaADMM):
        return solver
    known = isinstance(solver, str) and solver.upper() in NAMES
    return defines.SOLVER_MAP_CONIC[solver.upper()] if known else None


def _solve_method(problem: Problem, *args: Any, **kwargs: Any) -> Any:
    """``prob.solve(method="nabla_admm")``."""
    if args or kwargs.get("solver") is not None:
        raise ValueError(f'method="{METHOD}" chooses the solver itself; drop the solver argument.')
    kwargs["solver"] = NAME
    return problem.solve(**kwargs)


def _require_cvxpy() -> None:
    expected = {
        "_construct_chain": ["solver", "gp", "enforce_dpp", "ignore_dpp", "canon_backend", "solver_opts"],
        "solve": [],
        "register_solve": ["name", "func"],
    }
    for name, parameters in expected.items():
        method = getattr(Problem, name, None)
        known = [] if method is None else list(inspect.signature(method).parameters)
        if method is None or any(p not in known for p in parameters):
            raise ImportError(
                f"cvxprox supports CVXPY 1.9; in CVXPY {cp.__version__} Problem.{name} is missing or "
                "differs. Install cvxpy>=1.9,<2."
            )
