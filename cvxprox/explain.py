"""`explain`: how a problem would be solved."""

from __future__ import annotations

from typing import Any

import cvxpy.settings as s
import torch
from cvxpy.error import SolverError
from cvxpy.problems.problem import Problem

from cvxprox.algorithms import Session
from cvxprox.explanation import Explanation, explanation
from cvxprox.options import Options
from cvxprox.reductions.chain import compiled_otherwise
from cvxprox.solver import NablaADMM, assemble_program


def explain(problem: Problem, algorithm: str = "admm", measure: bool = True, **options: Any) -> Explanation:
    """How `problem` would be solved: which term goes where, and why. Nothing is solved.

    Parameters
    ----------
    problem : cvxpy.Problem
        Its parameters need values.
    algorithm : str
        As the option of that name of `cvxprox.Options`.
    measure : bool
        Whether to run a few iterations to measure their time.
    **options
        As for ``problem.solve(solver="NABLA_ADMM", ...)``.

    Raises
    ------
    cvxpy.error.SolverError
        If the algorithm cannot take the problem, or an option is unknown.
    """
    try:
        chosen = Options(algorithm=algorithm).with_changes(options)
    except (ValueError, TypeError) as error:
        raise SolverError(str(error)) from error
    solver = NablaADMM(algorithm=algorithm)
    if compiled_otherwise(problem, solver, options):
        problem._cache.invalidate()
    data, _, _ = problem.get_problem_data(solver.name(), solver_opts={"algorithm": algorithm, **options})
    try:
        with torch.no_grad():
            assembled = assemble_program(data, chosen, None)
            session = Session.start(assembled.program, chosen)
    except ValueError as error:
        raise SolverError(str(error)) from error
    return explanation(session, assembled, data[s.PARAM_PROB], measure)
