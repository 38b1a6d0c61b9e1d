"""CVXPY's door: the solver class."""

from __future__ import annotations

import time
from typing import Any, ClassVar, NamedTuple

import cvxpy.settings as s
import numpy as np
import torch
from cvxpy.constraints import ExpCone, NonNeg, PowCone3D, SvecPSD, Zero
from cvxpy.constraints.second_order import SOC
from cvxpy.error import SolverError
from cvxpy.reductions.solution import Solution, failure_solution
from cvxpy.reductions.solvers.solver import Solver
from cvxpy.utilities.psd_utils import TriangleKind
from torch import Tensor

from cvxprox.algorithms import Point, Result, Session, solve_program
from cvxprox.algorithms.registry import ALGORITHMS
from cvxprox.explanation import explanation
from cvxprox.options import Options
from cvxprox.reductions.assemble import Assembled, Assembly, assemble
from cvxprox.reductions.assemble_structured import AssembledStructured, assemble_structured
from cvxprox.reductions.parametric import ParametricProgram
from cvxprox.report import Report
from cvxprox.status import Status

NAME = "NABLA_ADMM"
NAMES = {
    NAME: "admm",
    "NABLA_LADMM": "ladmm",
    "NABLA_HQS": "hqs",
    "NABLA_PDHG": "pdhg",
    "NABLA_PGD": "pgd",
    "NABLA_FISTA": "fista",
}
"""The names under which CVXPY knows the algorithms."""

FIXED_POINT, PENALTY_METHOD = "fixed_point", "penalty_method"
"""Statuses of CVXPY problems that CVXPY itself has not."""

CITATION = """@article{lai2023nablaprox,
  title={{$\\nabla$-Prox}: Differentiable proximal algorithm modeling for large-scale optimization},
  author={Lai, Zeqiang and Wei, Kaixuan and Fu, Ying and H{\\"a}rtel, Philipp and Heide, Felix},
  journal={ACM Transactions on Graphics}, volume={42}, number={4}, year={2023}
}
"""

_STATUS = {
    Status.OPTIMAL: s.OPTIMAL,
    Status.OPTIMAL_INACCURATE: s.OPTIMAL_INACCURATE,
    Status.FIXED_POINT: FIXED_POINT,
    Status.PENALTY_METHOD: PENALTY_METHOD,
    Status.INFEASIBLE: s.INFEASIBLE,
    Status.UNBOUNDED: s.UNBOUNDED,
    Status.ITERATION_LIMIT: s.USER_LIMIT,
    Status.TIME_LIMIT: s.USER_LIMIT,
    Status.INTERRUPTED: s.USER_LIMIT,
}


class NablaADMM(Solver):
    """The solver behind ``prob.solve(solver="NABLA_ADMM")`` and the other names in `NAMES`.

    A name stands for an algorithm; the option `algorithm` overrides it. An instance,
    ``prob.solve(solver=cvxprox.NablaADMM(eps_abs=1e-8))``, carries options of its own; options
    given to `solve` override them.

    Parameters
    ----------
    **options
        As documented in `cvxprox.Options`.
    """

    SUPPORTED_CONSTRAINTS: ClassVar = [Zero, NonNeg, SOC, ExpCone, PowCone3D, SvecPSD]
    PSD_TRIANGLE_KIND = TriangleKind.UPPER
    PSD_SQRT2_SCALING = True
    MIP_CAPABLE = False
    BOUNDED_VARIABLES = False

    def __init__(self, **options: Any) -> None:
        self.options = Options().with_changes(options)

    def name(self) -> str:
        """NABLA_ADMM, or the name of another algorithm."""
        names = {algorithm: name for name, algorithm in NAMES.items()}
        return names.get(self.options.algorithm, NAME)

    def import_solver(self) -> None:
        """Everything needed is imported with the package."""

    def supports_quad_obj(self) -> bool:
        """Quadratic objectives stay quadratic."""
        return True

    def can_solve(self, problem_form: Any) -> bool:
        """False: CVXPY shall never pick this solver by itself. By name it takes another way in."""
        return False

    def cite(self, data: dict[str, Any]) -> str:
        """The paper that the library implements."""
        return CITATION

    def accepts(self, problem: ParametricProgram) -> bool:
        """Stuffed programs."""
        return isinstance(problem, ParametricProgram)

    def apply(self, problem: ParametricProgram) -> tuple[dict[str, Any], dict[str, Any]]:
        """The numbers at the current values of the parameters."""
        numbers = problem.evaluate()
        return {s.PARAM_PROB: problem, "numbers": numbers}, {"parametric": problem}

    def solve_via_data(
        self,
        data: dict[str, Any],
        warm_start: bool,
        verbose: bool,
        solver_opts: dict[str, Any],
        solver_cache: dict[str, Any] | None = None,
    ) -> Outcome:
        """Assemble the program and run the algorithm.

        Raises
        ------
        SolverError
            If an option is unknown or out of range.
        """
        started = time.perf_counter()
        last: _Memory | None = (solver_cache or {}).get(NAME)
        asked = {"verbose": verbose or self.options.verbose, **solver_opts}
        if last is not None and last.asked == (self.options, asked):
            options = last.session.options
        else:
            try:
                options = self.options.with_changes(asked)
            except (ValueError, TypeError) as error:
                raise SolverError(str(error)) from error
        with torch.no_grad():  # operators and networks may be trainable
            assembled = assemble_program(data, options, last)
            try:
                session, start = _session(assembled, options, last if warm_start else None)
            except ValueError as error:
                raise SolverError(str(error)) from error
        report = None
        if options.verbose:
            report = Report(session, explanation(session, assembled, data[s.PARAM_PROB]))
        result = solve_program(session, start, report.record if report else None, started)
        if report:
            report.finish(result)
        if solver_cache is not None:
            solver_cache[NAME] = _Memory(assembled.assembly, session, (self.options, asked))
        return Outcome(result, assembled)

    def invert(self, outcome: Outcome, inverse_data: Any) -> Solution:
        """CVXPY's solution: values, duals (certificates for infeasible problems), statistics."""
        result, assembled = outcome
        status = _STATUS[result.status]
        parametric: ParametricProgram = inverse_data["parametric"]
        attributes = {
            s.SOLVE_TIME: result.solve_time,
            s.SETUP_TIME: result.setup_time,
            s.NUM_ITERS: result.iterations,
            s.EXTRA_STATS: _statistics(result),
        }
        duals = assembled.duals(_array(result.dual), _array(result.point.z))
        values = parametric.split(_array(result.primal))
        if status in s.SOLUTION_PRESENT:
            return Solution(status, result.residuals.objective, values, duals, attributes)
        failure = failure_solution(status, attributes, duals)
        if result.status is Status.UNBOUNDED:  # the chain carries the direction to the user's variables
            failure.primal_vars = values
        return failure


class Outcome(NamedTuple):
    """A run and the program that it was run on."""

    result: Result
    assembled: Assembled | AssembledStructured


class _Memory(NamedTuple):
    """What a problem's solver cache holds between solves."""

    assembly: object
    session: Session
    asked: tuple[Options, dict[str, Any]]  # the options as given, which need not be checked again

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """A copied problem starts afresh: factorisations cannot be copied."""


def assemble_program(
    data: dict[str, Any], options: Options, last: _Memory | None
) -> Assembled | AssembledStructured:
    """The program behind the data of a solve, with what fits of the last one."""
    parametric: ParametricProgram = data[s.PARAM_PROB]
    part = parametric.structured
    if part is None:
        assembly = last.assembly if last else None
        return assemble(
            data["numbers"], parametric.layout, assembly if isinstance(assembly, Assembly) else None
        )
    form = ALGORITHMS[options.algorithm].form
    return assemble_structured(
        data["numbers"],
        parametric.layout,
        part,
        form,
        options.torch_dtype(),
        options.torch_device(),
        options.lane,
    )


def _session(
    assembled: Assembled | AssembledStructured, options: Options, last: _Memory | None
) -> tuple[Session, Point | None]:
    """A session for the program, as much as possible from the last solve, and its warm start."""
    program = assembled.program
    if last is None:
        return Session.start(program, options), None
    session, start = last.session, last.session.point
    if last.assembly is assembled.assembly and session.options.same_iterations(options):
        return session.with_vectors(program, options), start
    fresh = Session.start(program, options)
    same = (
        fresh.program.q.shape == session.program.q.shape and fresh.program.b.shape == session.program.b.shape
    )
    if not same or fresh.program.q.dtype != session.program.q.dtype:
        return fresh, None
    return fresh, start


def _array(vector: Tensor) -> np.ndarray:
    return vector.double().cpu().numpy()


def _statistics(result: Result) -> dict[str, Any]:
    return {
        "status": result.status.value,
        "primal_residual": result.residuals.primal,
        "dual_residual": result.residuals.dual,
        "gap": result.residuals.gap,
        "history": result.history,
        **result.info,
    }
