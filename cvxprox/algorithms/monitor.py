"""What happens between the steps of every algorithm: residuals, records, penalties, limits."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from cvxprox.algorithms.anderson import Accelerated
from cvxprox.algorithms.base import Algorithm, Splitting
from cvxprox.algorithms.certificates import CertificateSearch
from cvxprox.algorithms.checks import Checks
from cvxprox.algorithms.form import name_of
from cvxprox.algorithms.penalties import PenaltyRule
from cvxprox.algorithms.residuals import Point, Residuals, Tolerances, residuals
from cvxprox.algorithms.scaling import Metric
from cvxprox.algorithms.scheduled import Scheduled
from cvxprox.program import ProxProgram
from cvxprox.status import Status

Record = dict[str, Any]
"""iteration, primal, dual, gap, objective, time, and `terms`: the primal residual of every block."""

FIRST_CERTIFICATE = 20
"""Differences of the first iterates prove nothing; on images their test costs as much as iterations."""


@dataclass
class Monitor(abc.ABC):
    """Decides, at every check, how a run goes on. The only mutable object of a run."""

    algorithm: Algorithm  # as it is run: `splitting`, or a wrapper around it
    splitting: Splitting
    metric: Metric
    units: Metric | None  # in which rows and columns count besides those of the user; None for none
    multiplier: Tensor
    tolerances: Tolerances
    rule: PenaltyRule
    certificates: CertificateSearch | None
    checks: Checks
    deadline: float
    started: float
    success: Status = Status.OPTIMAL
    report: Callable[[Record], None] | None = None
    callback: Callable[[int, Residuals, Tensor], object] | None = None

    status: Status = Status.ITERATION_LIMIT
    best: Point | None = None
    best_residuals: Residuals | None = None
    ray: Tensor | None = None
    history: list[Record] = field(default_factory=list)
    penalty_updates: int = 0
    newton_attempts: int = 0
    polished: bool = False
    previous: Point | None = None
    last_ratio: float = math.inf

    def __post_init__(self) -> None:
        self.names = names(self.splitting.program)
        self.convex = self.splitting.program.convex

    def pause(self, iteration: int) -> int:
        """As the checks say."""
        return self.checks.next(iteration, self.last_ratio)

    def check(self, iteration: int, state: Any) -> tuple[Any, bool]:
        """Judge the point; stop, or change penalties and go on."""
        inner = unwrapped(self.algorithm, state)
        point = self.algorithm.point(state)
        current = residuals(self.splitting.program, point, self.units)
        self._keep_best(point, current)
        self._record(iteration, current)
        answer = None if self.callback is None else self.callback(iteration, current, point.x)
        interrupted = isinstance(answer, bool | np.bool_) and bool(answer)
        ratio = current.ratio(self.tolerances)
        if ratio <= 1 and self._settled(iteration):
            self.status = self.success
            self.finish(inner, point, current)
            return state, True
        after, solved = self.improve(iteration, inner, point, current)
        if solved:
            self.status = self.success
            return state, True
        if interrupted or time.perf_counter() > self.deadline:
            self.status = Status.INTERRUPTED if interrupted else Status.TIME_LIMIT
            return state, True
        # where the residuals fall, there is nothing to certify
        falling, self.last_ratio = ratio < 0.5 * self.last_ratio, ratio
        if not falling and (self._certified(iteration, point) or self.suspect(iteration)):
            return state, True
        after = self._penalties(iteration, after, point, current)
        self.previous = point
        if after is not inner:
            return rewrapped(self.algorithm, state, after), False
        return remembering(self.algorithm, self.splitting, state, point), False

    @abc.abstractmethod
    def finish(self, inner: Any, point: Point, current: Residuals) -> None:
        """At a point that is within the tolerances."""

    @abc.abstractmethod
    def improve(self, iteration: int, inner: Any, point: Point, current: Residuals) -> tuple[Any, bool]:
        """The state to go on with, and whether a point within the tolerances has been found (and kept)."""

    @abc.abstractmethod
    def suspect(self, iteration: int) -> bool:
        """Whether a certificate is found in another way than among the iterates (status and ray are set)."""

    def _settled(self, iteration: int) -> bool:
        """Whether the residuals are those of the program that the user stated."""
        if self.convex or not isinstance(self.algorithm, Scheduled):
            return True
        around = (max(iteration - 1, 0), iteration, iteration + 1)
        return len({self.algorithm.schedule(k) for k in around}) == 1

    def _keep_best(self, point: Point, current: Residuals) -> None:
        better = not self.convex or self.best_residuals is None
        if better or current.ratio(self.tolerances) < self.best_residuals.ratio(self.tolerances):  # type: ignore[union-attr]
            self.best, self.best_residuals = point, current

    def _record(self, iteration: int, current: Residuals) -> None:
        record = {
            "iteration": iteration, "primal": current.primal, "dual": current.dual, "gap": current.gap,
            "objective": current.objective, "time": time.perf_counter() - self.started,
            "terms": dict(zip(self.names, (r for r, _ in current.blocks), strict=True)),
        }  # fmt: skip
        self.history.append(record)
        if self.report is not None:
            self.report(record)

    def _certified(self, iteration: int, point: Point) -> bool:
        if self.certificates is None or self.previous is None or iteration < FIRST_CERTIFICATE:
            return False
        self.ray = self.certificates.primal(self.previous, point)
        if self.ray is not None:
            self.status = Status.INFEASIBLE
            return True
        self.ray = self.certificates.dual(self.previous, point)
        if self.ray is not None:
            self.status = Status.UNBOUNDED
            return True
        return False

    def _penalties(self, iteration: int, inner: Any, point: Point, current: Residuals) -> Any:
        if self.previous is None:
            return inner
        proposed = self.rule.propose(iteration, self.multiplier, self.previous, point, current)
        if proposed is None:
            return inner
        self.multiplier = proposed
        self.penalty_updates += 1
        return self.splitting.with_penalties(inner, self.metric.rho(proposed))


@dataclass
class PlainMonitor(Monitor):
    """For algorithms that are only iterated."""

    def finish(self, inner: Any, point: Point, current: Residuals) -> None:
        """Nothing to add."""

    def improve(self, iteration: int, inner: Any, point: Point, current: Residuals) -> tuple[Any, bool]:
        """No."""
        return inner, False

    def suspect(self, iteration: int) -> bool:
        """No."""
        return False


def unwrapped(algorithm: Algorithm, state: Any) -> Any:
    """The state of the splitting itself."""
    return state.inner if isinstance(algorithm, Accelerated | Scheduled) else state


def rewrapped(algorithm: Algorithm, state: Any, inner: Any) -> Any:
    """The state with another inner state; acceleration starts afresh."""
    if isinstance(algorithm, Accelerated):
        return algorithm.wrap(inner)
    return state._replace(inner=inner) if isinstance(algorithm, Scheduled) else inner


def remembering(algorithm: Algorithm, splitting: Splitting, state: Any, point: Point) -> Any:
    """The state with what `point` spares it; an accelerated one may stand for the point of another."""
    if isinstance(algorithm, Accelerated):
        return state
    return rewrapped(algorithm, state, splitting.remember(unwrapped(algorithm, state), point))


def names(program: ProxProgram) -> tuple[str, ...]:
    """The blocks in the words of the user's problem, each different from the others."""
    taken: dict[str, int] = {}
    result = []
    for block in program.blocks:
        name = name_of(block).strip("`")
        taken[name] = taken.get(name, 0) + 1
        result.append(name if taken[name] == 1 else f"{name} ({taken[name]})")
    return tuple(result)
