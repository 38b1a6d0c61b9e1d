"""CVXPY's reduction of complex variables, for directions of unbounded problems too."""

from __future__ import annotations

import cvxpy.settings as s
from cvxpy.reductions import InverseData
from cvxpy.reductions.complex2real.complex2real import Complex2Real
from cvxpy.reductions.solution import Solution


class ComplexToReal(Complex2Real):
    """As `Complex2Real`, which joins real and imaginary parts only where there is a solution."""

    def invert(self, solution: Solution, inverse_data: InverseData) -> Solution:
        """Join the parts of values, or of the direction of an unbounded problem."""
        if solution.status not in s.INF_OR_UNB or not solution.primal_vars:
            return super().invert(solution, inverse_data)
        as_values = Solution(s.OPTIMAL, solution.opt_val, solution.primal_vars, {}, {})
        direction = super().invert(as_values, inverse_data).primal_vars
        inverted = super().invert(solution, inverse_data)
        inverted.primal_vars = direction
        return inverted
