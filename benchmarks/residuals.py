r"""One checker of optimality for all solvers, on the original data, in float64.

With the multipliers :math:`y` of `benchmarks.rows`, projected on their cones, the residuals are those of

.. math::

    b - Ax \in C, \qquad Px + q + A^T y = 0, \qquad
    \tfrac12 x^T P x + q^T x = -\tfrac12 x^T P x - b^T y,

each relative to the data as in PDLP (Applegate et al. 2021, section 4): :math:`2`-norms over
:math:`1 + \|b\|_2` and :math:`1 + \|q\|_2`, and the gap over one plus the sum of both absolute values. The
infinity norms are absolute. What the projection takes from a multiplier of a wrong sign is missed by the
second equation, so that such a multiplier is found out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.problems import Model
from benchmarks.program import Program
from benchmarks.rows import Vector


@dataclass(frozen=True)
class Residuals:
    """Objective values and errors of one solution; see the module for their definitions."""

    objective: float
    dual_objective: float
    primal: float
    dual: float
    gap: float
    primal_inf: float
    dual_inf: float

    @property
    def worst(self) -> float:
        """The largest of the three relative errors; inf where one is not a number."""
        errors = (self.primal, self.dual, self.gap)
        return float(np.max(errors)) if np.all(np.isfinite(errors)) else float("inf")


def residuals(program: Program, x: Vector, multipliers: list[Vector]) -> Residuals:
    """The residuals of the point `x` with one multiplier for each block of ``program.rows``."""
    x = np.asarray(x, dtype=float)
    Px = np.zeros_like(program.q) if program.P is None else program.P @ x
    gradient = Px + program.q
    outside, offset = [np.zeros(0)], 0.0
    for block, multiplier in zip(program.rows, multipliers, strict=True):
        y = block.project_multiplier(np.asarray(multiplier, dtype=float))
        outside.append(block.violation(block.rhs - block.matrix @ x))
        gradient = gradient + block.matrix.T @ y
        offset += float(block.rhs @ y)
    violation = np.concatenate(outside)
    rhs = np.concatenate([np.zeros(0), *(block.rhs for block in program.rows)])
    primal_value = float(x @ Px / 2 + program.q @ x)
    dual_value = float(-(x @ Px) / 2 - offset)
    return Residuals(
        objective=primal_value,
        dual_objective=dual_value,
        primal=float(np.linalg.norm(violation) / (1 + np.linalg.norm(rhs))),
        dual=float(np.linalg.norm(gradient) / (1 + np.linalg.norm(program.q))),
        gap=abs(primal_value - dual_value) / (1 + abs(primal_value) + abs(dual_value)),
        primal_inf=float(np.abs(violation).max(initial=0.0)),
        dual_inf=float(np.abs(gradient).max(initial=0.0)),
    )


def solution_residuals(program: Program, model: Model) -> Residuals | None:
    """The residuals of what the last solve left in the variable and the dual values of `model`.

    None where the solver left no primal point or no dual value.
    """
    x = model.x.value
    duals = [variable.value for constraint in model.constraints for variable in constraint.dual_variables]
    if x is None or any(value is None for value in duals):
        return None
    multipliers = [
        block.multiplier(constraint)
        for block, constraint in zip(program.rows, model.constraints, strict=True)
    ]
    return residuals(program, x, multipliers)
