"""The balance of primal and dual steps in methods that only apply K."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from cvxprox.algorithms.penalties import PenaltyRule
from cvxprox.algorithms.residuals import Point, Residuals
from cvxprox.algorithms.scaling import Metric


@dataclass
class PrimalWeight(PenaltyRule):
    r"""One factor for all rows, from the distances that the dual and the primal point have moved.

    With :math:`\omega = \|\Delta y\| / \|\Delta x\|` since the last update, in the units of the scaled
    program,

    .. math:: m \leftarrow m^{1/2}\, (\omega / \|EKD\|)^{1/2}

    which is where dual steps m and primal steps :math:`1/(m\|EKD\|^2)` move both equally far. Residuals do
    not tell: where a step in x is as small as the penalty is large, a large primal residual may be the
    work of too large a penalty. The interval between updates grows, so that there are finitely many.

    References
    ----------
    Applegate et al., *Practical large-scale linear programming using primal-dual hybrid gradient* (2021),
    section 3.3.
    """

    name: ClassVar[str] = "primal weight"

    metric: Metric
    norm: float
    next: float = 20.0
    growth: float = 1.3
    last: int = 40
    updates: int = field(default=0, init=False)
    anchor: Point | None = field(default=None, init=False)

    def propose(
        self, iteration: int, multiplier: Tensor, old: Point, new: Point, current: Residuals
    ) -> Tensor | None:
        """When an update is due and changes the factor by more than a tenth."""
        self.anchor = old if self.anchor is None else self.anchor
        if iteration < self.next or self.updates >= self.last or not multiplier.numel():
            return None
        dx = float(((new.x - self.anchor.x) / self.metric.d).norm())
        dy = float(((new.y - self.anchor.y) * self.metric.c / self.metric.e).norm())
        self.next, self.anchor = max(self.growth * self.next, iteration + 1.0), new
        self.updates += 1
        if not (1e-10 < dx < math.inf and 1e-10 < dy < math.inf):
            return None
        target = dy / dx / self.norm / float(multiplier[0])
        return None if 1 / 1.1 < target**0.5 < 1.1 else multiplier * target**0.5
