"""Matrix stuffing: the symbolic prox problem becomes affine maps of the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import cvxpy.settings as s
import numpy as np
import scipy.sparse as sp
from cvxpy.constraints import Equality, ExpCone, Inequality, PowCone3D
from cvxpy.constraints.constraint import Constraint
from cvxpy.constraints.second_order import SOC
from cvxpy.problems.problem import Problem
from cvxpy.reductions import InverseData
from cvxpy.reductions.dcp2cone.cone_matrix_stuffing import ParamConeProg
from cvxpy.reductions.matrix_stuffing import MatrixStuffing
from cvxpy.reductions.solution import Solution
from cvxpy.reductions.solvers.solving_chain_utils import get_canon_backend
from cvxpy.reductions.utilities import are_args_affine, lower_equality, lower_ineq_to_nonneg
from cvxpy.utilities.coeff_extractor import CoeffExtractor

from cvxprox.reductions.layout import Layout
from cvxprox.reductions.prox_term import Placeholder


@dataclass(frozen=True)
class StuffedData:
    """The numbers of a stuffed program. `q` still has the columns of the placeholders."""

    P: sp.csc_array | None
    q: np.ndarray
    offset: float
    A: sp.csc_array
    b: np.ndarray
    kept: np.ndarray

    def check(self) -> None:
        """Refuse NaN everywhere and infinities in matrices and costs."""
        finite = [self.q, self.A.data] if self.P is None else [self.q, self.A.data, self.P.data]
        if not all(np.isfinite(values).all() for values in finite) or np.isnan(self.b).any():
            raise ValueError("Problem data contains NaN or Inf. Check your parameter values and constants.")


class ParametricProgram(ParamConeProg):
    r"""A prox program whose data are affine in the parameters.

    .. math:: \tfrac12 x^T P x + q^T x + d + \sum_j w_j\, g_j(A_j x + b_j)

    CVXPY caches it between solves; `evaluate` applies the current values of the parameters.
    Columns of placeholders hold the weights :math:`w` in `q` and are empty in `A` and `P`.
    """

    layout: Layout
    kept: np.ndarray
    stale = False
    _constant: StuffedData | None = None

    def evaluate(self) -> StuffedData:
        """The numbers at the current values of the parameters.

        Raises
        ------
        ValueError
            If they contain NaN, or infinities other than in the bounds.
        """
        if self._constant is not None:
            return self._constant
        if self.P is None:
            (q, d, A, b), P = self.apply_parameters(), None
        else:
            P, q, d, A, b = self.apply_parameters(quad_obj=True)
        if self.kept.size < self.x.size:
            A = sp.csc_array((A.data, A.indices, self._indptr(A)), shape=(A.shape[0], self.kept.size))
            if P is not None:
                position = np.zeros(self.x.size, dtype=P.indices.dtype)
                position[self.kept] = np.arange(self.kept.size)
                P = sp.csc_array((P.data, position[P.indices], self._indptr(P)), shape=(self.kept.size,) * 2)
        data = StuffedData(P, q, float(np.squeeze(d)), A, b, self.kept)
        data.check()
        if not self.parameters:  # the tensors that map parameters to numbers have done their work
            self._constant = data
            self.A = self.P = self.reduced_A = self.reduced_P = None
        return data

    def _indptr(self, matrix: sp.csc_array) -> np.ndarray:
        """Column pointers without the placeholders' columns, which are empty."""
        return np.append(matrix.indptr[self.kept], matrix.indptr[-1])

    def __deepcopy__(self, memo: dict[int, Any]) -> ParametricProgram:
        """A stub: the copy of a problem has variables of its own and compiles anew."""
        stub = object.__new__(ParametricProgram)
        stub.stale = True
        return stub


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
        if self.quad_obj:
            P, q = extractor.quad_form(problem.objective.expr.copy())
            P = 2 * P
        else:
            P, q = None, extractor.affine(problem.objective.expr)

        layout = Layout()
        for con in lowered:
            layout.add(con, inverse.var_offsets)
        A = extractor.affine([arg for con in lowered for arg in con.args])

        x = cp.Variable(extractor.x_length)
        program = ParametricProgram(
            q, x, A, problem.variables(), inverse.var_offsets, [], problem.parameters(),
            inverse.param_id_map, P=P,
        )  # fmt: skip
        program.layout = layout
        program.kept = np.concatenate(
            [np.empty(0, dtype=int)]
            + [
                inverse.var_offsets[v.id] + np.arange(v.size)
                for v in problem.variables()
                if not isinstance(v, Placeholder)
            ]
        )
        inverse.cons_id_map = {con.id: con.id for con in lowered}
        self._cons_id_map = inverse.cons_id_map
        return program, inverse

    def invert(self, solution: Solution, inverse_data: InverseData) -> Solution:
        """Split the stacked vector into the variables."""
        primal = {}
        if solution.status in s.SOLUTION_PRESENT:
            (x,) = solution.primal_vars.values()
            for var_id, start in inverse_data.var_offsets.items():
                shape = inverse_data.var_shapes[var_id]
                size = int(np.prod(shape, dtype=int))
                primal[var_id] = np.reshape(x[start : start + size], shape, order="F")
        return Solution(solution.status, solution.opt_val, primal, solution.dual_vars, solution.attr)


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
