"""Rules that adapt the penalties of ADMM between iterations."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.algorithms.residuals import Point, Residuals
from cvxprox.algorithms.scaling import Metric
from cvxprox.program import ProxProgram
from cvxprox.prox import Box

EQUALITY_FACTOR = 1e3


class PenaltyRule(abc.ABC):
    """Proposes multipliers of the penalties, in the scaled program."""

    name: ClassVar[str]

    @abc.abstractmethod
    def propose(
        self, iteration: int, multiplier: Tensor, old: Point, new: Point, current: Residuals
    ) -> Tensor | None:
        """New multipliers, or None to keep them.

        `old` and `new` are the points at the last two checks.
        """


class FixedPenalties(PenaltyRule):
    """The penalties stay."""

    name: ClassVar[str] = "fixed"

    def propose(
        self, iteration: int, multiplier: Tensor, old: Point, new: Point, current: Residuals
    ) -> Tensor | None:
        """Never anything new."""
        return None


@dataclass
class SpectralPenalties(PenaltyRule):
    r"""One penalty per row, from the secant of the dual over the primal movement.

    .. math:: t_i = \frac{|\Delta y_i| + 10^{-3}\,\mathrm{rms}\,\Delta y}
                         {|\Delta z_i| + 10^{-3}\,\mathrm{rms}\,\Delta z}, \qquad
              m_i \leftarrow \mathrm{clip}\bigl(m_i (t_i/\rho_i)^{1/2},\, 10^{-4},\, 10^4\bigr)

    in the units of the scaled program, with the geometric mean over the points of non-separable
    functions. Equality rows stay. The interval between updates grows by a tenth each time, so
    that there are finitely many, which is what convergence of ADMM asks for.

    Secants mean nothing where the iterates stand still along some rows: on degenerate programs
    the rule can swing between extremes. After `patience` updates in a row with residuals ten times
    as large as the smallest before, the penalties return to their initial values and one factor
    for all rows (`ScalarPenalty`) adapts them from there.
    """

    name: ClassVar[str] = "spectral"

    program: ProxProgram
    metric: Metric
    interval: float = 50.0
    last: int = 400
    patience: int = 8
    initial: Tensor | None = field(default=None, init=False)
    next: float = field(init=False)
    updates: int = field(default=0, init=False)
    stale: int = field(default=0, init=False)
    record: float = field(default=math.inf, init=False)
    fallback: ScalarPenalty | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.next = self.interval

    @cached_property
    def equalities(self) -> Tensor:
        """Rows that keep their penalties."""
        return equality_rows(self.program)

    def propose(
        self, iteration: int, multiplier: Tensor, old: Point, new: Point, current: Residuals
    ) -> Tensor | None:
        """At growing intervals, if some multiplier moves by more than a factor of √10."""
        if self.fallback is not None:
            return self.fallback.propose(iteration, multiplier, old, new, current)
        if iteration < self.next or self.updates >= self.last:
            return None
        self.initial = multiplier if self.initial is None else self.initial
        merit = max(
            _relative(current.primal, current.primal_scale), _relative(current.dual, current.dual_scale)
        )
        self.stale = self.stale + 1 if merit > 10 * self.record else 0
        self.record = min(self.record, merit)
        if self.stale >= self.patience:
            self.fallback = ScalarPenalty()
            return self.initial
        self.interval *= 1.1
        self.next = iteration + self.interval
        self.updates += 1
        dy = (new.y - old.y).abs() * self.metric.c / self.metric.e
        dz = (new.z - old.z).abs() * self.metric.e
        ratio = (dy + 1e-3 * _rms(dy)) / (dz + 1e-3 * _rms(dz))
        target = (multiplier * ratio).sqrt().nan_to_num(nan=0.1)
        target = torch.clamp(target / self.initial, 1e-4, 1e4) * self.initial
        target = _geometric_mean_per_point(self.program, target)
        target = torch.where(self.equalities, multiplier, target)
        change = (target / multiplier).log10().abs().max() if target.numel() else target.new_zeros(())
        return target if float(change) > 0.5 else None


@dataclass
class ScalarPenalty(PenaltyRule):
    r"""One factor for all rows, which balances the relative residuals.

    .. math:: \rho \leftarrow \rho \sqrt{\frac{r_p / \max(\|Kx\|, \|z\|)}
                                              {r_d / \max(\|Px\|, \|K^Ty\|, \|q\|)}}

    References
    ----------
    Stellato et al., *OSQP* (2020), section 5.2.
    """

    name: ClassVar[str] = "scalar"

    interval: int = 100
    threshold: float = 5.0

    def propose(
        self, iteration: int, multiplier: Tensor, old: Point, new: Point, current: Residuals
    ) -> Tensor | None:
        """When the factor exceeds the threshold in either direction."""
        if iteration % self.interval:
            return None
        primal = _relative(current.primal, current.primal_scale)
        dual = _relative(current.dual, current.dual_scale)
        factor = (max(primal, 1e-14) / max(dual, 1e-14)) ** 0.5
        if 1 / self.threshold <= factor <= self.threshold:
            return None
        return torch.clamp(multiplier * factor, 1e-6, 1e6)


def initial_multiplier(program: ProxProgram, rho: float) -> Tensor:
    """`rho` on every row, a thousand times as much on equalities."""
    multiplier = torch.full_like(program.b, rho)
    return torch.where(equality_rows(program), EQUALITY_FACTOR * multiplier, multiplier)


def equality_rows(program: ProxProgram) -> Tensor:
    """Which rows are intervals of one point."""
    rows = torch.zeros(program.rows, dtype=torch.bool, device=program.b.device)
    for block in program.blocks:
        if isinstance(block.function, Box):
            equal = block.function.lower == block.function.upper
            extra = equal.dim() - len(block.shape)
            equal = (equal.flatten(0, extra - 1).all(0) if extra > 0 else equal).expand(block.shape)
            rows[block.start : block.stop] = block.rows(equal)
    return rows


def _relative(residual: float, scale: float) -> float:
    return residual / max(scale, 1e-10)


def _rms(v: Tensor) -> Tensor:
    return v.square().mean().sqrt()


def _geometric_mean_per_point(program: ProxProgram, rows: Tensor) -> Tensor:
    for block in program.blocks:
        if block.function.ndim:
            points = block.points(rows)
            own = tuple(range(1, points.dim()))
            points.copy_(points.log().mean(dim=own, keepdim=True).exp().expand_as(points))
    return rows
