"""CVXPY's reduction of complex variables, for directions of unbounded problems too."""

from __future__ import annotations

from typing import Any

import cvxpy.settings as s
from cvxpy.atoms.quad_over_lin import quad_over_lin
from cvxpy.expressions.expression import Expression
from cvxpy.reductions import InverseData
from cvxpy.reductions.complex2real.complex2real import Complex2Real
from cvxpy.reductions.solution import Solution

Parts = list[Expression | None]


class ComplexToReal(Complex2Real):
    """As `Complex2Real`, with a direction where there is no solution, and sums of squares as two sums.

    CVXPY writes the sum of squares of a complex matrix as that of one matrix, put together row by
    row; two sums, of the real and of the imaginary part, need no such matrix.
    """

    def canonicalize_expr(
        self, expr: Expression, real_args: Parts, imag_args: Parts, real2imag: dict[int, int], leaf_map: Any
    ) -> tuple[Any, Any]:
        """As CVXPY, except for sums of squares."""
        if isinstance(expr, quad_over_lin) and expr.axis is None:
            parts = [part for part in (real_args[0], imag_args[0]) if part is not None]
            sums = [quad_over_lin(part, real_args[1]) for part in parts]
            return (sums[0] if len(sums) == 1 else sums[0] + sums[1]), None
        return super().canonicalize_expr(expr, real_args, imag_args, real2imag, leaf_map)

    def invert(self, solution: Solution, inverse_data: InverseData) -> Solution:
        """Join the parts of values, or of the direction of an unbounded problem."""
        if solution.status not in s.INF_OR_UNB or not solution.primal_vars:
            return super().invert(solution, inverse_data)
        as_values = Solution(s.OPTIMAL, solution.opt_val, solution.primal_vars, {}, {})
        direction = super().invert(as_values, inverse_data).primal_vars
        inverted = super().invert(solution, inverse_data)
        inverted.primal_vars = direction
        return inverted
