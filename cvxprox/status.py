"""How a run ended."""

from __future__ import annotations

import enum


class Status(enum.Enum):
    """The outcome of a run; the value is the full message."""

    OPTIMAL = "optimal: all residuals are within the tolerances"
    OPTIMAL_INACCURATE = "nearly optimal: stopped at max_iter with residuals within 1000 times the tolerances"
    FIXED_POINT = (
        "fixed point: all residuals are within the tolerances, or a schedule of noise levels is over and "
        "denoisers change the point by less than the last of them; some terms are not convex, so that no "
        "optimality is claimed"
    )
    PENALTY_METHOD = (
        "penalty method: stopped at a finite penalty, so the equations between the terms hold up to the "
        "primal residual"
    )
    INFEASIBLE = "infeasible: a certificate was confirmed on the original data"
    UNBOUNDED = "unbounded: a direction of descent was confirmed on the original data"
    ITERATION_LIMIT = "stopped at max_iter: the best point found is returned"
    TIME_LIMIT = "stopped at time_limit: the best point found is returned"
    INTERRUPTED = "stopped by the callback: the best point found is returned"
