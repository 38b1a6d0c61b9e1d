"""Set ADMM up for a program, run it, and keep what a re-solve can use."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms.admm import ADMM
from cvxprox.algorithms.anderson import Accelerated, AcceleratedState
from cvxprox.algorithms.base import Algorithm
from cvxprox.algorithms.certificates import CertificateSearch, primal_infeasibility
from cvxprox.algorithms.elastic import elastic_certificate, elastic_program
from cvxprox.algorithms.iterate import iterate
from cvxprox.algorithms.monitor import ADMMMonitor, Record
from cvxprox.algorithms.newton import NewtonPolish
from cvxprox.algorithms.penalties import (
    FixedPenalties,
    PenaltyRule,
    ScalarPenalty,
    SpectralPenalties,
    equality_rows,
    initial_multiplier,
)
from cvxprox.algorithms.residuals import Point, Residuals, Tolerances
from cvxprox.algorithms.scaling import Metric, equilibrate
from cvxprox.linear_solve import LinearSolve, choose_linear_solve
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.status import Status

CERTIFICATE_TOLERANCE = 1e-6


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


@dataclass
class Session:
    """What the next solve of a program with the same matrices starts from."""

    program: ProxProgram
    options: Options
    metric: Metric
    multiplier: Tensor
    linear_solve: LinearSolve
    reason: str
    factor: Any
    newton: NewtonPolish | None
    point: Point | None = None
    nested: bool = False  # solves the elastic program of another session

    @classmethod
    def start(cls, program: ProxProgram, options: Options) -> Session:
        """Equilibrate and choose the linear solve; nothing is factored yet.

        Raises
        ------
        ValueError
            If an option cannot be honoured for this program.
        """
        program = program.to(options.torch_device(), options.torch_dtype())
        metric = equilibrate(program, options.passes())
        linear_solve, reason = choose_linear_solve(options.linear_solver, program)
        newton = None
        if options.polish and program.q.device.type == "cpu" and program.q.dtype == torch.float64:
            newton = NewtonPolish(program, metric)
            newton = newton if newton.affordable() else None
        if options.polish is True and newton is None:
            raise ValueError(
                "NABLA_ADMM: polish=True needs float64 on the CPU and no block with points of more than "
                f'{NewtonPolish.max_block} entries. Use polish="auto", which polishes where it can.'
            )
        multiplier = initial_multiplier(program, options.rho)
        return cls(program, options, metric, multiplier, linear_solve, reason, None, newton)

    def with_vectors(self, program: ProxProgram, options: Options) -> Session:
        """This session for a program that differs in q, b, bounds, weights or offset only.

        `options` may differ in what does not touch the iterations: limits, tolerances, output.
        """
        self.options = options
        self.program = program.to(self.program.q.device, self.program.q.dtype)
        if self.newton is not None:
            self.newton.program = self.program
        return self


def solve_admm(
    session: Session,
    start: Point | None = None,
    report: Callable[[Record], None] | None = None,
    started: float | None = None,
) -> Result:
    """Run ADMM with the session's options; the session keeps the factor and the last point.

    `started` is when the setup began, by `time.perf_counter`; times count from there.
    """
    started = time.perf_counter() if started is None else started
    options, program, metric = session.options, session.program, session.metric
    admm = ADMM(program, session.linear_solve, metric.sigma(options.sigma),
                metric.rho(session.multiplier), options.alpha)  # fmt: skip
    state: Any = admm.init(start)._replace(factor=session.factor)
    algorithm: Algorithm = admm
    if options.memory():
        algorithm = accelerated = Accelerated(admm, memory=options.memory())
        state = accelerated.wrap(state)
    setup_time = time.perf_counter() - started
    monitor = ADMMMonitor(
        admm=admm,
        metric=metric,
        multiplier=session.multiplier,
        tolerances=Tolerances(options.eps_abs, options.eps_rel),
        rule=_rule(session),
        certificates=CertificateSearch(program, metric, CERTIFICATE_TOLERANCE),
        newton=session.newton,
        interval=options.check_interval,
        deadline=started + options.time_limit if options.time_limit else math.inf,
        started=started,
        warm=start is not None,
        linear=start is None and bool(equality_rows(program).all()),
        always_polish=options.polish is True,
        report=report,
        callback=options.callback,
        elastic=None if session.nested else functools.partial(_certificate, session),
    )
    with torch.no_grad():
        state, iterations = iterate(algorithm, state, monitor, options.max_iter)
    inner = state.inner if isinstance(state, AcceleratedState) else state
    session.multiplier, session.factor, session.point = monitor.multiplier, inner.factor, monitor.best
    assert monitor.best is not None and monitor.best_residuals is not None
    status = monitor.status
    if status is Status.ITERATION_LIMIT and monitor.best_residuals.ratio(monitor.tolerances) <= 1e3:
        status = Status.OPTIMAL_INACCURATE
    info = {
        "linear_solver": f"{session.linear_solve.name} ({session.reason})",
        "penalty_updates": monitor.penalty_updates,
        "polish_attempts": monitor.newton_attempts,
        "polished": monitor.polished,
    }
    if isinstance(state, AcceleratedState):
        info["acceleration"] = {"accepted": state.accepted, "rejected": state.rejected}
    return Result(
        status, monitor.best, monitor.best_residuals, monitor.ray, iterations,
        setup_time, time.perf_counter() - started - setup_time, monitor.history, info,
    )  # fmt: skip


def _certificate(session: Session, max_iter: int, seconds: float) -> Tensor | None:
    """A certificate of infeasibility from the elastic program, if it gives one in time."""
    program, metric = session.program, session.metric
    options = replace(
        session.options, eps_abs=1e-9, eps_rel=1e-9, max_iter=max_iter, callback=None,
        time_limit=max(seconds, 1e-3) if seconds < math.inf else None,
    )  # fmt: skip
    helper = Session.start(elastic_program(program, metric), options)
    helper.nested = True
    result = solve_admm(helper)
    ray = primal_infeasibility(program, metric, elastic_certificate(helper.program, result.point.z))
    return ray.direction if ray is not None and ray.violation <= CERTIFICATE_TOLERANCE else None


def _rule(session: Session) -> PenaltyRule:
    kind = session.options.adaptive_rho
    if kind is False:
        return FixedPenalties()
    if kind == "scalar":
        return ScalarPenalty()
    return SpectralPenalties(session.program, session.metric)
