"""Compile again where a cached program cannot follow."""

from __future__ import annotations

from typing import Any

import cvxpy.settings as s
import numpy as np
import scipy.sparse as sp
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.problems.problem import Problem
from cvxpy.reductions.chain import _compose_id_map
from cvxpy.reductions.reduction import Reduction
from cvxpy.reductions.solution import Solution
from cvxpy.utilities.canonical import Canonical

from cvxprox.atoms.data import value_of


class Recompile(Reduction):
    """The first reduction of the chain: the identity, but for re-solves.

    CVXPY keeps the stuffed program between solves and only updates parameters. That is not
    enough when a canonicaliser has turned a parameter into numbers (a factor of the matrix of
    ``quad_form(x, P) <= 1``), or when the problem is a copy, whose variables are new. Then
    `update_parameters`, which CVXPY calls before a re-solve, applies the chain again.
    """

    def __init__(self) -> None:
        self.values: dict[int, Any] = {}

    def accepts(self, problem: Problem) -> bool:
        """Everything."""
        return True

    def apply(self, problem: Problem) -> tuple[Problem, None]:
        """The problem itself."""
        self.values = {p.id: _snapshot(p) for p in problem.parameters()}
        return problem, None

    def invert(self, solution: Solution, inverse_data: None) -> Solution:
        """The solution itself; what an unbounded problem has in place of values is a direction."""
        if solution.status in s.INF_OR_UNB and solution.primal_vars:
            solution.attr[s.EXTRA_STATS]["direction"] = solution.primal_vars
            return Solution(solution.status, solution.opt_val, {}, solution.dual_vars, solution.attr)
        return solution

    def update_parameters(self, problem: Problem) -> None:
        """Replace the cached program if it is stale or was made from other numbers."""
        cache = problem._cache
        if not cache.param_prog.stale and not self._numbers_changed(problem):
            return
        if cache.param_prog.stale:
            forget_canonical_forms([problem.objective, *problem.constraints])
        program, inverse_data = problem, []
        for reduction in cache.solving_chain.reductions[:-1]:
            program, inverse = reduction.apply(program)
            inverse_data.append(inverse)
        cache.param_prog, cache.inverse_data = program, inverse_data

    def _numbers_changed(self, problem: Problem) -> bool:
        """Whether parameters that the program does not contain have other values than before."""
        cache = problem._cache
        renamed = _compose_id_map(r.param_id_map for r in cache.solving_chain.reductions)
        present = {p.id for p in cache.param_prog.parameters}
        lost = [p for p in problem.parameters() if not present & set(renamed.get(p.id, [p.id]))]
        return any(not np.array_equal(_plain(self.values.get(p.id)), _plain(value_of(p))) for p in lost)


def forget_canonical_forms(nodes: list[Canonical]) -> None:
    """Drop the graph forms that a deep copy takes along: they name the original's variables."""
    for node in nodes:
        node.__dict__.pop("_lazy_canonical_form", None)
        forget_canonical_forms(node.args)


def _snapshot(parameter: Parameter) -> Any:
    """The value; a copy where that is cheap, since users may write into the array."""
    value = value_of(parameter)
    return np.array(_plain(value)) if parameter.size <= 10_000 else value


def _plain(value: Any) -> np.ndarray:
    return value.toarray() if sp.issparse(value) else np.asarray(value)
