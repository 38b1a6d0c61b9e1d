"""Sessions of the algorithms as the engine of differentiation."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms import Algorithm, Point, Scheduled, Session, Splitting, solve_program
from cvxprox.differentiation.base import Run, Task
from cvxprox.differentiation.batched_run import batched_run
from cvxprox.differentiation.kkt import sensitivity_of
from cvxprox.differentiation.report import residual_norms
from cvxprox.differentiation.samples import batch_of, has_batched_matrices, sample
from cvxprox.differentiation.sensitivity import Sensitivity
from cvxprox.differentiation.step_sizes import with_common_steps
from cvxprox.linear_solve import DenseCholesky
from cvxprox.operators.base import outside_transforms, plain
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.status import Status

DRIFT = 1.1
"""How much the operators may stretch a vector more than those that the step sizes were made for."""

SOLVED = (Status.OPTIMAL, Status.OPTIMAL_INACCURATE)


@dataclass
class SessionEngine:
    """Solves programs by the algorithm that the options name, and makes its steps differentiable.

    Programs with the operators of the last one (the same objects) are solved in its session, from its
    solution: the factor and the penalties are kept. A batch of programs with common operators or with
    dense matrices is iterated as one.

    The algorithm for iterations without a run (`Unroll`) is made once: penalties, equilibration and step
    sizes are those of the first program, so that they are constants of what is learned. They are made
    anew where the operators become longer.

    Parameters
    ----------
    options : Options
    """

    options: Options = field(default_factory=Options)
    session: Session | None = field(default=None, repr=False)
    last: Splitting | None = field(default=None, repr=False)  # of the last run
    initial: Splitting | None = field(default=None, repr=False)  # for iterations without a run
    solved: bool = field(default=False, repr=False)

    @torch.no_grad()
    def run(self, task: Task, start: Point | None = None) -> Run:
        """Solve ``task.frozen``, from `start` or, if it is convex, from the last solution in its session."""
        with _outside(task.frozen):
            return self._run(task.frozen, start)

    def _run(self, program: ProxProgram, start: Point | None) -> Run:
        if start is not None:
            start = Point(*map(plain, start))
        if batch_of(program):
            session, splitting = self._prepared(program)
            self.last = splitting
            run, self.last = batched_run(program, splitting, session, start)
            return run
        session = self._session(program)
        if start is None and self.solved and session.program.convex:
            start = session.point
        result = solve_program(session, start)
        self.session, self.solved = session, result.status in SOLVED
        self.last = session.splitting()
        rho = self.last.rho
        if session.schedule is not None:
            rho = Scheduled(self.last, session.schedule).stationary(result.iterations)[1]
        residual = residual_norms(session.program, result.point)
        info = dict(result.info) | {"setup_time": result.setup_time, "solve_time": result.solve_time}
        return Run(result.point, (result.status,), residual, result.iterations, rho, info)

    def splitting(self, program: ProxProgram, run: Run | None = None) -> Algorithm:
        """The algorithm for `program`, at the penalties of the last run or at the initial ones."""
        if run is not None and self.last is not None:
            splitting = self.last
        else:
            splitting = self._initial(program)
        assert self.session is not None
        if program is not splitting.program:
            splitting = splitting.with_program(program)
        schedule = self.session.schedule
        return splitting if schedule is None else Scheduled(splitting, schedule)

    @torch.no_grad()
    def sensitivity(
        self, task: Task, run: Run, tol: float | None = None, max_iter: int | None = None
    ) -> Sensitivity:
        """The linearised optimality conditions at a solution."""
        with _outside(task.frozen):
            return sensitivity_of(task, run, tol, max_iter)

    def _session(self, program: ProxProgram) -> Session:
        """That of the last program, if it has the same operators."""
        last = self.session
        if last is not None and last.program.K is program.K and last.program.P is program.P:
            return last.with_vectors(program, self.options)
        self.solved = False
        return Session.start(program, self.options)

    def _prepared(self, program: ProxProgram) -> tuple[Session, Splitting]:
        """A session for the first sample, and its algorithm for all samples."""
        batch = batch_of(program)
        if not batch:
            self.session = self._session(program)
            return self.session, self.session.splitting()
        first = sample(program, (0,) * len(batch))
        self.session = session = Session.start(first, self.options)
        if has_batched_matrices(program):
            session.linear_solve, session.reason = DenseCholesky(), "a matrix for every sample"
        return session, with_common_steps(session.splitting(), program)

    def _initial(self, program: ProxProgram) -> Splitting:
        with torch.no_grad():
            if self.initial is None or not _fits(self.initial.program, program):
                self.initial = self._prepared(program)[1]
                return self.initial
            if self.session is None:
                self._prepared(program)
        return self.initial


def _outside(program: ProxProgram) -> contextlib.AbstractContextManager[object]:
    """Function transforms are of no concern to programs whose numbers are hidden from them."""
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(program.q)
    return contextlib.nullcontext() if wrapped else outside_transforms()


def _fits(old: ProxProgram, new: ProxProgram) -> bool:
    """Whether steps that converge for one program do so for another, as far as a random vector tells."""
    if (old.variables, old.rows, len(old.blocks)) != (new.variables, new.rows, len(new.blocks)):
        return False
    if has_batched_matrices(old) != has_batched_matrices(new):
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(new.variables, generator=generator, dtype=torch.float64).to(new.q)
    pairs: list[tuple[Any, Any]] = [(old.K, new.K), (old.P, new.P)]
    for before, after in pairs:
        if (before is None) != (after is None):
            return False
        if before is not None and before is not after and _length(after, x) > DRIFT * _length(before, x):
            return False
    return True


def _length(K: Any, x: Tensor) -> float:
    lengths = torch.linalg.vector_norm(K.forward(x), dim=-1)
    return float(lengths.max())
