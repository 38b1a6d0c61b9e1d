"""Matrix stuffing: the symbolic prox problem becomes affine maps of the parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from cvxpy.constraints import Equality, ExpCone, Inequality, PowCone3D
from cvxpy.constraints.constraint import Constraint
from cvxpy.constraints.second_order import SOC
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.variable import Variable
from cvxpy.problems.problem import Problem
from cvxpy.reductions import InverseData
from cvxpy.reductions.matrix_stuffing import MatrixStuffing
from cvxpy.reductions.solution import Solution
from cvxpy.reductions.solvers.solving_chain_utils import get_canon_backend
from cvxpy.reductions.utilities import are_args_affine, lower_equality, lower_ineq_to_nonneg
from cvxpy.settings import SCIPY_CANON_BACKEND
from cvxpy.utilities.coeff_extractor import CoeffExtractor
from cvxpy.utilities.scopes import dpp_scope

from cvxprox.reductions.layout import Layout
from cvxprox.reductions.parametric import AffineValues, ParametricMatrix, ParametricProgram
from cvxprox.reductions.prox_term import AtomTerm, Placeholder
from cvxprox.reductions.structured import StructuredPart, has_operators, stays_structured

Pair = tuple[Constraint, Constraint]
"""A constraint as it is lowered, and as it was."""


class ProxStuffing(MatrixStuffing):
    """Stack the variables into x, the arguments of all terms into ``A x + b``.

    The counterpart of CVXPY's `ConeMatrixStuffing` for problems with prox terms.

    Parameters
    ----------
    quad_obj : bool
        Whether the objective may hold quadratic forms.
    canon_backend : str or None
        CVXPY's canonicalisation backend.
    structured : bool
        Whether there are operators that stay operators.
    asked : bool
        Whether that was asked for by options, and is not only due to the problem.
    choose : callable
        Which lowered constraints stay operators, where there are any.
    """

    def __init__(
        self,
        quad_obj: bool,
        canon_backend: str | None = None,
        structured: bool = False,
        asked: bool = False,
        choose: Callable[[Constraint], bool] = stays_structured,
    ) -> None:
        self.quad_obj = quad_obj
        self.canon_backend = canon_backend
        self.structured = structured
        self.asked = asked
        self.choose = choose

    def accepts(self, problem: Problem) -> bool:
        """Affine (or quadratic) objective, affine arguments."""
        return are_args_affine(problem.constraints)

    def apply(self, problem: Problem) -> tuple[ParametricProgram, InverseData]:
        """The stuffed program and what `invert` needs."""
        inverse = InverseData(problem)
        pairs = [(_lower(con), con) for con in problem.constraints]
        structured = self._structured(pairs, problem, inverse)
        apart = set() if structured is None else {id(con) for con, _ in structured.constraints}
        assembled = [(con, origin) for con, origin in pairs if id(con) not in apart]
        lowered = [con for con, _ in assembled]
        backend = self._backend(problem.copy([problem.objective, lowered]))
        extractor = CoeffExtractor(inverse, backend)
        layout = Layout()
        for con, origin in assembled:
            layout.add(con, inverse.var_offsets, origin)
        columns = inverse.x_length
        kept = np.concatenate([np.empty(0, dtype=int)] + [
            inverse.var_offsets[v.id] + np.arange(v.size) for v in _unknowns(problem)
        ])  # fmt: skip
        objective, apart_objective = problem.objective.expr, None
        if self.choose is not stays_structured and not is_parameter_affine(objective):
            objective, apart_objective = Constant(0.0), objective
        if self.quad_obj:
            P, q = extractor.quad_form(objective.copy())
            quadratic = ParametricMatrix(2 * P, columns, kept, square=True)
        else:
            q, quadratic = extractor.affine(objective), None
        A = extractor.affine([arg for con in lowered for arg in con.args])
        program = ParametricProgram(
            quadratic, ParametricMatrix(A, columns, kept, square=False), AffineValues(sp.csr_array(q)),
            layout, inverse.var_offsets, inverse.var_shapes, columns,
            kept if structured is None else kept[structured.order],
            problem.parameters(), inverse.param_id_map, structured=structured,
            names=tuple((v.name(), tuple(v.shape)) for v in _unknowns(problem)),
            objective=apart_objective,
        )  # fmt: skip
        inverse.cons_id_map = {con.id: con.id for con, _ in pairs}
        self._cons_id_map = inverse.cons_id_map
        return program, inverse

    def _backend(self, problem: Problem) -> str | None:
        """CVXPY's choice; without its warning about dimensions where images are what the problem is about."""
        beyond = not problem._supports_cpp() or problem._max_ndim() > 2
        if self.structured and self.canon_backend is None and beyond:
            return SCIPY_CANON_BACKEND
        return get_canon_backend(problem, self.canon_backend)

    def _structured(self, pairs: list[Pair], problem: Problem, inverse: InverseData) -> StructuredPart | None:
        """The part that is not written as matrices; None if that is nothing."""
        if not self.structured:
            return None
        chosen = [(con, origin) for con, origin in pairs if self.choose(con)]
        if not chosen and self.choose is not stays_structured:
            return None
        layouts = []
        for con, origin in chosen:
            layouts.append(Layout())
            if not isinstance(con, AtomTerm):
                layouts[-1].add(con, inverse.var_offsets, origin)
        unknowns = _unknowns(problem)
        starts = dict(
            zip((v.id for v in unknowns), np.cumsum([0, *(v.size for v in unknowns)]), strict=False)
        )
        return StructuredPart(
            tuple(chosen), tuple(layouts), {key: int(start) for key, start in starts.items()},
            inverse.var_offsets, sum(v.size for v in unknowns),
            tuple((v.name(), int(starts[v.id]), tuple(v.shape)) for v in unknowns),
            _c_order([(int(starts[v.id]), tuple(v.shape)) for v in unknowns]),
        )  # fmt: skip

    def invert(self, solution: Solution, inverse_data: InverseData) -> Solution:
        """The solution itself: the solver has split the variables already."""
        return solution


def is_parameter_affine(expr: Expression) -> bool:
    """Whether the coefficients of a linear expression are affine in its parameters; True for a quadratic."""
    if not expr.is_affine():
        return True
    with dpp_scope():
        return bool(expr.is_affine())


def operators_only(con: Constraint) -> bool:
    """Whether the arguments of a constraint cannot be written as matrices affine in the parameters."""
    if has_operators(con):
        return True
    with dpp_scope():
        return not all(arg.is_affine() for arg in con.args)


def operators_and_simple(con: Constraint) -> bool:
    """Those of `operators_only`, and the simple ones of `stays_structured`."""
    return stays_structured(con) or operators_only(con)


def _unknowns(problem: Problem) -> list[Variable]:
    return [v for v in problem.variables() if not isinstance(v, Placeholder)]


def _c_order(slices: list[tuple[int, tuple[int, ...]]]) -> np.ndarray:
    """For every entry of variables in C order, its place where they are in Fortran order."""
    parts = [np.empty(0, dtype=int)]
    for start, shape in slices:
        size = int(np.prod(shape, dtype=int))
        parts.append(start + np.arange(size).reshape(shape, order="F").ravel())
    return np.concatenate(parts)


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
