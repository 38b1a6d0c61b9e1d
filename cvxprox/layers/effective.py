"""Which parameters can move a solution at all."""

from __future__ import annotations

from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.unary_operators import NegExpression
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.expressions.expression import Expression
from cvxpy.problems.problem import Problem


def effective_parameters(problem: Problem) -> set[Parameter]:
    """The parameters of a problem except those that only shift its optimal value, or only its feasibility."""
    found = _in_terms(problem.objective.args[0])
    for con in problem.constraints:
        if con.variables():
            found.update(con.parameters())
    for v in problem.variables():
        for bound in v.bounds or ():
            if isinstance(bound, Expression):
                found.update(bound.parameters())
    return found


def _in_terms(expr: Expression) -> set[Parameter]:
    """Those in the terms of a sum that hold variables."""
    if not expr.variables():
        return set()
    if isinstance(expr, AddExpression | NegExpression):
        return set().union(*(_in_terms(arg) for arg in expr.args))
    return set(expr.parameters())
