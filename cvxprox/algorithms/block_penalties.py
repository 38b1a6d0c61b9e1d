"""Penalties of programs without assembled matrices: one number for every block of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from cvxprox.algorithms.penalties import PenaltyRule
from cvxprox.algorithms.residuals import Point, Residuals
from cvxprox.algorithms.rows import curvature, pieces
from cvxprox.algorithms.scaling import Metric
from cvxprox.operators import SparseMatrix
from cvxprox.program import Block, ProxProgram

LATE = 96
TINY = 1e-14
USUAL = 0.1
"""The value of the option `rho` that leaves the initial penalties as they are."""


def block_penalties(program: ProxProgram, metric: Metric, rho: float) -> Tensor:
    r"""Initial multipliers: dual over primal scale of every block.

    The dual of a term is about as large as its weight w, and z about as large as at a gradient step from
    zero, :math:`x = -q/\|P\|` (for :math:`\|Fx - d\|^2` the image :math:`F^*d/\|F\|^2`):

    .. math:: \rho_j = \frac{w_j}{\mathrm{rms}(K_jx + b_j)}.

    Indicators get the smallest of these, divided by the lengths of assembled rows: the sum over an image
    is a long row. All are in proportion to `rho`. Uniform penalties are one number in memory.
    """
    unit = metric.rho(program.b.new_ones(()).expand(program.rows))
    guess = _guess(program)
    found = [None if guess is None else _scale(block, guess) for block in program.blocks]
    least = min((value for value in found if value is not None), default=None)
    rows = []
    for block, value in zip(program.blocks, found, strict=True):
        base = unit[block.start] if block.stop > block.start else unit.new_ones(())
        wanted = value if value is not None else least
        factor = base.new_tensor(rho) if wanted is None else rho / USUAL * wanted / base
        rows.append(factor)
    lengths = _lengths(program)
    if lengths is None and len({float(factor) for factor in rows}) == 1:
        return rows[0].expand(program.rows)
    sizes = [block.stop - block.start for block in program.blocks]
    parts = [factor.expand(size) for factor, size in zip(rows, sizes, strict=True)]
    penalties = torch.cat(parts) if parts else program.b
    return penalties if lengths is None else penalties / lengths


def _lengths(program: ProxProgram) -> Tensor | None:
    """The norms of assembled rows that belong to indicators, one for a point, and ones; None without such."""
    lengths, start = torch.ones_like(program.b), 0
    for piece in pieces(program.K):
        stop = start + piece.shape_out[0]
        if isinstance(piece, SparseMatrix) and stop > start:
            squares = piece.matrix.multiply(piece.matrix.conj()).sum(axis=1)
            lengths[start:stop] = torch.as_tensor(np.sqrt(np.asarray(squares).ravel().real)).to(lengths)
        start = stop
    lengths = torch.where(lengths > 0, lengths, 1.0)
    for block in program.blocks:
        points = block.points(lengths)
        if block.weight is not None:
            points.fill_(1.0)
        elif points.dim() > 1:
            points.copy_(points.amax(dim=tuple(range(1, points.dim())), keepdim=True).expand_as(points))
    return None if bool((lengths == 1).all()) else lengths


def _relative(residual: float, scale: float) -> float:
    return residual / max(scale, 1e-10)


def _guess(program: ProxProgram) -> Tensor | None:
    """``Kx + b`` after a gradient step; None without a quadratic."""
    L = curvature(program.P, program.q.new_ones(()).expand(program.variables))
    return program.K.forward(program.q / -L) + program.b if L > 0 else None


def _scale(block: Block, guess: Tensor) -> float | None:
    if block.weight is None or not block.weight.numel():
        return None
    weight = float(block.weight.mean())
    size = float(guess[block.start : block.stop].norm()) / math.sqrt(max(block.stop - block.start, 1))
    return weight / size if weight > 0 and 0 < size < math.inf else None


@dataclass
class JointPenalty(PenaltyRule):
    r"""One factor for all blocks, the secant of the dual over the primal movement between two checks.

    .. math:: \rho \leftarrow \rho\,
              \frac{\|R^{-1/2}\Delta y\|_2}{\|R^{1/2}\Delta z\|_2}

    at iterations that double, where a change of penalties only combines eigenvalues again. There are
    finitely many updates, which is what convergence asks for. The balance of the residuals took twice as many
    iterations on total variation problems.

    Attributes
    ----------
    metric : Metric
    next : float
        The iteration of the first update.
    last : int
        Updates at most.
    threshold : float
        Factors closer to 1 are not worth an update.
    imbalance : float
        Where one relative residual is this many times the other after `LATE` iterations, the factor is the
        root of their ratio: secants of iterates that have almost stopped say little.
    """

    name: ClassVar[str] = "one factor, by secants"

    metric: Metric
    next: float = 6.0
    last: int = 16
    threshold: float = 1.3
    imbalance: float = 20.0
    updates: int = field(default=0, init=False)

    def propose(
        self, iteration: int, multiplier: Tensor, old: Point, new: Point, current: Residuals
    ) -> Tensor | None:
        """When an update is due and the factor is not near 1."""
        if iteration < self.next or self.updates >= self.last:
            return None
        self.updates += 1
        while self.next <= iteration:
            self.next *= 2 if self.next < LATE else 1.5
        balance = (_relative(current.primal, current.primal_scale) + TINY) / (
            _relative(current.dual, current.dual_scale) + TINY
        )
        if iteration >= LATE and not 1 / self.imbalance < balance < self.imbalance:
            return multiplier * min(max(balance**0.5, 0.1), 10.0)
        root = self.metric.rho(multiplier).sqrt()
        dual, primal = float(((new.y - old.y) / root).norm()), float(((new.z - old.z) * root).norm())
        if not (0 < primal < math.inf and 0 < dual < math.inf):
            return None
        factor = min(max(dual / primal, 1e-2), 1e2)
        return None if 1 / self.threshold < factor < self.threshold else multiplier * factor
