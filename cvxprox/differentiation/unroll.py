"""Differentiation through the iterations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from cvxprox.algorithms import Algorithm, Point, Scheduled, Splitting
from cvxprox.differentiation.base import Differentiation, Engine, Run, Solved, Task
from cvxprox.differentiation.guard import first_order, refuse_orders
from cvxprox.differentiation.report import largest, residual_norms
from cvxprox.linear_solve.implicit import derivatives
from cvxprox.operators.base import plain
from cvxprox.operators.memory import return_freed_memory
from cvxprox.status import Status

ITERATIONS = 100
"""Of an algorithm without a schedule that says how many."""

ACCURATE = 1e-6

PENALTIES = ("rho", "steps", "tau", "weight", "factor")
"""What states derive from the penalties and the operators, and not from the iterates."""


@dataclass(frozen=True)
class Unroll(Differentiation):
    r"""A number of iterations, and autograd through them.

    The result is what the iterations make of the start, converged or not; the gradient is that of this
    map. The penalties are the initial ones, and step sizes that come from norms are constants.

    Parameters
    ----------
    iterations : int, optional
        k; by default the length of the schedule, and 100 without one.
    checkpoint : bool or int
        Iterations between the states that are kept; the rest is computed again in the backward pass, so
        that memory grows as :math:`k/c + c`. True for :math:`c = \sqrt k`.
    shared : bool
        Whether all iterations have one setting of a schedule that is learned. Otherwise every
        iteration has its own.
    truncate : int, optional
        Only the last so many iterations are recorded.
    order : int
        Up to which order derivatives through linear solves are exact; each order costs a product with K and
        its adjoint.

    References
    ----------
    Gregor and LeCun, *Learning fast approximations of sparse coding* (2010); Chen et al., *Training deep
    nets with sublinear memory cost* (2016).
    """

    iterations: int | None = None
    checkpoint: bool | int = False
    shared: bool = True
    truncate: int | None = None
    order: int = 1

    def __post_init__(self) -> None:
        for name in ("iterations", "truncate"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"Unroll({name}={value}) records nothing, so there would be no gradients. "
                    f"{name} is at least 1."
                )
        if self.checkpoint < 0 or self.order < 1:
            raise ValueError("Unroll needs checkpoint >= 0 and order >= 1.")

    def solve(self, engine: Engine, task: Task, start: Point | None = None) -> Solved:
        refuse_orders(task.program, self.order)
        with derivatives(self.order):
            algorithm = self._algorithm(engine, task)
            count = self.length(algorithm)
            state = self._first(algorithm, count, start)
            recorded = min(self.truncate or count, count)
            state = self._recorded(algorithm, state, recorded)
            point = algorithm.point(state)
        if not all(block.function.twice for block in task.program.blocks):
            point = first_order("Unroll through these functions", point)
        plain_point = Point(*map(plain, point))
        residual = residual_norms(task.frozen, plain_point)
        inner = state.inner if isinstance(algorithm, Scheduled) else state
        run = Run(plain_point, _statuses(residual), residual, count, plain(inner.rho))
        info = {"forward_residual": largest(residual), "backward_residual": 0.0}
        return Solved(point, run, info | {"backward_iterations": recorded})

    def _algorithm(self, engine: Engine, task: Task) -> Algorithm:
        """Made for the numbers without graphs, then bound to those with graphs."""
        algorithm = engine.splitting(task.frozen)
        if isinstance(algorithm, Scheduled):
            schedule = algorithm.schedule.shared() if self.shared else algorithm.schedule
            return Scheduled(algorithm.algorithm.with_program(task.program), schedule)
        assert isinstance(algorithm, Splitting)
        return algorithm.with_program(task.program)

    def length(self, algorithm: Algorithm) -> int:
        """The number of iterations for an algorithm."""
        if self.iterations is not None:
            return self.iterations
        scheduled = algorithm.schedule.iterations if isinstance(algorithm, Scheduled) else None
        return ITERATIONS if scheduled is None else scheduled

    def _first(self, algorithm: Algorithm, count: int, start: Point | None) -> Any:
        """The state before the recorded iterations."""
        if self.truncate is None or self.truncate >= count:
            return algorithm.init(start)
        with torch.no_grad():
            state = algorithm.init(start)
            for _ in range(count - self.truncate):
                state = algorithm.step(state)
        return _with_graphs(algorithm, state, start)

    def _recorded(self, algorithm: Algorithm, state: Any, count: int) -> Any:
        length = int(self.checkpoint) if self.checkpoint is not True else max(1, math.isqrt(count))
        if not length or not torch.is_grad_enabled():
            return self._steps(algorithm, state, count)
        for done in range(0, count, length):
            steps = min(length, count - done)
            state = checkpoint(self._segment, algorithm, state, steps, use_reentrant=False)
        return state

    def _segment(self, algorithm: Algorithm, state: Any, count: int) -> Any:
        """Steps of which only the first state is kept; made again by the backward pass."""
        return_freed_memory()
        return self._steps(algorithm, state, count)

    def _steps(self, algorithm: Algorithm, state: Any, count: int) -> Any:
        # backward passes compute again what was not kept, perhaps in another thread
        with derivatives(self.order):
            for _ in range(count):
                state = algorithm.step(state)
        return state


def _with_graphs(algorithm: Algorithm, state: Any, start: Point | None) -> Any:
    """A state of the same iterates whose penalties have graphs."""
    if isinstance(algorithm, Scheduled):
        splitting, rho = algorithm.stationary(state.iteration)
        fresh = _merged(state.inner, splitting.init(start, rho))
        return state._replace(inner=fresh, setting=algorithm.schedule(state.iteration))
    assert isinstance(algorithm, Splitting)
    return _merged(state, algorithm.init(start))


def _merged(state: Any, fresh: Any) -> Any:
    return state._replace(**{name: getattr(fresh, name) for name in PENALTIES if name in state._fields})


def _statuses(residual: torch.Tensor) -> tuple[Status, ...]:
    """A fixed number of iterations: most often not yet the optimum."""
    return tuple(
        Status.OPTIMAL if value <= ACCURATE else Status.ITERATION_LIMIT for value in residual.reshape(-1)
    )
