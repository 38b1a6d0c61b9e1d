"""Partial canonicalisation: atoms with a prox stay, the rest becomes cones."""

from __future__ import annotations

import cvxpy as cp
from cvxpy.atoms.affine.affine_atom import AffAtom
from cvxpy.atoms.affine.index import special_index
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.elementwise.huber import huber
from cvxpy.atoms.norm1 import norm1
from cvxpy.atoms.quad_form import QuadForm
from cvxpy.constraints.constraint import Constraint
from cvxpy.constraints.nonpos import Inequality
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.variable import Variable
from cvxpy.problems.objective import Minimize
from cvxpy.problems.problem import Problem
from cvxpy.reductions.dcp2cone.canonicalizers import CANON_METHODS
from cvxpy.reductions.dcp2cone.canonicalizers.quad import QUAD_CANON_METHODS
from cvxpy.reductions.dcp2cone.dcp2cone import Dcp2Cone
from cvxpy.reductions.utilities import special_index_canon
from cvxpy.utilities.canonical import Canonical
from cvxpy.utilities.solver_context import SolverInfo

from cvxprox.atoms.function import FunctionAtom
from cvxprox.atoms.linear import LinearAtom
from cvxprox.errors import ReductionError
from cvxprox.reductions.norm_balls import ball_of, is_ball
from cvxprox.reductions.priors import is_prior
from cvxprox.reductions.prox_of import prox_of
from cvxprox.reductions.prox_term import AtomTerm, Placeholder, ProxTerm

_NO_PROX = prox_of.dispatch(object)
_SUMS_OF_SQUARES = {kind for kind in QUAD_CANON_METHODS if kind is not QuadForm}


def may_have_prox(atom: object) -> bool:
    """Whether the type of `atom` is registered with `prox_of`."""
    return prox_of.dispatch(type(atom)) is not _NO_PROX


def _no_form(atom: Atom) -> str:
    name = type(atom).__name__
    if may_have_prox(atom):
        return (
            f"the atom `{name}` in `{atom}` has no cone form, and its proximal operator serves only where it "
            "stands in the objective, added or scaled. Move it there, or give CVXPY a cone form of it."
        )
    return (
        f"the atom `{name}` in `{atom}` has no cone form and no proximal operator. Use the atoms in "
        f"`cvxprox.prox_atoms()` or in CVXPY, or register it with `@cvxprox.prox_of.register({name})`."
    )


def _redundant(atom: norm1) -> bool:
    """Whether the absolute values change nothing, as in ``mixed_norm``."""
    return bool(atom.args[0].is_nonneg()) and not atom.is_constant()


class PartialCanonicalization(Dcp2Cone):
    r"""Rewrite a DCP problem to prox form, symbolically.

    In the objective's affine head every atom with a proximal operator is replaced by a
    placeholder variable of its shape, and a `ProxTerm` records the atom. What is left of the
    objective is affine (plus CVXPY's symbolic quadratic forms), so that the weight of a term is
    the coefficient of its placeholder; sum, mean, scalings, negation and indexing need no rules
    of their own, and Parameters stay symbolic. ``norm(X) <= r`` becomes a projection. Everything
    else goes through CVXPY's own cone canonicalisers.

    Parameters
    ----------
    quad_obj : bool
        Keep quadratic terms as a quadratic form; otherwise they become prox terms.
    solver_context : SolverInfo
        The cones that the solver takes.
    structured : bool
        Whether some operators stay operators. Then sums of squares are prox terms here, and
        whether they end in the quadratic form is decided when the operators are known.
    balls : bool
        Whether norm balls become projections, whose multipliers are norms of dual points; else cones.
    """

    def __init__(
        self, quad_obj: bool, solver_context: SolverInfo, structured: bool = False, balls: bool = True
    ) -> None:
        super().__init__(quad_obj=quad_obj, solver_context=solver_context)
        self.structured = structured
        self.balls = balls
        # affine, though CVXPY lowers it here: the head of the objective goes on below it
        self.cone_canon_methods = {k: v for k, v in CANON_METHODS.items() if k is not special_index}
        if quad_obj:  # the prox of huber needs neither of the two variables of its quadratic form
            dropped = _SUMS_OF_SQUARES | {huber} if structured else {huber}
            self.quad_canon_methods = {k: v for k, v in QUAD_CANON_METHODS.items() if k not in dropped}

    def accepts(self, problem: Problem) -> bool:
        """Minimisations that are DCP once every non-convex prior is taken for a number of its own.

        Non-convex atoms are judged where they stand, in `canonicalize_expr`.
        """
        return isinstance(problem.objective, Minimize)

    def canonicalize_tree(
        self, expr: Canonical, affine_above: bool, *caches: dict
    ) -> tuple[Canonical, list[Constraint]]:
        """As `Dcp2Cone`, with norm balls kept and ``norm1`` of a nonnegative argument as its sum."""
        if self.balls and isinstance(expr, Inequality) and is_ball(expr):
            atom, radius = expr.args
            argument, constraints = self.canonicalize_tree(atom.args[0], False, *caches)
            spec = ball_of(atom, argument, radius)
            if spec is not None:
                return ProxTerm(argument, *spec.data, spec, None, expr), constraints
        if affine_above and isinstance(expr, FunctionAtom) and not expr.is_constant():
            return self._atom_term(expr, *caches)
        if is_prior(expr):
            raise ReductionError(
                f"`{expr}` stands where it is not added to the objective. A prior without a known curvature "
                "can only be a term of the objective: minimize(f(x) + weight * prior(x))."
            )
        if affine_above and isinstance(expr, norm1) and _redundant(expr):
            total = cp.sum(expr.args[0], axis=expr.axis, keepdims=expr.keepdims)
            return self.canonicalize_tree(total, affine_above, *caches)
        return super().canonicalize_tree(expr, affine_above, *caches)

    def _atom_term(self, expr: FunctionAtom, *caches: dict) -> tuple[Canonical, list[Constraint]]:
        argument, constraints = self.canonicalize_tree(expr.args[0], False, *caches)
        if is_prior(expr) and not expr.args[0].is_affine():
            raise ReductionError(
                f"the argument of `{expr}` is {expr.args[0].curvature.lower()}, not affine. Introduce a "
                "variable that equals it."
            )
        placeholder = Placeholder(expr.shape)
        return placeholder, [*constraints, AtomTerm(argument, *expr.args[1:], expr, placeholder)]

    def canonicalize_expr(
        self, expr: Expression, args: list[Expression], affine_above: bool
    ) -> tuple[Expression, list[Constraint]]:
        """Replace an atom with a prox in the affine head by a placeholder; else as `Dcp2Cone`."""
        if affine_above and isinstance(expr, Expression) and may_have_prox(expr):
            quadratic = self.quad_obj and type(expr) in self.quad_canon_methods
            if not quadratic and not (expr.is_constant() and not expr.parameters()):
                spec = prox_of(expr, args[0])
                if spec is not None:
                    placeholder = Placeholder(expr.shape)
                    data = [Constant(d) if not isinstance(d, Expression) else d for d in spec.data]
                    argument = args[0] if spec.argument is None else spec.argument
                    return placeholder, [ProxTerm(argument, *data, spec, placeholder, expr)]
        if affine_above and isinstance(expr, LinearAtom) and not expr.is_constant():
            # the objective's linear part is a vector: an operator there needs a variable of its own
            image = Variable(expr.shape)
            return image, [image == expr.copy(args)]
        if isinstance(expr, special_index) and not expr.is_constant():
            return special_index_canon(expr, args)
        atom = isinstance(expr, Atom) and not isinstance(expr, AffAtom) and not expr.is_constant()
        if atom and type(expr) not in self.cone_canon_methods:
            raise ReductionError(_no_form(expr))
        return super().canonicalize_expr(expr, args, affine_above)

    def _affine_above_relevant(self, expr: Canonical, cache: dict[int, bool]) -> bool:
        """Cache keys of atoms that may become placeholders hold their position in the tree.

        Otherwise a placeholder would leak from the objective into the constraints.
        """
        if not isinstance(expr, Expression):
            return False
        key = id(expr)
        if key not in cache:
            if may_have_prox(expr):
                cache[key] = True
            elif type(expr) in self.cone_canon_methods:
                cache[key] = self.quad_obj and type(expr) in self.quad_canon_methods
            else:
                cache[key] = any(self._affine_above_relevant(arg, cache) for arg in expr.args)
        return cache[key]
