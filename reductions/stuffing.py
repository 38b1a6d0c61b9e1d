"""Matrix stuffing: the symbolic prox problem becomes affine maps of the parameters."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from cvxpy.constraints import Equality, ExpCone, Inequality, PowCone3D
from cvxpy.constraints.constraint import Constraint
from cvxpy.constraints.second_order import SOC
from cvxpy.problems.problem import Problem
from cvxpy.reductions import InverseData
from cvxpy.reductions.matrix_stuffing import MatrixStuffing
from cvxpy.reductions.solution import Solution
from cvxpy.reductions.solvers.solving_chain_utils import get_canon_backend
from cvxpy.reductions.utilities import are_args_affine, lower_equality, lower_ineq_to_nonneg
from cvxpy.utilities.coeff_extractor import CoeffExtractor

from cvxprox.reductions.layout import Layout
from cvxprox.reductions.parametric import AffineValues, ParametricMatrix, ParametricProgram
from cvxprox.reductions.prox_term import Placeholder


class ProxStuffing(MatrixStuffing):
    """Stack the variables into x, the arguments of all terms into ``A x + b``.

    The counterpart of CVXPY's `ConeMatrixStuffing` for problems with prox terms.

    Parameters
    ----------
    quad_obj : bool
        Whether the objective may hold quadratic forms.
    canon_backend : str or None
        CVXPY's canonicalisation backend.
    """

    def __init__(self, quad_obj: bool, canon_backend: str | None = None) -> None:
        self.quad_obj = quad_obj
        self.canon_backend = canon_backend

    def accepts(self, problem: Problem) -> bool:
        """Affine (or quadratic) objective, affine arguments."""
        return are_args_affine(problem.constraints)

    def apply(self, problem: Problem) -> tuple[ParametricProgram, InverseData]:
        """The stuffed program and what `invert` needs."""
        inverse = InverseData(problem)
        lowered = [_lower(con) for con in problem.constraints]
        backend = get_canon_backend(problem.copy([problem.objective, lowered]), self.canon_backend)
        extractor = CoeffExtractor(inverse, backend)
        layout = Layout()
        for con, origin in zip(lowered, problem.constraints, strict=True):
            layout.add(con, inverse.var_offsets, origin)
        columns = inverse.x_length
        kept = np.concatenate([np.empty(0, dtype=int)] + [
            inverse.var_offsets[v.id] + np.arange(v.size)
            for v in problem.variables() if not isinstance(v, Placeholder)
        ])  # fmt: skip
        if self.quad_obj:
            P, q = extractor.quad_form(problem.objective.expr.copy())
            quadratic = ParametricMatrix(2 * P, columns, kept, square=True)
        else:
            q, quadratic = extractor.affine(problem.objective.expr), None
        A = extractor.affine([arg for con in lowered for arg in con.args])
        program = ParametricProgram(
            quadratic, ParametricMatrix(A, columns, kept, square=False), AffineValues(sp.csr_array(q)),
            layout, inverse.var_offsets, inverse.var_shapes, columns, kept,
            problem.parameters(), inverse.param_id_map,
        )  # fmt: skip
        inverse.cons_id_map = {con.id: con.id for con in lowered}
        self._cons_id_map = inverse.cons_id_map
        return program, inverse

    def invert(self, solution: Solution, inverse_data: InverseData) -> Solution:
        """The solution itself: the solver has split the variables already."""
        return solution


def _lower(con: Constraint) -> Constraint:
    """Constraints with one vector per argument, as CVXPY's stuffing lowers them."""
    if isinstance(con, Equality):
        return lower_equality(con)
    if isinstance(con, Inequality):
        return lower_ineq_to_nonneg(con)
    if isinstance(con, SOC) and con.axis == 1:
        return SOC(con.args[0], con.args[1].T, axis=0, constr_id=con.constr_id)
    if isinstance(con, ExpCone) and con.args[0].ndim > 1:
        return ExpCone(*(arg.flatten(order="F") for arg in con.args), constr_id=con.constr_id)
    if isinstance(con, PowCone3D) and con.args[0].ndim > 1:
        args = [arg.flatten(order="F") for arg in (*con.args, con.alpha)]
        return PowCone3D(*args, constr_id=con.constr_id)
    return con
