"""Certificates of infeasibility and unboundedness, confirmed on the original data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.scaling import Metric
from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class Ray:
    """A certificate: `direction`, and how well it proves its claim (0 is a proof)."""

    direction: Tensor
    violation: float


def primal_infeasibility(program: ProxProgram, metric: Metric, y: Tensor) -> Ray | None:
    r"""A Farkas certificate from the dual direction `y`, or None.

    No x with :math:`Kx + b \in \mathrm{dom}\,g` exists if :math:`K^Ty = 0` and
    :math:`s(y) = \sup_{z \in \mathrm{dom}\,g} y^Tz - b^Ty < 0`. The direction is projected onto the
    barrier cone of the domain and normalised to :math:`s(y) = -1`; then every feasible x has
    :math:`\|x\|_1 \ge 1/\|K^Ty\|_\infty`. The violation is this norm, in the units of the
    equilibrated columns and relative to the larger of 1 and the norm of `y`.

    References
    ----------
    Banjac et al., *Infeasibility detection in ADMM* (2019), section 3.
    """
    y = y.clone()
    for block in program.blocks:
        points = block.points(y)
        y[block.start : block.stop] = block.rows(points - block.function.domain_recession(points))
    size = _largest(y / metric.e)
    if not 0 < size < math.inf:
        return None
    support, slack = -float((program.b * y).sum()), 1e-9 * _largest(y)
    for block in program.blocks:
        support += float(block.function.domain_support(block.points(y), slack).sum())
    if not support < -1e-9 * size:
        return None
    y, size = y / -support, size / -support
    return Ray(y, _largest(metric.d * program.K.adjoint(y)) / min(1.0, size))


def dual_infeasibility(program: ProxProgram, metric: Metric, x: Tensor) -> Ray | None:
    r"""A direction of unbounded descent from the primal direction `x`, or None.

    With a feasible point, the problem is unbounded if :math:`Px = 0` and
    :math:`q^Tx + \sum_j w_j\, g_j^\infty(K_jx) < 0` with the recession functions
    :math:`g^\infty`. The direction is normalised to slope -1. The violation is the norm of
    :math:`Px` and the distance of :math:`Kx` to the directions in which :math:`g^\infty` is
    finite, in equilibrated units and relative to the smaller of the slope and the norm of `x`.
    """
    size = _largest(x / metric.d)
    if not 0 < size < math.inf:
        return None
    x = x / size
    image = program.K.forward(x)
    slope, distance = float((program.q * x).sum()), 0.0
    for block in program.blocks:
        points = block.points(image)
        inside = block.function.recession_domain(points)
        scale = metric.e[block.start : block.stop]
        distance = max(distance, _largest(scale * block.rows(points - inside)))
        if block.weight is not None:
            growth = block.function.recession(inside, 1e-9 * _largest(image))
            slope += float((block.weight * growth).nan_to_num(nan=0.0, posinf=math.inf).sum())
    if not slope * metric.c < -1e-9:
        return None
    distance = max(distance, metric.c * _largest(metric.d * program.quadratic(x)))
    return Ray(x / -slope, distance / min(1.0, -slope * metric.c))


def _largest(v: Tensor) -> float:
    return float(v.abs().max()) if v.numel() else 0.0


@dataclass
class CertificateSearch:
    """Tries differences of iterates and iterates as rays; demands two passes in a row."""

    program: ProxProgram
    metric: Metric
    tol: float
    last_primal: float = math.inf
    last_dual: float = math.inf

    def primal(self, old: Point, new: Point) -> Tensor | None:
        """A certificate of primal infeasibility."""
        found = self._best(primal_infeasibility, new.y - old.y, new.y)
        confirmed = found is not None and found.violation <= self.last_primal < math.inf
        self.last_primal = found.violation if found else math.inf
        return found.direction if found and confirmed else None

    def dual(self, old: Point, new: Point) -> Tensor | None:
        """A certificate of unboundedness."""
        found = self._best(dual_infeasibility, new.x - old.x, new.x)
        confirmed = found is not None and found.violation <= self.last_dual < math.inf
        self.last_dual = found.violation if found else math.inf
        return found.direction if found and confirmed else None

    def _best(self, test: Callable[..., Ray | None], *candidates: Tensor) -> Ray | None:
        rays = [test(self.program, self.metric, direction) for direction in candidates]
        good = (ray for ray in rays if ray and ray.violation <= self.tol)
        return min(good, key=lambda ray: ray.violation, default=None)
