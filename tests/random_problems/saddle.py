r"""Checks of primal and dual values that hold for every convex problem.

With the Lagrangian L(x, y) of CVXPY's sign conventions (`L = f + y'(lhs - rhs)` for relations,
`L = f - y'e` for "e in a cone"; f is the objective to minimise), (x*, y*) is optimal only if
L(x, y*) >= f(x*) for every x in the variables' own sets. The inequality is tested at random points near to
x*: wrong signs, scales and stationarity all show, and kinks in f do no harm. In the same way y is a
certificate of infeasibility only if L with f = 0 is positive everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import cvxpy as cp
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from tests.random_problems.cones import Array


def _vdot(a: ArrayLike, b: ArrayLike) -> float:
    return float(np.real(np.sum(np.conj(np.ravel(a, order="F")) * np.ravel(b, order="F"))))


def _relation(con: cp.Constraint) -> bool:
    names = ("Inequality", "Equality", "NonPos", "Zero")
    return type(con).__name__ in names


def _pairs(con: cp.Constraint) -> Iterator[tuple[Array, Array, float]]:
    """(value, dual value, sign in the Lagrangian) of the parts of a constraint."""
    duals = [v.value for v in con.dual_variables]
    if _relation(con):
        yield con.args[0].value if len(con.args) == 1 else con.expr.value, duals[0], 1.0
    else:
        yield from ((arg.value, dual, -1.0) for arg, dual in zip(con.args, duals, strict=True))


def _magnitude(problem: cp.Problem) -> float:
    """The sum of the absolute values of all the products in the Lagrangian."""
    return sum(_vdot(np.abs(e), np.abs(y)) for con in problem.constraints for e, y, _ in _pairs(con))


def lagrangian(problem: cp.Problem, objective: bool = True) -> float:
    """The Lagrangian at the present values; nan outside the domain of a function."""
    with np.errstate(all="ignore"):
        total = 0.0
        if objective:
            sign = 1.0 if isinstance(problem.objective, cp.Minimize) else -1.0
            total = sign * float(np.real(problem.objective.expr.value))
        return total + sum(s * _vdot(e, y) for con in problem.constraints for e, y, s in _pairs(con))


def shape_error(problem: cp.Problem) -> str | None:
    """Whether a dual value is missing, not finite, or of the wrong size."""
    for con in problem.constraints:
        for arg, dual in zip(con.dual_variables, [v.value for v in con.dual_variables], strict=True):
            if dual is None:
                return f"no dual value for {type(con).__name__}"
            if not np.all(np.isfinite(dual)):
                return f"a dual value of {type(con).__name__} is not finite"
            if np.size(dual) != arg.size:
                return f"the dual value of {type(con).__name__} has shape {np.shape(dual)}, not {arg.shape}"
    return None


def largest_dual(problem: cp.Problem) -> float:
    values = [np.max(np.abs(v.value), initial=0) for c in problem.constraints for v in c.dual_variables]
    return float(max(values, default=0))


def dual_sign_error(problem: cp.Problem, tol: float) -> str | None:
    """Whether the multiplier of an inequality is negative, or of a semidefinite constraint indefinite."""
    for con in problem.constraints:
        if isinstance(con, cp.PSD):
            worst = np.linalg.eigvalsh((con.dual_value + con.dual_value.swapaxes(-1, -2)) / 2).min()
        elif isinstance(con, cp.NonNeg | cp.NonPos) or type(con).__name__ == "Inequality":
            worst = np.min(con.dual_value, initial=0)
        else:
            continue
        if worst < -tol:
            return f"a multiplier of {type(con).__name__} is negative: {worst:.2e}"
    return None


def violation(problem: cp.Problem) -> float:
    """The largest violation of a constraint, relative to one plus the largest entry in it."""
    worst = 0.0
    for con in problem.constraints:
        size = max(float(np.max(np.abs(arg.value), initial=0)) for arg in con.args)
        worst = max(worst, float(np.max(con.violation(), initial=0)) / (1 + size))
    for x in problem.variables():
        if x.attributes["bounds"] is not None:
            lower, upper = (np.asarray(bound) for bound in x.attributes["bounds"])
            gap = np.max(np.maximum(lower - x.value, x.value - upper), initial=0)
        else:
            gap = np.max(np.abs(x.value - x.project(x.value)), initial=0)
        worst = max(worst, float(gap) / (1 + float(np.max(np.abs(x.value), initial=0))))
    return worst


def _domain(problem: cp.Problem) -> list[cp.Constraint]:
    """What the functions in the problem ask of their arguments; some have finite values elsewhere."""
    parts = [problem.objective.expr, *(arg for con in problem.constraints for arg in con.args)]
    return [con for part in parts for con in part.domain]


def _project(x: cp.Variable, value: Array) -> Array:
    if x.attributes["bounds"] is not None:
        return np.asarray(np.clip(value, *x.attributes["bounds"]))
    return np.asarray(x.project(value))


def _moves(problem: cp.Problem, rng: Generator, steps: tuple[float, ...]) -> Iterator[None]:
    """Set the variables to pairs of opposite points around their present values; restore these at the end."""
    variables = problem.variables()
    start = [x.value for x in variables]
    for step in steps:
        noise = [rng.standard_normal(x.shape) * (rng.random(x.shape) < 0.6) for x in variables]
        if rng.random() < 0.7:  # one entry alone: in other directions the sets of the variables hide errors
            noise, chosen = [np.zeros(x.shape) for x in variables], int(rng.integers(len(variables)))
            noise[chosen].flat[rng.integers(noise[chosen].size)] = 1.0
        for sign in (1.0, -1.0):
            for x, centre, u in zip(variables, start, noise, strict=True):
                size = 1 + np.max(np.abs(centre), initial=0)
                x.save_value(_project(x, centre + sign * step * size * u))
            yield
    for x, centre in zip(variables, start, strict=True):
        x.save_value(centre)


def saddle_error(problem: cp.Problem, rng: Generator, tol: float) -> str | None:
    """Whether the Lagrangian at the dual values has lower values than the optimal one.

    Near to x* its fall is compared with the changes of the terms in it, 10 `tol` being allowed; further
    away with the terms themselves.
    """
    domain, here = _domain(problem), lagrangian(problem)
    sign = 1.0 if isinstance(problem.objective, cp.Minimize) else -1.0
    optimum = sign * float(np.real(problem.objective.value))
    scale = 1 + abs(optimum) + _magnitude(problem)
    parts = _parts(problem)
    if optimum - here > tol * scale:
        return f"complementarity is violated: the Lagrangian is {optimum - here:.1e} below the optimum"
    for _ in _moves(problem, rng, 12 * (1e-3,)):
        fall = here - lagrangian(problem)
        change = sum(float(np.sum(np.abs(a - b))) for a, b in zip(parts, _parts(problem), strict=True))
        if _inside(domain) and fall > tol * (10 * change + 1e-3 * scale):
            return f"stationarity is violated: the Lagrangian falls by {fall:.1e} in changes of {change:.1e}"
    for _ in _moves(problem, rng, 3 * (0.1, 1.0)):
        gap = optimum - lagrangian(problem)
        if _inside(domain) and gap > tol * (scale + _magnitude(problem)):
            return f"the Lagrangian is {gap:.1e} below the optimum"
    return None


def _inside(domain: list[cp.Constraint]) -> bool:
    return all(np.all(con.violation() == 0) for con in domain)


def _parts(problem: cp.Problem) -> list[Array]:
    """The products in the Lagrangian, and the objective."""
    products = [
        np.abs(np.ravel(y, order="F")) * np.ravel(e, order="F")
        for con in problem.constraints
        for e, y, _ in _pairs(con)
    ]
    return [np.real(np.ravel(problem.objective.expr.value)), *products]


def certificate_error(problem: cp.Problem, rng: Generator) -> str | None:
    """Whether the multipliers fail to prove that the constraints have no common point."""
    if largest_dual(problem) == 0:
        return "the certificate of infeasibility is zero"
    domain = _domain(problem)
    for x in problem.variables():
        x.save_value(_project(x, np.zeros(x.shape)))
    for _ in _moves(problem, rng, 3 * (0.0, 0.1, 1.0, 10.0, 1e4)):
        if not _inside(domain):
            continue
        value = lagrangian(problem, objective=False)
        terms = _magnitude(problem)
        if value < -1e-5 * (1e-300 + terms):
            return f"the certificate of infeasibility fails: {value:.2e} in terms of {terms:.2e}"
    return None
