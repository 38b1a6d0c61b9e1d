"""Set an algorithm up for a program, run it, and keep what a re-solve can use."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms.admm_monitor import ADMMMonitor
from cvxprox.algorithms.anderson import Accelerated, AcceleratedState
from cvxprox.algorithms.base import Algorithm
from cvxprox.algorithms.certificates import CertificateSearch, primal_infeasibility
from cvxprox.algorithms.elastic import elastic_certificate, elastic_program
from cvxprox.algorithms.iterate import iterate
from cvxprox.algorithms.monitor import Monitor, PlainMonitor, Record, unwrapped
from cvxprox.algorithms.penalties import equality_rows
from cvxprox.algorithms.residuals import Point, Residuals, Tolerances
from cvxprox.algorithms.scheduled import Scheduled
from cvxprox.algorithms.session import Session
from cvxprox.status import Status

CERTIFICATE_TOLERANCE = 1e-6
PLUG_AND_PLAY = (
    "a plug-and-play run: some terms are not convex or are denoisers, so the last point is returned and no "
    "optimality is claimed"
)


@dataclass(frozen=True)
class Result:
    """The outcome of a run."""

    status: Status
    point: Point
    residuals: Residuals
    ray: Tensor | None
    iterations: int
    setup_time: float
    solve_time: float
    history: list[Record]
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def primal(self) -> Tensor:
        """x, or the direction of unbounded descent."""
        return self.ray if self.ray is not None and self.status is Status.UNBOUNDED else self.point.x

    @property
    def dual(self) -> Tensor:
        """y, or the certificate of infeasibility."""
        return self.ray if self.ray is not None and self.status is Status.INFEASIBLE else self.point.y


def solve_program(
    session: Session,
    start: Point | None = None,
    report: Callable[[Record], None] | None = None,
    started: float | None = None,
) -> Result:
    """Run the session's algorithm; the session keeps the factor and the last point.

    `started` is when the setup began, by `time.perf_counter`; times count from there.
    """
    started = time.perf_counter() if started is None else started
    algorithm, state = _begin(session, start)
    setup_time = time.perf_counter() - started
    monitor = _monitor(session, algorithm, started, start is not None)
    monitor.report = report
    with torch.no_grad():
        state, iterations = iterate(algorithm, state, monitor, session.max_iter)
    inner = unwrapped(algorithm, state)
    session.multiplier, session.factor, session.point = monitor.multiplier, inner.factor, monitor.best
    assert monitor.best is not None and monitor.best_residuals is not None
    return Result(
        _status(session, monitor), monitor.best, monitor.best_residuals, monitor.ray, iterations,
        setup_time, time.perf_counter() - started - setup_time, monitor.history,
        _info(session, monitor, state),
    )  # fmt: skip


def _begin(session: Session, start: Point | None) -> tuple[Algorithm, Any]:
    """The algorithm as it is run, and its first state."""
    splitting, options = session.splitting(), session.options
    if session.schedule is not None:
        scheduled = Scheduled(splitting, session.schedule)
        return scheduled, scheduled.init(session.beginning(start))
    state = splitting.init(session.beginning(start))
    if session.factor is not None:
        state = state._replace(factor=session.factor)
    if options.memory():
        accelerated = Accelerated(splitting, memory=options.memory())
        return accelerated, accelerated.wrap(state)
    return splitting, state


def _monitor(session: Session, algorithm: Algorithm, started: float, warm: bool) -> Monitor:
    options, program, metric = session.options, session.program, session.metric
    certificates = CertificateSearch(program, metric, CERTIFICATE_TOLERANCE) if program.convex else None
    splitting = algorithm.algorithm if isinstance(algorithm, Accelerated | Scheduled) else algorithm
    common: dict[str, Any] = dict(
        algorithm=algorithm,
        splitting=splitting,
        metric=metric,
        units=metric if session.assembled else None,
        multiplier=session.multiplier,
        tolerances=Tolerances(options.eps_abs, options.eps_rel),
        rule=session.rule(),
        certificates=certificates,
        checks=session.checks(),
        deadline=started + options.time_limit if options.time_limit else math.inf,
        started=started,
        success=session.success(),
        callback=options.callback,
    )
    if not session.complete:
        return PlainMonitor(**common)
    return ADMMMonitor(
        **common,
        newton=session.newton,
        interval=options.check_interval or session.INTERVAL,
        warm=warm,
        linear=not warm and bool(equality_rows(program).all()),
        always_polish=options.polish is True,
        elastic=None if session.nested else functools.partial(_certificate, session),
    )


def _status(session: Session, monitor: Monitor) -> Status:
    """With what the limits mean for the kind of program and of algorithm."""
    status, found = monitor.status, monitor.best_residuals
    assert found is not None
    if status is not Status.ITERATION_LIMIT:
        return status
    if session.success() is Status.PENALTY_METHOD:
        return Status.PENALTY_METHOD
    assert monitor.best is not None
    if session.schedule_is_over(monitor.history[-1]["iteration"], monitor.best):
        return Status.FIXED_POINT
    near = session.program.convex and found.ratio(monitor.tolerances) <= 1e3
    return Status.OPTIMAL_INACCURATE if near else status


def _info(session: Session, monitor: Monitor, state: Any) -> dict[str, Any]:
    info = {
        "algorithm": session.options.algorithm,
        "linear_solver": session.solver_text(),
        "penalty_updates": monitor.penalty_updates,
        "polish_attempts": monitor.newton_attempts,
        "polished": monitor.polished,
    }
    if not session.program.convex:
        info["note"] = PLUG_AND_PLAY
    if isinstance(state, AcceleratedState):
        info["acceleration"] = {"accepted": state.accepted, "rejected": state.rejected}
    return info


def _certificate(session: Session, max_iter: int, seconds: float) -> Tensor | None:
    """A certificate of infeasibility from the elastic program, if it gives one in time."""
    program, metric = session.program, session.metric
    options = replace(
        session.options, eps_abs=1e-9, eps_rel=1e-9, max_iter=max_iter, callback=None, algorithm="admm",
        time_limit=max(seconds, 1e-3) if seconds < math.inf else None,
    )  # fmt: skip
    helper = Session.start(elastic_program(program, metric), options)
    helper.nested = True
    result = solve_program(helper)
    ray = primal_infeasibility(program, metric, elastic_certificate(helper.program, result.point.z))
    return ray.direction if ray is not None and ray.violation <= CERTIFICATE_TOLERANCE else None
