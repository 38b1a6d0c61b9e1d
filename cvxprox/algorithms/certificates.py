"""Certificates of infeasibility and unboundedness, confirmed on the original data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.scaling import Metric
from cvxprox.program import ProxProgram
from cvxprox.prox import Box


@dataclass(frozen=True)
class Ray:
    """A certificate: `direction`, and how well it proves its claim (0 is a proof)."""

    direction: Tensor
    violation: float


def primal_infeasibility(program: ProxProgram, metric: Metric, y: Tensor, tol: float) -> Ray | None:
    r"""A Farkas certificate from the dual direction `y`, or None.

    No x with :math:`Kx + b \in \mathrm{dom}\,g` exists if :math:`K^Ty = 0` and
    :math:`s(y) = \sup_{z \in \mathrm{dom}\,g} y^Tz - b^Ty < 0`. The direction is normalised to
    :math:`s(y) = -1`; then a feasible x would have :math:`\|x\|_1 \ge 1/\|K^Ty\|_\infty`.

    References
    ----------
    Banjac et al., *Infeasibility detection in ADMM* (2019), section 3.
    """
    y = _onto_barrier_cone(program, y)
    size = _largest(y * metric.c / metric.e)
    if not 1e-12 < size < float("inf"):
        return None
    slack = 1e-2 * tol * _largest(y)
    support = -float((program.b * y).sum())
    for block in program.blocks:
        support += float(block.function.domain_support(block.points(y), slack).sum())
    if not support < -1e-9 * size:
        return None
    y = y / -support
    image = program.K.adjoint(y)
    # in the units of the scaled columns, relative to what cancels in K'y
    violation = _largest(metric.d * image) / max(_largest(metric.e.reciprocal() * y), 1e-300)
    ray_violation = max(float(_largest(image)), violation)
    return Ray(y, ray_violation) if ray_violation <= tol else None


def dual_infeasibility(program: ProxProgram, metric: Metric, x: Tensor, tol: float) -> Ray | None:
    r"""A direction of unbounded descent from the primal direction `x`, or None.

    With a feasible point, the problem is unbounded if :math:`Px = 0` and
    :math:`q^Tx + \sum_j w_j\, g_j^\infty(K_jx) < 0` with the recession functions
    :math:`g^\infty`. The direction is normalised to slope -1.
    """
    if not 1e-12 < _largest(x / metric.d) < float("inf"):
        return None
    x = x / _largest(x / metric.d)
    image = program.K.forward(x)
    slope = float((program.q * x).sum())
    for block in program.blocks:
        if not block.shape[0]:
            continue
        slack = tol / float(metric.e[block.start : block.stop].max())
        recession = block.function.recession(block.points(image), slack)
        if block.weight is not None:  # at weight zero only the domain counts
            recession = torch.where(recession.isinf(), recession, block.weight * recession)
        slope += float(recession.sum())
    if not slope * metric.c < -1e-9:
        return None
    curvature = _largest(program.quadratic(x)) / -slope
    if curvature > tol:
        return None
    return Ray(x / -slope, curvature)


def _onto_barrier_cone(program: ProxProgram, y: Tensor) -> Tensor:
    """`y` with the entries of intervals that press against an infinite bound set to zero."""
    y = y.clone()
    for block in program.blocks:
        if isinstance(block.function, Box):
            rows = y[block.start : block.stop]
            rows[(rows > 0) & torch.isinf(block.function.upper)] = 0
            rows[(rows < 0) & torch.isinf(block.function.lower)] = 0
    return y


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
        rays = [test(self.program, self.metric, direction, self.tol) for direction in candidates]
        return min((ray for ray in rays if ray), key=lambda ray: ray.violation, default=None)
