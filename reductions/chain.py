"""The solving chain of NABLA_ADMM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cvxpy.constraints.constraint import Constraint
from cvxpy.error import DPPError, SolverError
from cvxpy.problems.objective import Maximize
from cvxpy.problems.problem import Problem
from cvxpy.problems.problem_form import make_problem_form
from cvxpy.reductions.complex2real import complex2real
from cvxpy.reductions.cone2cone.approx import ApproxCone2Cone
from cvxpy.reductions.cone2cone.exact import ExactCone2Cone
from cvxpy.reductions.cvx_attr2constr import CvxAttr2Constr
from cvxpy.reductions.dgp2dcp.dgp2dcp import Dgp2Dcp
from cvxpy.reductions.eliminate_zero_sized import EliminateZeroSized
from cvxpy.reductions.eval_params import EvalParams
from cvxpy.reductions.flip_objective import FlipObjective
from cvxpy.reductions.reduction import Reduction
from cvxpy.reductions.solvers.constant_solver import ConstantSolver
from cvxpy.reductions.solvers.solver import Solver, expand_cones
from cvxpy.reductions.solvers.solving_chain import DPP_ERROR_MSG, SolvingChain
from cvxpy.settings import COO_CANON_BACKEND, DPP_PARAM_THRESHOLD
from cvxpy.utilities.solver_context import SolverInfo
from cvxpy.utilities.warn import warn

from cvxprox.reductions.complex_to_real import ComplexToReal
from cvxprox.reductions.lifted_parameter import LiftParameters
from cvxprox.reductions.partial_canonicalization import PartialCanonicalization
from cvxprox.reductions.priors import is_structured, without_priors
from cvxprox.reductions.recompile import Recompile
from cvxprox.reductions.stuffing import ProxStuffing

PLAIN_ALGORITHMS = ("hqs", "ladmm", "pdhg", "pgd", "fista")
"""Algorithms that take sums of squares as they are: CVXPY's forms would add variables and equations."""


def wants_operators(solver: Solver, solver_opts: Mapping[str, Any]) -> bool:
    """Whether the options ask for operators where matrices would do."""
    lane = solver_opts.get("lane", solver.options.lane)
    algorithm = solver_opts.get("algorithm", solver.options.algorithm)
    return lane == "matrix_free" or (lane == "auto" and algorithm in PLAIN_ALGORITHMS)


def compiled_otherwise(problem: Problem, solver: Solver, solver_opts: Mapping[str, Any]) -> bool:
    """Whether what CVXPY keeps of the problem was compiled under options that asked for another form."""
    chain = problem._cache.solving_chain
    if chain is None:
        return False
    kept = [r.asked for r in chain.reductions if isinstance(r, ProxStuffing)]
    return bool(kept) and kept[0] != wants_operators(solver, solver_opts)


@dataclass(frozen=True)
class Flavour:
    """How problems become programs of tensors.

    Attributes
    ----------
    squares : bool
        Whether sums of squares are terms of the stuffed problem, not forms of variables of their own.
    choose : callable
        Which lowered constraints stay operators.
    balls : bool
        Whether norm balls become projections.
    """

    squares: bool
    choose: Callable[[Constraint], bool]
    balls: bool = True


def _entries(problem: Problem) -> int:
    return sum(p.size for p in problem.parameters())


def construct_chain(
    problem: Problem,
    solver: Solver,
    gp: bool = False,
    enforce_dpp: bool = False,
    ignore_dpp: bool = False,
    canon_backend: str | None = None,
    solver_opts: dict[str, Any] | None = None,
    flavour: Flavour | None = None,
) -> SolvingChain:
    """The reductions from `problem` to `solver`.

    [complex to real, geometric to convex] → partial canonicalisation → attributes to constraints
    → exact cone conversions → stuffing → solver. The arguments are those of
    ``Problem._construct_chain``, and `flavour`, for programs of tensors.

    Raises
    ------
    SolverError
        If the problem has integer variables.
    cvxpy.error.DCPError, cvxpy.error.DPPError
        CVXPY's own, if the problem is not DCP (or DGP), or not DPP under `enforce_dpp`.
    """
    judged = without_priors(problem)
    form = make_problem_form(judged, gp, ignore_dpp)
    if not problem.variables():
        return SolvingChain(reductions=[ConstantSolver()])
    if form.is_mixed_integer():
        names = [v.name() for v in problem.variables() if v.attributes["integer"] or v.attributes["boolean"]]
        raise SolverError(
            f"NABLA_ADMM solves convex problems; the variables {', '.join(names) or 'of a FiniteSet'} are "
            "integer or boolean. Relax them, or use a mixed-integer solver such as HIGHS or SCIP."
        )
    supported = frozenset(solver.SUPPORTED_CONSTRAINTS)
    context = SolverInfo(
        solver=solver.name(),
        supported_constraints=supported,
        supports_bounds=False,
        psd_triangle_kind=solver.PSD_TRIANGLE_KIND,
        psd_sqrt2_scaling=solver.PSD_SQRT2_SCALING,
    )
    reductions: list[Reduction] = [Recompile()]
    if complex2real.accepts(problem):
        reductions.append(ComplexToReal())
    if gp:
        reductions.append(Dgp2Dcp())
    if isinstance(problem.objective, Maximize):
        reductions.append(FlipObjective())

    if flavour is not None:
        reductions.append(LiftParameters())
    elif ignore_dpp or not judged.is_dpp("dgp" if gp else "dcp", quad_form_dpp="qp"):
        if not ignore_dpp and enforce_dpp:
            raise DPPError(DPP_ERROR_MSG)
        if not ignore_dpp:
            warn(DPP_ERROR_MSG)
        reductions.insert(0, EvalParams())
    follows = not isinstance(reductions[0], EvalParams)
    if follows and canon_backend is None and _entries(problem) >= DPP_PARAM_THRESHOLD:
        canon_backend = COO_CANON_BACKEND

    use_quad_obj = (solver_opts or {}).get("use_quad_obj", solver.options.use_quad_obj)
    quad_obj = bool(use_quad_obj) and form.has_quadratic_objective()
    _, exact, approximate = expand_cones(form.cones(quad_obj=quad_obj).copy(), supported)
    asked = wants_operators(solver, solver_opts or {})
    structured = asked or is_structured(problem) if flavour is None else flavour.squares
    balls = flavour is None or flavour.balls
    reductions.append(PartialCanonicalization(quad_obj, context, structured, balls))
    reductions.append(CvxAttr2Constr(reduce_bounds=True))
    if exact:
        reductions.append(ExactCone2Cone(target_cones=exact, solver_context=context))
    if approximate:
        reductions.append(ApproxCone2Cone(target_cones=approximate))
    reductions.append(EliminateZeroSized())
    if flavour is None:
        reductions.append(ProxStuffing(quad_obj, canon_backend, structured, asked))
    else:
        reductions.append(ProxStuffing(quad_obj, canon_backend, True, asked, flavour.choose))
    reductions.append(solver)
    return SolvingChain(reductions=reductions, solver_context=context)
