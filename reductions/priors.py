"""Atoms of this library in a problem: which are there, and what CVXPY's rules make of the rest."""

from __future__ import annotations

from collections.abc import Iterator

from cvxpy.atoms.affine.affine_atom import AffAtom
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.variable import Variable
from cvxpy.problems.problem import Problem
from cvxpy.utilities.canonical import Canonical

from cvxprox.atoms.function import FunctionAtom
from cvxprox.atoms.linear import LinearAtom


def is_structured(problem: Problem) -> bool:
    """Whether the problem has operators or functions that are never written as matrices or cones."""
    nodes = _nodes([problem.objective, *problem.constraints])
    return any(isinstance(node, LinearAtom | FunctionAtom) for node in nodes)


def has_priors(problem: Problem) -> bool:
    """Whether there are functions that are not convex, or not known to be."""
    nodes = _nodes([problem.objective, *problem.constraints])
    return any(isinstance(node, FunctionAtom) and not node.is_atom_convex() for node in nodes)


def without_priors(problem: Problem) -> Problem:
    """The problem with a variable in place of every non-convex prior that is added to its objective.

    CVXPY's rules judge this problem: it is DCP if the other terms are.
    """
    objective = problem.objective
    expr = _replaced(objective.expr)
    if expr is objective.expr:
        return problem
    return Problem(type(objective)(expr), problem.constraints)


def is_prior(node: object) -> bool:
    """Whether `node` is a function of this library without a known curvature."""
    return isinstance(node, FunctionAtom) and not node.is_atom_convex() and not node.is_atom_concave()


def _replaced(expr: Expression) -> Expression:
    if is_prior(expr):
        return Variable(expr.shape)
    if not isinstance(expr, AffAtom):
        return expr
    args = [_replaced(arg) for arg in expr.args]
    same = all(new is old for new, old in zip(args, expr.args, strict=True))
    return expr if same else expr.copy(args)


def _nodes(roots: list[Canonical]) -> Iterator[Canonical]:
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        stack.extend(node.args)
