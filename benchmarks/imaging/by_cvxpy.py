"""The problems in CVXPY: with the atoms of cvxprox, and with the sparse matrices that other solvers need."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np

from benchmarks.imaging.attempt import Attempt, timed
from benchmarks.imaging.instances import Instance, blur_matrix, difference_matrices
from benchmarks.solvers import OURS, SOLVERS

Model = tuple[cp.Problem, cp.Variable]


def with_atoms(problem: Instance) -> Model:
    """The problem as the library's user writes it."""
    atoms: Any = importlib.import_module("cvxprox")  # also registers the solver
    x = cp.Variable(problem.data.shape)
    blurred = x if problem.kernel is None else atoms.conv(x, problem.kernel, boundary="circular")
    fidelity = 0.5 * cp.sum_squares(blurred - problem.data)
    return cp.Problem(cp.Minimize(fidelity + problem.weight * atoms.tv(x, boundary="circular"))), x


def with_matrices(problem: Instance) -> Model:
    """The problem in CVXPY's own atoms, the image a vector in C order."""
    x = cp.Variable(problem.data.size)
    blurred = x if problem.kernel is None else blur_matrix(problem.kernel, problem.size) @ x
    differences = cp.vstack([matrix @ x for matrix in difference_matrices(problem.size)])
    fidelity = 0.5 * cp.sum_squares(blurred - problem.data.ravel())
    return cp.Problem(cp.Minimize(fidelity + problem.weight * cp.sum(cp.norm(differences, 2, axis=0)))), x


def solver(name: str) -> Callable[[Instance, float, float], Attempt]:
    """Solves an instance by the solver of that name, given a tolerance and a time limit in seconds."""
    peer = SOLVERS[name]
    model = with_atoms if name == OURS else with_matrices

    def solve(problem: Instance, eps: float, limit: float) -> Attempt:
        built, x = model(problem)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wall, cpu, failure = timed(lambda: built.solve(solver=peer.solver, **peer.options(eps, limit)))
        if failure or x.value is None:
            return Attempt(None, wall, cpu, status=failure or str(built.status))
        stats = built.solver_stats
        image = np.asarray(x.value).reshape(problem.data.shape)
        return Attempt(
            image, wall, cpu, int(stats.num_iters), max(0.0, wall - stats.solve_time), str(built.status)
        )

    return solve
