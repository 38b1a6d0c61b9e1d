"""What the solves of one program share: the equilibration, the linear solve, the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.algorithms.base import Setup, Splitting
from cvxprox.algorithms.block_penalties import JointPenalty, block_penalties
from cvxprox.algorithms.checks import Checks, EveryFew, Foreseeing
from cvxprox.algorithms.first_guess import first_guess
from cvxprox.algorithms.form import Form
from cvxprox.algorithms.newton import NewtonPolish
from cvxprox.algorithms.noise import (
    at_own_noise,
    default_schedule,
    denoises,
    fixed_noise,
    near_fixed_point,
)
from cvxprox.algorithms.penalties import (
    FixedPenalties,
    PenaltyRule,
    ScalarPenalty,
    SpectralPenalties,
    initial_multiplier,
)
from cvxprox.algorithms.primal_weight import PrimalWeight
from cvxprox.algorithms.registry import ALGORITHMS, refuse
from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.rows import coupling, program_is_assembled
from cvxprox.algorithms.scaling import Metric, equilibrate
from cvxprox.algorithms.schedule import Constant, Custom, Doubling, LogDescent, Schedule
from cvxprox.linear_solve import LinearSolve, choose_linear_solve
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.status import Status

SETTLING = 0.05
"""The rate at which the penalties of non-convex programs grow."""


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
    schedule: Schedule | None = None
    assembled: bool = True

    INTERVAL: ClassVar[int] = 25
    MAX_ITER: ClassVar[int] = 20_000
    NON_CONVEX_ITERATIONS: ClassVar[int] = 2_000
    PLUG_AND_PLAY_ITERATIONS: ClassVar[int] = 100

    @classmethod
    def start(cls, program: ProxProgram, options: Options) -> Session:
        """Equilibrate and choose the linear solve; nothing is factored yet.

        Raises
        ------
        ValueError
            If an option cannot be honoured for this program.
        """
        program = program.to(options.torch_device(), options.torch_dtype())
        reason = refuse(options.algorithm, program)
        if reason is not None:
            raise ValueError(f"NABLA_ADMM: {reason}")
        schedule = _schedule(program, options)
        if schedule is not None and options.memory():
            raise ValueError(
                "NABLA_ADMM: acceleration needs the same map in all iterations. Drop it or the schedule; "
                "denoisers of unspecified noise level have a schedule."
            )
        metric = equilibrate(program, options.passes())
        linear_solve, reason = choose_linear_solve(options.linear_solver, program)
        session = cls(
            program, options, metric, _initial_multiplier(program, metric, options), linear_solve, reason,
            None, None, schedule=schedule, assembled=program_is_assembled(program),
        )  # fmt: skip
        session.newton = session.new_polish()
        return session

    def new_polish(self) -> NewtonPolish | None:
        """Newton steps for this program; None where there are none, or none are wanted.

        Raises
        ------
        ValueError
            If they are asked for and cannot be.
        """
        options, program = self.options, self.program
        newton = None
        exact = program.q.device.type == "cpu" and program.q.dtype == torch.float64
        if options.polish and self.complete and exact:
            newton = NewtonPolish(program, self.metric)
            newton = newton if newton.affordable() else None
        if options.polish is True and newton is None:
            raise ValueError(
                "NABLA_ADMM: polish=True needs float64 on the CPU, ADMM on a convex problem with assembled "
                f"matrices, and no block with points of more than {NewtonPolish.max_block} entries. "
                'Use polish="auto", which polishes where it can.'
            )
        return newton

    def with_vectors(self, program: ProxProgram, options: Options) -> Session:
        """This session for a program that differs in q, b, bounds, weights or offset only.

        `options` may differ in what does not touch the iterations: limits, tolerances, output.
        """
        self.options = options
        self.program = program.to(self.program.q.device, self.program.q.dtype)
        if self.newton is not None:
            self.newton.program = self.program
        return self

    @property
    def form(self) -> Form:
        """Of the algorithm."""
        return ALGORITHMS[self.options.algorithm].form

    @property
    def complete(self) -> bool:
        """Whether this is ADMM on a convex assembled program, with everything that belongs to it."""
        convex = self.program.convex and self.schedule is None
        return self.form.penalties == "rows" and self.assembled and convex

    @property
    def alpha(self) -> float:
        """The over-relaxation."""
        default = 1.6 if self.assembled else 1.8
        return default if self.options.alpha is None else self.options.alpha

    @property
    def max_iter(self) -> int:
        """The limit on the iterations."""
        if self.options.max_iter is not None:
            return self.options.max_iter
        if self.schedule is not None and self.schedule.iterations is not None:
            return self.schedule.iterations
        if self.denoises:
            return self.PLUG_AND_PLAY_ITERATIONS
        return self.MAX_ITER if self.program.convex else self.NON_CONVEX_ITERATIONS

    def splitting(self) -> Splitting:
        """The algorithm at the penalties reached."""
        options, metric = self.options, self.metric
        return ALGORITHMS[options.algorithm].prepare(
            Setup(
                self.program,
                metric,
                metric.sigma(options.sigma),
                metric.rho(self.multiplier),
                self.alpha if self.program.convex else 1.0,
                self.linear_solve,
                options.restart,
            )
        )

    def rule(self) -> PenaltyRule:
        """How the penalties adapt."""
        kind, penalties = self.options.adaptive_rho, self.form.penalties
        if kind is False or self.schedule is not None or not self.program.convex:
            return FixedPenalties()
        if penalties == "factor":
            norm = coupling(self.program.K, self.metric.e**2, self.metric.d) ** 0.5
            return PrimalWeight(self.metric, max(norm, 1e-10))
        if penalties != "rows":
            return FixedPenalties()
        if kind == "scalar":
            return ScalarPenalty()
        return SpectralPenalties(self.program, self.metric) if self.assembled else JointPenalty(self.metric)

    def checks(self) -> Checks:
        """When the residuals are looked at."""
        if self.options.check_interval is not None:
            return EveryFew(self.options.check_interval)
        if self.denoises:
            return EveryFew(1)
        return EveryFew(self.INTERVAL) if self.assembled else Foreseeing()

    def success(self) -> Status:
        """What residuals within the tolerances mean."""
        if self.form.penalties == "schedule":
            return Status.PENALTY_METHOD
        return Status.OPTIMAL if self.program.convex else Status.FIXED_POINT

    def beginning(self, last: Point | None) -> Point | None:
        """Where a run starts: at the last point; without one convex runs at zero, others at a first guess.

        A schedule of noise levels is for a start from scratch.
        """
        if last is not None and not (self.denoises and self.schedule is not None):
            return last
        return None if self.program.convex else first_guess(self.program)

    def schedule_is_over(self, iteration: int, point: Point) -> bool:
        """Whether a schedule of noise levels is over, at a fixed point but for the last of them."""
        schedule = self.schedule
        if schedule is None or schedule.iterations is None or iteration < schedule.iterations:
            return False
        noise = schedule(iteration).noise
        return noise is not None and near_fixed_point(self.program, point, noise)

    @property
    def denoises(self) -> bool:
        """Whether there are denoisers among the functions."""
        return any(denoises(block.function) for block in self.program.blocks)

    def solver_text(self) -> str:
        """The linear solve and the reason for it, where there is one."""
        if not self.form.solves:
            return "none (steps by norms of the operators)"
        return f"{self.linear_solve.name} ({self.reason})"


def _initial_multiplier(program: ProxProgram, metric: Metric, options: Options) -> Tensor:
    """Equalities weigh more where a linear solve takes them; gradient steps would become smaller for all."""
    if not program_is_assembled(program):
        multiplier = block_penalties(program, metric, options.rho)
        if not fixed_noise(program):
            return multiplier
        unit = metric.rho(torch.ones_like(program.b))
        return at_own_noise(program, metric.rho(multiplier)) / unit
    if ALGORITHMS[options.algorithm].form.penalties != "rows":
        return program.b.new_tensor(options.rho).expand(program.rows)
    return initial_multiplier(program, options.rho)


def _schedule(program: ProxProgram, options: Options) -> Schedule | None:
    """What changes from iteration to iteration; None if nothing does."""
    asked = options.schedule
    if isinstance(asked, Schedule):
        return asked
    if asked == "constant":
        return Constant() if program.at(0) is not program else None
    if asked is not None and asked != "log_descent":
        return Custom(asked)
    noise = default_schedule(program)
    if asked == "log_descent":
        return noise or LogDescent()
    if noise is not None:
        return noise
    if ALGORITHMS[options.algorithm].form.penalties == "schedule" and program.convex:
        return Doubling()
    if not program.convex and not options.memory() and not fixed_noise(program):
        return Doubling(SETTLING)  # hard decisions swing between values where the penalties are small
    return Constant() if program.at(0) is not program else None
