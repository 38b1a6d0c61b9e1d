"""From the points of a program back to the user's variables and constraints, in torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cvxpy.settings as s
import numpy as np
import torch
from cvxpy.problems.problem import Problem
from cvxpy.reductions.reduction import Reduction
from cvxpy.reductions.solution import Solution
from torch import Tensor

from cvxprox.reductions.bound_matrices import BoundMatrices
from cvxprox.reductions.dual_maps import dual_maps
from cvxprox.reductions.leaf_maps import Tensors, lower_variables, recovered
from cvxprox.reductions.parametric import ParametricProgram

if TYPE_CHECKING:
    from cvxprox.binding.bound import Bound


class Inversion:
    """What undoes a chain of reductions.

    Parameters
    ----------
    problem : Problem
    reductions, inverse : list
        The chain without its solver, and what its inversion needs.
    parametric : ParametricProgram
    matrices : BoundMatrices
    """

    def __init__(
        self,
        problem: Problem,
        reductions: list[Reduction],
        inverse: list[Any],
        parametric: ParametricProgram,
        matrices: BoundMatrices,
    ) -> None:
        self.problem = problem
        self.reductions = reductions
        self.inverse = inverse
        self.parametric = parametric
        self.matrices = matrices
        self._maps: dict[int, Any] = {}

    @cached_property
    def places(self) -> list[tuple[int, tuple[int, ...], Tensor]]:
        """Id and shape of every variable in x, and for its entries in C order the place in x."""
        parametric = self.parametric
        position = np.full(parametric.columns, -1)
        position[parametric.kept] = np.arange(parametric.kept.size)
        found = []
        for key, start in parametric.offsets.items():
            shape = tuple(parametric.shapes[key])
            size = int(np.prod(shape, dtype=int))
            places = position[start : start + size].reshape(shape, order="F").ravel()
            if (places >= 0).all():
                found.append((key, shape, torch.from_numpy(np.ascontiguousarray(places))))
        return found

    def recover(self, x: Tensor) -> Tensors:
        """The user's variables in x."""
        inner = {
            key: x.index_select(-1, places.to(x.device)).reshape((*x.shape[:-1], *shape))
            for key, shape, places in self.places
        }
        values = recovered(self.reductions, inner)
        for v in self.problem.variables():
            if v.id not in values:
                values[v.id] = x.new_zeros(*x.shape[:-1], *v.shape)
        return {v.id: values[v.id] for v in self.problem.variables()}

    def lower(self, values: Mapping[int, Tensor]) -> Tensor | None:
        """x of the user's variables; entries without a value are zero, None if there are only such."""
        inner = dict(values)
        for reduction in self.reductions:
            inner = lower_variables(reduction, inner)
        known = [(inner[key], shape, places) for key, shape, places in self.places if key in inner]
        if not known:
            return None
        first = known[0][0]
        batch = first.shape[: first.dim() - len(known[0][1])]
        x = first.real.new_zeros(*batch, self.parametric.kept.size)
        for value, _, places in known:
            x = x.index_copy(-1, places.to(x.device), value.reshape(*batch, -1).to(x.dtype))
        return x

    def dual_maps(self, bound: Bound) -> dict[int, Any]:
        """See `reductions.dual_maps`; found once, and again where the plan is another."""
        rows = bound.task.program.rows
        if rows not in self._maps:
            self._maps[rows] = dual_maps(lambda y, z: self._numeric_duals(bound, y, z), rows)
        return self._maps[rows]

    def _numeric_duals(self, bound: Bound, y: np.ndarray, z: np.ndarray) -> dict[int, Any]:
        base = self.matrices
        count = base.rows.size
        full = base.dual_rows(y[:count])
        found = {key: dual(full) for key, dual in base.layout.duals.items()}
        if bound.evaluated is not None:
            pieces = self._pieces(bound, y, z)
            found.update({key: dual(pieces) for key, dual in bound.evaluated.duals})
        zero = self.parametric.split(np.zeros(self.parametric.kept.size))
        solution = Solution(s.OPTIMAL, 0.0, zero, found, {})
        for reduction, inverse in zip(reversed(self.reductions), reversed(self.inverse), strict=True):
            solution = reduction.invert(solution, inverse)
        constraints = {con.id for con in self.problem.constraints}
        return {key: value for key, value in solution.dual_vars.items() if key in constraints}

    def _pieces(self, bound: Bound, y: np.ndarray, z: np.ndarray) -> dict[int, np.ndarray]:
        if bound.plan is not None:
            with torch.no_grad():
                found = bound.plan.duals(torch.from_numpy(y), torch.from_numpy(z))
            return {key: value.numpy() for key, value in found.items()}
        assert bound.evaluated is not None
        pieces, start = {}, self.matrices.rows.size
        for term in bound.evaluated.terms:
            stop = start + term.operator.shape_out[0]
            pieces[term.key] = y[start:stop]
            start = stop
        return pieces
