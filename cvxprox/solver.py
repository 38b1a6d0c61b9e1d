"""CVXPY's door: the solver class."""

from __future__ import annotations

from typing import Any, ClassVar

import cvxpy.settings as s
import numpy as np
from cvxpy.constraints import ExpCone, NonNeg, PowCone3D, SvecPSD, Zero
from cvxpy.constraints.second_order import SOC
from cvxpy.error import SolverError
from cvxpy.reductions.solution import Solution, failure_solution
from cvxpy.reductions.solvers.solver import Solver
from cvxpy.utilities.psd_utils import TriangleKind
from torch import Tensor

from cvxprox.algorithms import Point, Result, Session, solve_admm
from cvxprox.operators import LinearOperator, as_sparse
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.reductions.assemble import Assembled, assemble
from cvxprox.reductions.stuffing import ParametricProgram
from cvxprox.report import Report
from cvxprox.status import Status

NAME = "NABLA_ADMM"
CITATION = """@article{lai2023nablaprox,
  title={{$\\nabla$-Prox}: Differentiable proximal algorithm modeling for large-scale optimization},
  author={Lai, Zeqiang and Wei, Kaixuan and Fu, Ying and H{\\"a}rtel, Philipp and Heide, Felix},
  journal={ACM Transactions on Graphics}, volume={42}, number={4}, year={2023}
}
"""

_STATUS = {
    Status.OPTIMAL: s.OPTIMAL,
    Status.OPTIMAL_INACCURATE: s.OPTIMAL_INACCURATE,
    Status.INFEASIBLE: s.INFEASIBLE,
    Status.UNBOUNDED: s.UNBOUNDED,
    Status.ITERATION_LIMIT: s.USER_LIMIT,
    Status.TIME_LIMIT: s.USER_LIMIT,
    Status.INTERRUPTED: s.USER_LIMIT,
}


class NablaADMM(Solver):
    """The solver behind ``prob.solve(solver="NABLA_ADMM")``.

    An instance, ``prob.solve(solver=cvxprox.NablaADMM(eps_abs=1e-8))``, carries options of its
    own; options given to `solve` override them.

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
        """NABLA_ADMM."""
        return NAME

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
        """The numeric program at the current values of the parameters."""
        assembled = assemble(problem)
        return {s.PARAM_PROB: problem, "program": assembled}, {
            "assembled": assembled,
            "x_id": problem.x.id,
            "parametric": problem,
        }

    def solve_via_data(
        self,
        data: dict[str, Any],
        warm_start: bool,
        verbose: bool,
        solver_opts: dict[str, Any],
        solver_cache: dict[str, Any] | None = None,
    ) -> Result:
        """Run the algorithm.

        Raises
        ------
        SolverError
            If an option is unknown or out of range.
        """
        try:
            options = self.options.with_changes({"verbose": verbose or self.options.verbose, **solver_opts})
        except (ValueError, TypeError) as error:
            raise SolverError(str(error)) from error
        assembled: Assembled = data["program"]
        cached = (solver_cache or {}).get(NAME) if warm_start else None
        session, start = _session(assembled.program, options, cached)
        report = Report(session) if options.verbose else None
        result = solve_admm(session, start, report.record if report else None)
        if report:
            report.finish(result)
        if solver_cache is not None:
            solver_cache[NAME] = session
        return result

    def invert(self, result: Result, inverse_data: Any) -> Solution:
        """CVXPY's solution: values, duals (certificates for infeasible problems), statistics."""
        status = _STATUS[result.status]
        assembled: Assembled = inverse_data["assembled"]
        parametric: ParametricProgram = inverse_data["parametric"]
        statistics = _statistics(result)
        attributes = {
            s.SOLVE_TIME: result.solve_time,
            s.SETUP_TIME: result.setup_time,
            s.NUM_ITERS: result.iterations,
            s.EXTRA_STATS: statistics,
        }
        duals = assembled.duals(_array(result.dual))
        x = np.zeros(parametric.x.size)
        x[parametric.kept] = _array(result.primal)
        if status in s.SOLUTION_PRESENT:
            return Solution(status, result.residuals.objective, {inverse_data["x_id"]: x}, duals, attributes)
        if result.status is Status.UNBOUNDED:
            statistics["direction"] = parametric.split_solution(x)
        return failure_solution(status, attributes, duals)


def _session(program: ProxProgram, options: Options, cached: Session | None) -> tuple[Session, Point | None]:
    """A session for `program`, as much as possible from the last solve, and its warm start."""
    if cached is None or (cached.program.variables, cached.program.rows) != (program.variables, program.rows):
        return Session.start(program, options), None
    start = cached.point
    if cached.options != options or not _same_matrices(cached.program, program):
        session = Session.start(program, options)
        if start is not None and cached.program.q.dtype == session.program.q.dtype:
            return session, start
        return session, None
    return cached.with_vectors(program), start


def _same_matrices(old: ProxProgram, new: ProxProgram) -> bool:
    if old.P is None or new.P is None:
        return old.P is new.P and _same(old.K, new.K)
    return _same(old.P, new.P) and _same(old.K, new.K)


def _same(old: LinearOperator, new: LinearOperator) -> bool:
    a, b = as_sparse(old), as_sparse(new)
    return (
        a.nnz == b.nnz
        and np.array_equal(a.indptr, b.indptr)
        and np.array_equal(a.indices, b.indices)
        and np.array_equal(a.data, b.data)
    )


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
