"""What ADMM on assembled programs has besides: Newton's polish and the elastic program."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cvxprox.algorithms.monitor import Monitor
from cvxprox.algorithms.newton import NewtonPolish
from cvxprox.algorithms.residuals import Point, Residuals
from cvxprox.status import Status

ELASTIC_AFTER, ELASTIC_UNTIL = 100, 1000
"""Between these iterations a standing primal residual asks for the elastic program."""


@dataclass
class ADMMMonitor(Monitor):
    """Tries Newton steps where they pay, and asks the elastic program for certificates."""

    newton: NewtonPolish | None = None
    interval: int = 25
    warm: bool = False
    linear: bool = False  # the optimality conditions are one linear system
    always_polish: bool = False
    elastic: Callable[[int, float], Tensor | None] | None = None  # within iterations and seconds

    next_elastic: int = ELASTIC_AFTER
    next_attempt: int = 0

    def finish(self, inner: Any, point: Point, current: Residuals) -> None:
        """Newton steps, where they cost no more than the run did."""
        if self._may_polish(share=1.0):
            self._polish(inner, point, current, steps=4)

    def improve(self, iteration: int, inner: Any, point: Point, current: Residuals) -> tuple[Any, bool]:
        """Newton steps, from time to time."""
        if not (self._attempt_due(iteration) and self._may_polish(share=0.5)):
            return inner, False
        if self._polish(inner, point, current, steps=12):
            return inner, True
        if self.newton is not None and inner.factor is not None and self.newton.borrow(inner.factor):
            return self.splitting.with_penalties(inner, inner.rho), False
        return inner, False

    def suspect(self, iteration: int) -> bool:
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

    def _polish(self, inner: Any, point: Point, current: Residuals, steps: int) -> bool:
        """Newton steps from `point`; True if the result is optimal.

        Where `point` is optimal already, the result is kept only if no residual has grown.
        """
        assert self.newton is not None
        self.newton_attempts += 1
        if inner.factor is not None:
            self.newton.borrow(inner.factor)
        better, achieved = self.newton.improve(point, current, inner.rho, self.tolerances, steps)
        if current.ratio(self.tolerances) > 1 or achieved.within(current):
            self._keep_best(better, achieved)
            self.polished = self.polished or self.best is better
        return achieved.ratio(self.tolerances) <= 1
