"""What happens between the steps of ADMM: residuals, penalties, polish, certificates, limits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from cvxprox.algorithms.admm import ADMM, ADMMState
from cvxprox.algorithms.anderson import Accelerated, AcceleratedState
from cvxprox.algorithms.certificates import CertificateSearch
from cvxprox.algorithms.newton import NewtonPolish
from cvxprox.algorithms.penalties import PenaltyRule
from cvxprox.algorithms.residuals import Point, Residuals, Tolerances, residuals
from cvxprox.algorithms.scaling import Metric
from cvxprox.status import Status

Record = dict[str, float]
ELASTIC_AFTER, ELASTIC_UNTIL = 100, 1000
"""Between these iterations a standing primal residual asks for the elastic program."""


@dataclass
class ADMMMonitor:
    """Decides, at every check, how ADMM goes on. The only mutable object of a run."""

    admm: ADMM
    metric: Metric
    multiplier: Tensor
    tolerances: Tolerances
    rule: PenaltyRule
    certificates: CertificateSearch
    newton: NewtonPolish | None
    interval: int
    deadline: float
    started: float
    warm: bool = False
    linear: bool = False  # the optimality conditions are one linear system
    always_polish: bool = False
    elastic: Callable[[int, float], Tensor | None] | None = None  # within iterations and seconds
    next_elastic: int = ELASTIC_AFTER
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
    next_attempt: int = 0
    last_ratio: float = math.inf

    def pause(self, iteration: int) -> int:
        """Checks come every `interval` iterations."""
        return iteration + self.interval

    def check(self, iteration: int, state: Any) -> tuple[Any, bool]:
        """Judge the point; stop, or change penalties and go on."""
        accelerated = isinstance(state, AcceleratedState)
        inner: ADMMState = state.inner if accelerated else state
        point = (Accelerated(self.admm) if accelerated else self.admm).point(state)
        current = residuals(self.admm.program, point, self.metric)
        self._keep_best(point, current)
        self._record(iteration, current)
        answer = None if self.callback is None else self.callback(iteration, current, point.x)
        interrupted = isinstance(answer, bool | np.bool_) and bool(answer)
        ratio = current.ratio(self.tolerances)
        if ratio <= 1:
            self.status = Status.OPTIMAL
            if self._may_polish(share=1.0):
                self._polish(inner, point, current, steps=4)
            return state, True
        after = inner
        if self._attempt_due(iteration) and self._may_polish(share=0.5):
            if self._polish(inner, point, current, steps=12):
                self.status = Status.OPTIMAL
                return state, True
            if self.newton is not None and inner.factor is not None and self.newton.borrow(inner.factor):
                after = self.admm.with_penalties(inner, inner.rho)
        if interrupted or time.perf_counter() > self.deadline:
            self.status = Status.INTERRUPTED if interrupted else Status.TIME_LIMIT
            return state, True
        # where the residuals fall, there is nothing to certify
        falling, self.last_ratio = ratio < 0.5 * self.last_ratio, ratio
        if not falling and (self._certified(iteration, point) or self._elastic(iteration)):
            return state, True
        after = self._penalties(iteration, after, point, current)
        self.previous = point
        if after is not inner:
            state = Accelerated(self.admm).wrap(after) if accelerated else after
        return state, False

    def _attempt_due(self, iteration: int) -> bool:
        """Newton steps are tried from a warm start, then at iterations that double."""
        if iteration == 0:
            self.next_attempt = 2 * self.interval
            return self.warm or self.linear
        if iteration < self.next_attempt:
            return False
        self.next_attempt = 2 * iteration
        return True

    def _may_polish(self, share: float) -> bool:
        """Whether Newton steps are on and, in large programs, cost at most `share` of the time so far."""
        if self.newton is None:
            return False
        if self.always_polish or self.newton.small or self.history[-1]["iteration"] == 0:
            return True
        elapsed = self.history[-1]["time"]
        per_step = self.newton.seconds / max(self.newton.factorizations, 1) or self.factor_seconds()
        return 4 * per_step <= share * elapsed

    def factor_seconds(self) -> float:
        """An estimate: what the first batch of iterations took beyond the last."""
        times = [record["time"] for record in self.history]
        return 0.0 if len(times) < 3 else max(0.0, (times[1] - times[0]) - (times[-1] - times[-2]))

    def _keep_best(self, point: Point, current: Residuals) -> None:
        if self.best_residuals is None or current.ratio(self.tolerances) < self.best_residuals.ratio(
            self.tolerances
        ):
            self.best, self.best_residuals = point, current

    def _record(self, iteration: int, current: Residuals) -> None:
        record = {
            "iteration": iteration, "primal": current.primal, "dual": current.dual, "gap": current.gap,
            "objective": current.objective, "time": time.perf_counter() - self.started,
        }  # fmt: skip
        self.history.append(record)
        if self.report is not None:
            self.report(record)

    def _polish(self, state: ADMMState, point: Point, current: Residuals, steps: int) -> bool:
        """Newton steps from `point`; True if the result is optimal.

        Where `point` is optimal already, the result is kept only if no residual has grown.
        """
        assert self.newton is not None
        self.newton_attempts += 1
        if state.factor is not None:
            self.newton.borrow(state.factor)
        better, achieved = self.newton.improve(point, current, state.rho, self.tolerances, steps)
        if current.ratio(self.tolerances) > 1 or achieved.within(current):
            self._keep_best(better, achieved)
            self.polished = self.polished or self.best is better
        return achieved.ratio(self.tolerances) <= 1

    def _certified(self, iteration: int, point: Point) -> bool:
        if self.previous is None or iteration == 0:
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

    def _elastic(self, iteration: int) -> bool:
        """Where the primal residual has stood still, ask the elastic program for a certificate."""
        if self.elastic is None or not self.next_elastic <= iteration <= ELASTIC_UNTIL:
            return False
        self.next_elastic = 4 * iteration
        since = [r["primal"] for r in self.history if r["iteration"] >= iteration // 2]
        if self.history[-1]["primal"] < 0.5 * max(since):
            return False
        self.ray = self.elastic(10 * iteration, self.deadline - time.perf_counter())
        if self.ray is None:
            return False
        self.status = Status.INFEASIBLE
        return True

    def _penalties(self, iteration: int, state: ADMMState, point: Point, current: Residuals) -> ADMMState:
        if self.previous is None:
            return state
        proposed = self.rule.propose(iteration, self.multiplier, self.previous, point, current)
        if proposed is None:
            return state
        self.multiplier = proposed
        self.penalty_updates += 1
        return self.admm.with_penalties(state, self.metric.rho(proposed))
