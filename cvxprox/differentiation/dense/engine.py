"""The engine for batches of dense programs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.base import Run, Task
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.sensitivity import DenseSensitivity
from cvxprox.differentiation.dense.solve import solve
from cvxprox.differentiation.settle import settled
from cvxprox.options import Options
from cvxprox.status import Status

WITHOUT = (Status.INFEASIBLE, Status.UNBOUNDED)


@dataclass
class DenseEngine:
    """Solves batches of programs whose K and P are dense matrices, and differentiates their solutions.

    Everything is done in double precision, whatever the dtype of the program, on its device.

    Parameters
    ----------
    options : Options
        `eps_abs`, `eps_rel`, `max_iter`, `time_limit` and `alpha` count.
    """

    options: Options = field(default_factory=Options)

    @torch.no_grad()
    def run(self, task: Task, start: Point | None = None) -> Run:
        """Solve all samples of ``task.frozen``; without a batch there is one."""
        program = task.frozen
        batch, dtype = _batch(task), program.q.dtype
        data = DenseBatch.of(program)
        if start is not None:
            start = Point(*(t.detach().double().expand(*batch, -1).reshape(data.samples, -1) for t in start))
        outcome = solve(data, self.options, start)
        point = settled(program, Point(*(_shaped(t, batch, dtype) for t in outcome.point)))
        rho = outcome.rho.to(dtype) if outcome.rho.dim() == 1 else _shaped(outcome.rho, batch, dtype)
        residual = outcome.residual.reshape(batch)
        return Run(point, outcome.status, residual, outcome.iterations, rho, {"data": data})

    @torch.no_grad()
    def sensitivity(
        self, task: Task, run: Run, tol: float | None = None, max_iter: int | None = None
    ) -> DenseSensitivity:
        """The linearised optimality conditions at the solutions, solved directly, down to rounding."""
        data = run.info.get("data")
        if not isinstance(data, DenseBatch):
            data = DenseBatch.of(task.frozen)
        failed = torch.tensor([status in WITHOUT for status in run.status], device=data.q.device)
        return DenseSensitivity(data, run.point, run.rho, _batch(task), failed)


def _batch(task: Task) -> tuple[int, ...]:
    q, b = task.frozen.q, task.frozen.b
    return tuple(torch.broadcast_shapes(q.shape[:-1], b.shape[:-1]))


def _shaped(t: Tensor, batch: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return t.reshape(*batch, -1).to(dtype)
