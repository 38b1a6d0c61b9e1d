"""Any splitting with hyperparameters that change from iteration to iteration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from cvxprox.algorithms.base import Algorithm, Splitting
from cvxprox.algorithms.noise import penalties_for_noise
from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.schedule import Schedule, Setting


class ScheduledState(NamedTuple):
    """The inner state, the number of the next iteration, and the setting that the state was made for."""

    inner: Any
    iteration: int
    setting: Setting


@dataclass(frozen=True)
class Scheduled(Algorithm):
    """`algorithm` with the penalties of `schedule`, and with the functions of the iteration.

    The penalties are those of the algorithm times the factor of the schedule, or, where denoisers have
    their noise level from the schedule, those that belong to it. Functions that change from one iteration
    to the next (`ProxFunction.at`) do so between the steps.
    """

    algorithm: Splitting
    schedule: Schedule

    def init(self, start: Point | None = None) -> ScheduledState:
        """Before iteration number 0, with its setting."""
        setting = self.schedule(0)
        return ScheduledState(self.algorithm.init(start, self.penalties(setting)), 0, setting)

    def step(self, state: ScheduledState) -> ScheduledState:
        """A step with the setting of the iteration."""
        inner, iteration, last = state
        setting, algorithm = self.schedule(iteration), self.at(iteration)
        if not setting.same(last):
            inner = algorithm.with_penalties(inner, self.penalties(setting))
        return ScheduledState(algorithm.step(inner), iteration + 1, setting)

    def stationary(self, iteration: int) -> tuple[Splitting, Tensor]:
        """The algorithm and the penalties of one iteration, as of all that follow."""
        return self.at(iteration), self.penalties(self.schedule(iteration))

    def at(self, iteration: int) -> Splitting:
        """The algorithm of an iteration."""
        program = self.algorithm.program.at(iteration)
        if program is self.algorithm.program:
            return self.algorithm
        return replace(self.algorithm, program=program)  # type: ignore[type-var]

    def penalties(self, setting: Setting) -> Tensor:
        """The penalties of all rows."""
        rho = self.algorithm.rho * setting.rho
        return (
            rho
            if setting.noise is None
            else penalties_for_noise(self.algorithm.program, rho, setting.noise, setting.bounds)
        )

    def point(self, state: ScheduledState) -> Point:
        """Of the inner state, with the functions that the next step starts with."""
        return self.at(state.iteration).point(state.inner)

    def fixed_point(self, state: ScheduledState) -> Tensor:
        """Of the inner state."""
        return self.algorithm.fixed_point(state.inner)

    def replace_fixed_point(self, state: ScheduledState, vector: Tensor) -> ScheduledState:
        """Of the inner state."""
        return state._replace(inner=self.algorithm.replace_fixed_point(state.inner, vector))
