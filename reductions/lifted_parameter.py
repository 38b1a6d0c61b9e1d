"""Expressions of parameters as parameters: what makes more problems affine in their parameters."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
from cvxpy.atoms.affine.affine_atom import AffAtom
from cvxpy.expressions.constants.parameter import is_param_affine
from cvxpy.expressions.expression import Expression
from cvxpy.problems.problem import Problem
from cvxpy.reductions.reduction import Reduction
from cvxpy.reductions.solution import Solution
from cvxpy.utilities.canonical import Canonical

from cvxprox.reductions.matrix_root import MatrixRoot, as_sum_of_squares, has_parametric_matrix


class LiftedParameter(cp.Parameter):
    """A parameter whose value is that of an expression of other parameters.

    Parameters
    ----------
    source : Expression
        Without variables.
    """

    def __init__(self, source: Expression) -> None:
        self.source = source
        attributes: dict[str, Any] = {}
        if source.is_nonneg():
            attributes["nonneg"] = True
        elif source.is_nonpos():
            attributes["nonpos"] = True
        elif source.ndim == 2 and source.shape[0] == source.shape[1] and source.is_psd():
            attributes["PSD"] = True
        super().__init__(source.shape, **attributes)

    @property
    def value(self) -> Any:
        """That of the expression."""
        return self.source.value

    @value.setter
    def value(self, value: Any) -> None:
        if value is not None:
            raise ValueError(f"the value of `{self.name()}` is that of `{self.source}`.")

    def is_psd(self) -> bool:
        """Whether the expression is."""
        return bool(self.source.is_psd())


class LiftParameters(Reduction):
    """Replace the largest subtrees of parameters that are not affine in them by parameters of their own.

    ``exp(p) * x`` and ``p * q * x`` then are affine in their parameters. A quadratic form with parameters in
    its matrix, where it is not a term of the objective, becomes a sum of squares.
    """

    def __init__(self) -> None:
        self.lifted: dict[int, LiftedParameter] = {}

    def accepts(self, problem: Problem) -> bool:
        """Everything."""
        return True

    def apply(self, problem: Problem) -> tuple[Problem, None]:
        """The problem with lifted parameters."""
        objective = problem.objective.copy([self._replaced(problem.objective.expr, head=True)])
        constraints = [self._replaced(con) for con in problem.constraints]
        return Problem(objective, constraints), None

    def invert(self, solution: Solution, inverse_data: None) -> Solution:
        """The solution itself."""
        return solution

    def _replaced(self, node: Canonical, head: bool = False) -> Any:
        """The node with lifted parameters; `head` says whether it is an affine term of the objective."""
        if not node.parameters():
            return node
        if isinstance(node, Expression) and not node.variables():
            if is_param_affine(node):
                return node
            return self._lift(node)
        if has_parametric_matrix(node) and not head:
            matrix = self._lift(MatrixRoot(node.args[1]))
            return self._replaced(as_sum_of_squares(node, matrix))
        head = head and isinstance(node, AffAtom)
        args = [self._replaced(arg, head) for arg in node.args]
        if all(new is old for new, old in zip(args, node.args, strict=True)):
            return node
        return node.copy(args)

    def _lift(self, node: Expression) -> LiftedParameter:
        if id(node) not in self.lifted:
            self.lifted[id(node)] = LiftedParameter(node)
        return self.lifted[id(node)]
