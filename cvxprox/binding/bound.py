"""A problem with tensors for its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.binding.inversion import Inversion
from cvxprox.differentiation import Task
from cvxprox.planning import Plan
from cvxprox.reductions.leaf_maps import Tensors
from cvxprox.reductions.structured import Evaluated


@dataclass(frozen=True, eq=False)
class Bound:
    """A problem with tensors for its parameters.

    Attributes
    ----------
    task : Task
        The program with graph, and the same without.
    inversion : Inversion
    plan : Plan or None
        Of programs with operators.
    """

    task: Task
    inversion: Inversion
    plan: Plan | None = None
    evaluated: Evaluated | None = None

    def primal(self, point: Point) -> Tensors:
        """The values of the user's variables, ``(*batch, *shape)`` by id."""
        return self.inversion.recover(point.x)

    def duals(self, point: Point) -> Tensors:
        """The dual values of the user's constraints, ``(*batch, *shape)`` by id, with CVXPY's signs.

        Those that are not multiples of single entries of the point's y are missing.
        """
        maps = self.inversion.dual_maps(self)
        return {key: one(point.y) for key, one in maps.items()}

    def start(self, values: Mapping[int, Tensor]) -> Point | None:
        """A point from values of the user's variables, by id; None if some are missing."""
        x = self.inversion.lower(values)
        if x is None:
            return None
        program = self.task.frozen
        x = x.detach().to(program.q).expand_as(program.q)
        with torch.no_grad():
            z = program.K.forward(x) + program.b
        return Point(x.clone(), z, torch.zeros_like(z))
