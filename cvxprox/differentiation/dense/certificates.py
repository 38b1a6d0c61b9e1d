"""Certificates of infeasibility and unboundedness for a batch of dense programs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.conditions import largest
from cvxprox.differentiation.dense.functions import Functions

SLACK = 1e-9
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Units:
    """Units in which rows, columns and objectives of the samples have a size of about 1.

    Attributes
    ----------
    rows : Tensor, shape (m,) or (B, m)
        The scaled program has ``rows * K * columns`` in place of K.
    columns : Tensor, shape (n,) or (B, n)
    cost : Tensor, shape (B,)
    """

    rows: Tensor
    columns: Tensor
    cost: Tensor

    @classmethod
    def of(cls, data: DenseBatch, typical: Tensor) -> Units:
        """For the typical penalties."""
        size = data.gram_diagonal(typical)
        columns = torch.where(size > 0, size, 1.0).rsqrt()
        slope = largest(columns * data.q)
        return cls(typical.sqrt(), columns, 1 / torch.where(slope > 0, slope, 1.0))


def primal_violation(data: DenseBatch, units: Units, y: Tensor) -> Tensor:
    r"""How far dual directions (B, m) are from proving that there is no feasible point, (B,).

    With y projected onto the barrier cone of the domain and normalised to
    :math:`\sup_{z \in \mathrm{dom} g} y^Tz - b^Ty = -1`, a feasible x has
    :math:`\|x\|_1 \ge 1/\|K^Ty\|_\infty`. This norm, in the given units and relative to the smaller of 1
    and the norm of y; infinite where the supremum is not negative.

    References
    ----------
    Banjac et al., *Infeasibility detection in ADMM* (2019), section 3.
    """
    y, support = _barrier(data.functions, _unit(y))
    support = support - (data.b * y).sum(-1)
    return _violation(support, largest(units.columns * data.adjoint(y)), largest(y / units.rows))


def dual_violation(data: DenseBatch, units: Units, x: Tensor) -> Tensor:
    r"""How far directions (B, n) are from proving that the objective has no lower bound, (B,).

    With slope :math:`q^Tx + \sum_j w_j\, g_j^\infty(K_jx) = -1`: the norm of Px and the distance of Kx to
    the directions in which the recession functions are finite, in the given units and relative to the
    smaller of 1 and the norm of x; infinite where the slope is not negative.
    """
    x = _unit(x / units.columns) * units.columns
    image = data.forward(x)
    inside, growth = _recession(data.functions, image)
    slope = units.cost * ((data.q * x).sum(-1) + growth)
    curved = units.cost * largest(units.columns * data.quadratic(x))
    distance = torch.maximum(largest(units.rows * (image - inside)), curved)
    return _violation(slope, distance, largest(x / units.columns))


@dataclass
class BatchedSearch:
    """Tries differences of points, over few and over many iterations, and points as rays.

    Two passes in a row are demanded.
    """

    before: Point | None = None
    last: tuple[Tensor, Tensor] | None = None

    def __call__(self, data: DenseBatch, typical: Tensor, old: Point, new: Point) -> tuple[Tensor, Tensor]:
        """Which samples are infeasible, and which are unbounded, (B,) each."""
        units = Units.of(data, typical)
        origins = [old] if self.before is None else [old, self.before]
        duals = [new.y, *(new.y - origin.y for origin in origins)]
        directions = [new.x, *(new.x - origin.x for origin in origins)]
        primal = torch.stack([primal_violation(data, units, y) for y in duals]).amin(0)
        dual = torch.stack([dual_violation(data, units, x) for x in directions]).amin(0)
        last, self.last, self.before = self.last, (primal, dual), new
        if last is None:
            none = torch.zeros_like(primal, dtype=torch.bool)
            return none, none
        infeasible = (primal <= TOLERANCE) & (last[0] <= TOLERANCE) & (primal <= last[0])
        unbounded = (dual <= TOLERANCE) & (last[1] <= TOLERANCE) & (dual <= last[1])
        return infeasible, unbounded & ~infeasible

    def take(self, index: Tensor) -> None:
        """Go on with the samples of `index`."""
        if self.last is not None and self.before is not None:
            self.last = self.last[0][index], self.last[1][index]
            self.before = Point(*(t[index] for t in self.before))


def _barrier(functions: Functions, y: Tensor) -> tuple[Tensor, Tensor]:
    """The projection of `y` onto the barrier cones of the domains, and their support there."""
    part, support = torch.zeros_like(y), y.new_zeros(len(y))
    if functions.intervals is not None:
        part = y - functions.intervals.domain_recession(y)
        support = functions.intervals.domain_support(part, SLACK).sum(-1)
    shaped, target = y.view(*functions.batch, -1), part.view(*functions.batch, -1)
    for block in functions.blocks:
        points = block.points(shaped)
        own = points - block.function.domain_recession(points)
        block.points(target).copy_(own)
        support = support + block.function.domain_support(own, SLACK).sum(-1).reshape(-1)
    return part, support


def _recession(functions: Functions, d: Tensor) -> tuple[Tensor, Tensor]:
    """The projection of `d` onto the directions of finite growth, and the weighted growth there."""
    part, growth = d.clone(), d.new_zeros(len(d))
    if functions.intervals is not None:
        part = functions.intervals.domain_recession(d)
    shaped, target = d.view(*functions.batch, -1), part.view(*functions.batch, -1)
    for block in functions.blocks:
        points = block.points(shaped)
        own = block.function.recession_domain(points)
        block.points(target).copy_(own)
        if block.weight is not None:
            added = block.weight * block.function.recession(own, SLACK)
            growth = growth + added.nan_to_num(nan=0.0, posinf=torch.inf).sum(-1).reshape(-1)
    return part, growth


def _unit(v: Tensor) -> Tensor:
    size = largest(v)[:, None]
    return v / torch.where((size > 0) & size.isfinite(), size, torch.inf)


def _violation(slope: Tensor, distance: Tensor, size: Tensor) -> Tensor:
    """The distance from a proof of a ray with that slope and size, made one of slope -1."""
    falling = slope < -SLACK * size
    steepness = torch.where(falling, -slope, 1.0)
    violation = distance / steepness / (size / steepness).clamp(max=1.0)
    return torch.where(falling & violation.isfinite(), violation, torch.inf)
