"""Which linear algebra the linearised optimality conditions of a program get."""

from __future__ import annotations

from cvxprox.differentiation.base import Run, Task
from cvxprox.differentiation.kkt_matrix_free import MatrixFreeSensitivity
from cvxprox.differentiation.kkt_sparse import SparseSensitivity
from cvxprox.differentiation.sensitivity import Sensitivity
from cvxprox.linear_solve.assembled import assembled
from cvxprox.program import ProxProgram

SMALL = 1200
"""Unknowns up to which operators are made matrices."""

EFFORT = 1.5
"""Iterations of a derivative for one of the run: one takes about twice as long as a step of ADMM."""

FEWEST = 100
TOLERANCE = 1e-8


def sensitivity_of(
    task: Task, run: Run, tol: float | None = None, max_iter: int | None = None
) -> Sensitivity:
    """J of a program without batch at a solution.

    By a sparse factorisation where K and P have entries or are small, by iterations otherwise.

    Parameters
    ----------
    task : Task
    run : Run
    tol : float, optional
        Relative residual at which iterations stop, by default 1e-8.
    max_iter : int, optional
        Their limit; by default in proportion to the iterations of the run, so that a derivative takes
        about as long as the solution that it belongs to.

    Raises
    ------
    ValueError
        If a function is not convex.
    """
    program, point, rho = task.frozen, run.point, run.rho
    refuse_nonconvex(program)
    on_host = program.q.device.type == "cpu"
    if (assembled(program) and on_host) or program.variables <= SMALL:
        return SparseSensitivity(program, point, rho)
    limit = int(max(FEWEST, EFFORT * run.iterations)) if max_iter is None else max_iter
    return MatrixFreeSensitivity(program, point, rho, TOLERANCE if tol is None else tol, limit)


def refuse_nonconvex(program: ProxProgram) -> None:
    """Raise an error if J may not describe a solution."""
    for block in program.blocks:
        if not block.function.convex:
            raise ValueError(
                f'the term "{block.label or type(block.function).__name__}" is not convex, so its optimality '
                'conditions do not determine the derivatives ("kkt"). '
                'Use differentiation=Implicit("anderson"), which differentiates the fixed point.'
            )
