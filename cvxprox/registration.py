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

from cvxprox.layers.cvxpy_gradients import Derivatives
from cvxprox.layers.parameter import teach_cvxpy
from cvxprox.layers.raw_parameters import RawSolver, raw_chain
from cvxprox.layers.solution import attach_tensors, teach_variables, values_from
from cvxprox.reductions.chain import compiled_otherwise, construct_chain
from cvxprox.solver import FIXED_POINT, NAME, NAMES, PENALTY_METHOD, NablaADMM

METHOD = "nabla_admm"
DERIVATIVES = "NABLA_DERIVATIVES"
"""Where a problem's solver cache holds what ``backward`` and ``derivative`` read."""

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
    _wrap("_solve", _inner_solve)
    _wrap("backward", _backward)
    _wrap("derivative", _derivative)
    teach_cvxpy()
    teach_variables()


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
        if isinstance(solver, RawSolver):
            return raw_chain(solver, kwargs.get("solver_opts"))
        return original(self, solver=solver, **kwargs)

    return chain


def _solve(original: Any) -> Any:
    def solve(self: Problem, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("solve_method") in Problem.REGISTERED_SOLVE_METHODS:  # else an option of DIFFCP
            if "method" in kwargs:
                raise ValueError("Give either method= or solve_method=, not both.")
            kwargs["method"] = kwargs.pop("solve_method")
        if kwargs.get("method") == METHOD:
            return original(self, *args, **kwargs)
        solver, params = _ours(kwargs.get("solver")), kwargs.pop("params", None)
        if solver is None:
            if params is not None:
                raise ValueError(f'params= belongs to the solvers of cvxprox: add solver="{NAME}".')
            return original(self, *args, **kwargs)
        if compiled_otherwise(self, solver, kwargs):
            self._cache.invalidate()
        with values_from(self, params or {}):
            value = original(self, *args, **kwargs)
            attach_tensors(self, params, solver.options, kwargs)
        return value

    return solve


def _inner_solve(original: Any) -> Any:
    """``requires_grad=True``, which CVXPY refuses for solvers other than its own.

    Problems need not be DPP, unless ``enforce_dpp=True``: what becomes of the parameters is not
    read from CVXPY's matrices.
    """
    signature = inspect.signature(original)

    def solve(self: Problem, *args: Any, **kwargs: Any) -> Any:
        known: Derivatives | None = self._solver_cache.get(DERIVATIVES)
        if known is not None:
            known.forget()
        call = signature.bind(self, *args, **kwargs)
        asked, solver = call.arguments, _ours(call.arguments.get("solver"))
        if solver is None or not asked.get("requires_grad"):
            return original(self, *args, **kwargs)
        if asked.get("qcp"):
            raise ValueError("Cannot compute gradients of DQCP problems.")
        asked["requires_grad"] = False
        value = original(*call.args, **call.kwargs)
        last = self._solver_cache.get(NAME)
        known = self._solver_cache.get(DERIVATIVES) or Derivatives(self)
        known.record(solver.options if last is None else last.session.options, bool(asked.get("gp")))
        self._solver_cache[DERIVATIVES] = known
        return value

    return solve


def _backward(original: Any) -> Any:
    def backward(self: Problem) -> None:
        known = self._solver_cache.get(DERIVATIVES)
        return known.backward() if known is not None and known.ready else original(self)

    return backward


def _derivative(original: Any) -> Any:
    def derivative(self: Problem) -> None:
        known = self._solver_cache.get(DERIVATIVES)
        return known.derivative() if known is not None and known.ready else original(self)

    return derivative


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
        "_solve": ["solver", "gp", "qcp", "requires_grad"],
        "backward": [],
        "derivative": [],
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
