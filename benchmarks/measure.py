"""Timing of one solver on one instance, through CVXPY, in this process."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.problems import Model, assign, model, parametrised_model
from benchmarks.program import Program
from benchmarks.residuals import Residuals, solution_residuals
from benchmarks.solvers import Options, Peer


@dataclass(frozen=True)
class Run:
    """One timed call. Times are in seconds.

    Attributes
    ----------
    wall : float
        The whole call, with CVXPY's compilation.
    solver_time : float
        Set-up and solve as the solver reports them, or nan.
    iterations : int or None
        As the solver reports them.
    status : str
        CVXPY's status, or the error.
    residuals : Residuals or None
        By the common checker; None where there is no primal-dual point.
    """

    wall: float
    solver_time: float = float("nan")
    iterations: int | None = None
    status: str = ""
    residuals: Residuals | None = None

    @property
    def error(self) -> float:
        """The worst relative residual; inf without a point."""
        return self.residuals.worst if self.residuals is not None else float("inf")


def measure_solve(program: Program, peer: Peer, eps: float, limit: float) -> Run:
    """A whole `Problem.solve` of a new problem."""
    built = model(program)
    return _timed_solve(program, built, peer, peer.options(eps, limit))


def measure_compile(program: Program, peer: Peer, eps: float, limit: float) -> Run:
    """`Problem.get_problem_data` of a new problem: the chain of reductions and nothing of the solver."""
    built = model(program)
    wall, status = _timed(lambda: built.problem.get_problem_data(peer.solver))
    return Run(wall, status=status or "compiled")


class Resolver:
    """A parametrised problem that was solved once, so that CVXPY and the solver have cached what they can."""

    def __init__(self, program: Program, peer: Peer, eps: float, limit: float) -> None:
        self.peer, self.options = peer, peer.options(eps, limit)
        self.model = parametrised_model(program)
        self.first = _timed_solve(program, self.model, peer, self.options)

    def measure(self, changed: Program) -> Run:
        """A whole `Problem.solve` after the parameters took the values of `changed`."""
        assign(self.model.parameters, changed)
        return _timed_solve(changed, self.model, self.peer, self.options)


def resolve_rounds(program: Program, repeats: int, seed: int = 1) -> list[Program]:
    """The changed data of the re-solves, the same for all solvers."""
    rng = np.random.default_rng(seed)
    return [program.with_changes(rng) for _ in range(repeats)]


def _timed_solve(program: Program, built: Model, peer: Peer, options: Options) -> Run:
    wall, failure = _timed(lambda: built.problem.solve(solver=peer.solver, **options))
    if failure:
        return Run(wall, status=failure)
    stats = built.problem.solver_stats
    times = [seconds for seconds in (stats.setup_time, stats.solve_time) if seconds is not None]
    return Run(
        wall=wall,
        solver_time=float(sum(times)) if times else float("nan"),
        iterations=None if stats.num_iters is None else int(stats.num_iters),
        status=str(built.problem.status),
        residuals=solution_residuals(program, built),
    )


def _timed(call: Callable[[], object]) -> tuple[float, str]:
    """Seconds that `call` took, and the error that it raised, in short."""
    failure = ""
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        try:
            call()
        except Exception as error:  # a solver that breaks on an instance is a result, not the end of the run
            failure = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        return time.perf_counter() - start, failure
