"""The solves of one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cvxpy as cp
import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.binding import Binder, Bound
from cvxprox.differentiation import Engine, Solved
from cvxprox.layers.batch import Flat, scattered, stacked_points, unstacked
from cvxprox.layers.duals import dual_shape
from cvxprox.layers.modes import Mode, as_mode, by_conditions, unrolls
from cvxprox.layers.samples import OVERFLOW, Outcomes, reason_of_failure
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.reductions.priors import has_priors

Values = dict[int, Tensor]
"""Tensors ``(*batch, *shape)`` by the id of a variable or a constraint."""

Points = dict[int, Point]
"""Points by the number of the sample."""

Found = tuple[Sequence[int], Values, Values]
"""Numbers of samples, and the values of variables and of constraints with these samples first."""


@dataclass(frozen=True)
class Solution:
    """Solutions of a batch.

    Attributes
    ----------
    primal, dual : dict of int to Tensor
        By the id of the variable or the constraint; NaN in samples that failed.
        Dual values of cones are those of all their dual variables, flat.
    outcomes : Outcomes
    program : ProxProgram or None
        One of those that were solved, with graph.
    """

    primal: Values
    dual: Values
    outcomes: Outcomes
    program: ProxProgram | None


@dataclass
class Solves:
    """Solves the samples of a batch, together or one by one, and puts their solutions together.

    Attributes
    ----------
    mode : Differentiation or str, optional
    binder : Binder
    engine : Engine
    options : Options
    flat : Flat
        Tensors of the parameters.
    start : Flat
        Values of the variables to start from, by id.
    warm : dict of int to Point
        Where to start; filled here.
    outcomes : Outcomes
        Filled here.
    duals : tuple of int
        Ids of the constraints whose dual values are wanted.
    optional : bool
        Whether dual values may be missing.
    found : list of Found
    program : ProxProgram or None
        The last one, with graph.
    """

    mode: Mode
    binder: Binder
    engine: Engine
    options: Options
    flat: Flat[cp.Parameter]
    start: Flat[int]
    warm: Points
    outcomes: Outcomes
    duals: tuple[int, ...]
    optional: bool
    found: list[Found] = field(default_factory=list)
    program: ProxProgram | None = None

    def run(self, numbers: list[int]) -> None:
        """Solve for the samples of these numbers."""
        if self.binder.dense or (len(numbers) > 1 and self._iterates_as_one()):
            self._together(numbers)
        else:
            for number in numbers:
                self._alone(number)

    def _iterates_as_one(self) -> bool:
        """Whether samples have the same operators, and the mode needs iterations rather than factors.

        Fixed points with denoisers depend on the penalties, which would be common ones.
        """
        convex = not has_priors(self.binder.problem)
        alone = by_conditions(as_mode(self.mode, convex)) or not (convex or unrolls(self.mode))
        return not alone and self.binder.shares_operators(self.flat.batched)

    def solution(self) -> Solution:
        """What was found, of all samples."""
        problem = self.binder.problem
        primal = {
            v.id: self._joined([(numbers, values[v.id]) for numbers, values, _ in self.found], v, v.shape)
            for v in problem.variables()
        }
        dual = {}
        for c in problem.constraints:
            if c.id in self.duals and all(c.id in duals for _, _, duals in self.found):
                pieces = [(numbers, duals[c.id]) for numbers, _, duals in self.found]
                dual[c.id] = self._joined(pieces, c.dual_variables[0], dual_shape(c))
        return Solution(primal, dual, self.outcomes, self.program)

    def _alone(self, number: int) -> None:
        bound = self.binder.bind(self.flat.sample(number))
        start = self.warm.get(number) or bound.start(self.start.sample(number))
        solved = self._solved(bound, start)
        (reason,) = self._judged([number], solved, bound.task.program.convex)
        if reason is None:
            self.warm[number] = solved.run.point
            primal, dual = self._values(bound, solved.point)
            self.found.append(([number], _unsqueezed(primal), _unsqueezed(dual)))

    def _together(self, numbers: list[int], start: Point | None = None) -> None:
        """Solve for several samples at once, and again for the others if some fail."""
        if not numbers:
            return
        bound = self.binder.bind(self.flat.some(numbers), batch=(len(numbers),))
        if start is None and any(number in self.warm for number in numbers):
            zero = Point(*(torch.zeros_like(t) for t in next(iter(self.warm.values()))))
            start = stacked_points([self.warm.get(number, zero) for number in numbers])
        solved = self._solved(bound, start or bound.start(self.start.some(numbers)))
        reasons = self._judged(numbers, solved, bound.task.program.convex)
        points = unstacked(solved.run.point)
        good = [place for place, reason in enumerate(reasons) if reason is None]
        if len(good) == len(numbers):
            self.warm.update(zip(numbers, points, strict=True))
            self.found.append((numbers, *self._values(bound, solved.point)))
        elif good:
            # derivatives of numbers that mean nothing would spoil those of what the samples share
            self.outcomes.infos.pop()
            reached = stacked_points([points[place] for place in good])
            self._together([numbers[place] for place in good], None if unrolls(self.mode) else reached)

    def _solved(self, bound: Bound, start: Point | None) -> Solved:
        self.program = bound.task.program
        return as_mode(self.mode, bound.task.program.convex).solve(self.engine, bound.task, start)

    def _judged(self, numbers: Sequence[int], solved: Solved, convex: bool) -> list[str | None]:
        """Note how samples ended; the reasons why they failed, if they did."""
        run = solved.run
        limits_count = convex and not unrolls(self.mode) and self.options.max_iter is None
        finite = run.point.x.isfinite().reshape(len(numbers), -1).all(-1).tolist()
        reasons: list[str | None] = []
        for number, status, good in zip(numbers, run.status, finite, strict=True):
            reason = reason_of_failure(status, limits_count) if good else OVERFLOW
            self.outcomes.statuses[number] = status
            if reason is not None:
                self.outcomes.reasons[number] = reason
            reasons.append(reason)
        solved.info.setdefault("iterations", run.iterations)
        self.outcomes.infos.append(solved.info)
        return reasons

    def _values(self, bound: Bound, point: Point) -> tuple[Values, Values]:
        """The values of the variables, and the dual values that are wanted."""
        if not self.duals:
            return bound.primal(point), {}
        known = bound.duals(point)
        for c in self.binder.problem.constraints:
            if c.id in self.duals and c.id not in known and not self.optional:
                raise ValueError(f"the dual value of `{c}` is not available as a tensor: leave it out.")
        return bound.primal(point), {key: known[key] for key in self.duals if key in known}

    def _joined(
        self, values: Sequence[tuple[Sequence[int], Tensor]], leaf: cp.Variable, shape: tuple[int, ...]
    ) -> Tensor:
        """The values of a variable of all samples, of shape ``(*batch, *shape)``."""
        batch, dtype = self.outcomes.batch, self.options.torch_dtype()
        kind = dtype.to_complex() if leaf.is_complex() else dtype
        like = torch.empty(0, device=self.options.torch_device(), dtype=kind)
        values = [(numbers, t.reshape((t.shape[0], *shape))) for numbers, t in values]
        return scattered(values, math.prod(batch), shape, like).reshape((*batch, *shape))


def _unsqueezed(values: Values) -> Values:
    return {key: value.unsqueeze(0) for key, value in values.items()}
