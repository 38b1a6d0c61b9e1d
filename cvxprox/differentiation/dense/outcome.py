"""What the samples of a batch came to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.conditions import Conditions
from cvxprox.options import Options
from cvxprox.status import Status

INACCURATE = 1000.0
"""A sample is nearly optimal with residuals within this many times the tolerances."""

STATUSES = (
    Status.ITERATION_LIMIT, Status.OPTIMAL, Status.OPTIMAL_INACCURATE, Status.INFEASIBLE, Status.UNBOUNDED,
    Status.TIME_LIMIT,
)  # fmt: skip


def code_of(status: Status) -> int:
    """The place of a status in `STATUSES`."""
    return STATUSES.index(status)


@dataclass
class Outcome:
    """The best point of every sample and how its run ended, the batch flattened.

    Attributes
    ----------
    point : Point
    residual : Tensor, shape (B,)
        The larger residual.
    merit : Tensor, shape (B,)
        Relative to the larger of 1 and the sizes of its terms.
    ratio : Tensor, shape (B,)
        In units of the tolerances.
    code : Tensor, shape (B,)
        The place of the status in `STATUSES`.
    rho : Tensor, shape (m,) or (B, m)
        The penalties under which the point was found.
    defective : Tensor, shape (B,)
        Whether the data of a sample are not numbers.
    iterations : int
    """

    point: Point
    residual: Tensor
    merit: Tensor
    ratio: Tensor
    code: Tensor
    rho: Tensor
    defective: Tensor
    iterations: int = 0

    @classmethod
    def begin(cls, point: Point, rho: Tensor, defective: Tensor) -> Outcome:
        """Before anything is known."""
        unknown = point.x.new_full((len(point.x),), torch.inf)
        code = torch.zeros_like(defective, dtype=torch.long)
        return cls(point, unknown, unknown.clone(), unknown.clone(), code, rho.clone(), defective)

    def record(self, index: Tensor, now: Conditions, merit: Tensor, rho: Tensor, options: Options) -> None:
        """Keep the points of the samples `index` that are better than those before."""
        better = merit < self.merit[index]
        at = index[better]
        self.merit[at] = merit[better]
        self.residual[at] = now.residual[better]
        self.ratio[at] = now.ratio(options.eps_abs, options.eps_rel)[better]
        for total, own in zip(self.point, now.point, strict=True):
            total[at] = own[better]
        if self.rho.dim() > 1:
            self.rho[at] = rho[better]

    def end(self, samples: Tensor, status: Status) -> None:
        """Samples (indices) that end with a status."""
        self.code[samples] = code_of(status)

    def conclude(self, running: Tensor, late: bool) -> None:
        """Say how the samples `running` (indices) ended; `late` if the time limit stopped them."""
        rest = self.code[running]
        ratio = self.ratio[running]
        limit = code_of(Status.TIME_LIMIT if late else Status.ITERATION_LIMIT)
        near = limit if late else code_of(Status.OPTIMAL_INACCURATE)
        ended = torch.where(ratio <= INACCURATE, near, limit)
        ended = torch.where(ratio <= 1, code_of(Status.OPTIMAL), ended)
        self.code[running] = torch.where(rest == 0, ended, rest)
        for values in self.point:
            values[self.defective] = torch.nan
        self.residual[self.defective] = torch.nan

    @property
    def status(self) -> tuple[Status, ...]:
        """Of every sample."""
        return tuple(STATUSES[code] for code in self.code.tolist())
