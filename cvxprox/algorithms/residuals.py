"""Residuals of a primal-dual point, on the original data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from cvxprox.algorithms.scaling import Metric
from cvxprox.operators import LinearOperator, Stacked
from cvxprox.program import ProxProgram

LENIENCE = 100.0
"""How much larger than the tolerance the dual residual in equilibrated units may be."""

LARGE = 4096
"""Entries from which the extremes of a vector are found much faster than its infinity norm."""


class Point(NamedTuple):
    """A primal-dual point: `x`, the split variable `z` and the dual `y` of ``Kx + b = z``.

    Algorithms return points with ``y`` in the subdifferential at ``z``, up to rounding.
    """

    x: Tensor
    z: Tensor
    y: Tensor


@dataclass(frozen=True)
class Tolerances:
    """A point is optimal when each residual is at most ``absolute + relative * scale``."""

    absolute: float
    relative: float


@dataclass(frozen=True)
class Residuals:
    r"""Optimality of a point in the infinity norm, with the scales of the relative tolerance.

    * primal: :math:`\|Kx + b - z\|`, relative to :math:`\max(\|Kx\|, \|z\|, \|b\|)`, for every block
      of rows by itself (`blocks` holds the pairs)
    * dual: :math:`\|Px + q + K^Ty\|`, relative to :math:`\max(\|Px\|, \|K^Ty\|, \|q\|)`; where K is
      stacked of pieces, to the largest :math:`\|K_j^Ty_j\|`
    * gap: :math:`|p - d|`, relative to :math:`\max(|p|, |d|)`; NaN for programs that are not convex, which
      then does not count

    `equilibrated` is the larger of the first two with rows and columns in the units of the
    equilibrated program, relative to the norms there, the dual one divided by `LENIENCE`: rows of
    small entries count as much as the others.

    Since :math:`y \in \partial g(z)`, the gap needs no conjugates:
    :math:`p - d = x^T(Px + q) + y^T(z - b)`.
    """

    primal: float
    dual: float
    gap: float
    primal_scale: float
    dual_scale: float
    gap_scale: float
    objective: float
    equilibrated: float = 0.0
    blocks: tuple[tuple[float, float], ...] = ()
    rows: Tensor | None = field(default=None, repr=False, compare=False)  # Kx + b - z
    columns: Tensor | None = field(default=None, repr=False, compare=False)  # Px + q + K'y

    def ratio(self, tol: Tolerances) -> float:
        """The largest residual in units of its tolerance; optimal when at most 1."""
        pairs = [*self.blocks, (self.dual, self.dual_scale)]
        if not math.isnan(self.gap):
            pairs.append((self.gap, self.gap_scale))
        ratios = [_quotient(r, tol.absolute + tol.relative * scale) for r, scale in pairs]
        ratios.append(self.equilibrated / max(tol.absolute, tol.relative))
        return max(ratios) if all(map(math.isfinite, ratios)) else math.inf

    def within(self, other: Residuals, slack: float = 1e-13) -> bool:
        """Whether no residual is larger than the other's, up to rounding."""
        return (
            self.primal <= other.primal + slack * self.primal_scale
            and self.dual <= other.dual + slack * self.dual_scale
            and (math.isnan(self.gap) or self.gap <= other.gap + slack * self.gap_scale)
            and self.equilibrated <= other.equilibrated + slack
        )


def residuals(program: ProxProgram, point: Point, metric: Metric | None = None) -> Residuals:
    """Evaluate the residuals of `point`; `metric` is the equilibration of the program."""
    x, z, y = point
    q, b = program.q, program.b
    Kx, parts = program.K.forward(x), _adjoint_parts(program.K, y)
    Ky = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
    Px = None if program.P is None else program.P.forward(x)
    gradient = q if Px is None else Px + q
    linear, curved = _dot(x, q), 0.0 if Px is None else _dot(x, Px)
    value = 0.5 * curved + linear + program.offset
    value += sum(_number(term) for _, term in program.terms(z))
    gap = _number(curved + linear + _dot(y, z) - _dot(y, b))
    primal, dual = Kx + b - z, gradient + Ky
    equilibrated = 0.0
    if metric is not None:
        d, e, c = metric.d, metric.e, metric.c
        size = max(_largest(e * Kx), _largest(e * z))
        slope = max(_largest(d * Ky), _largest(d * gradient)) * c
        equilibrated = max(_largest(e * primal) / (1 + size), c * _largest(d * dual) / (1 + slope) / LENIENCE)
    blocks = []
    for block in program.blocks:
        rows = slice(block.start, block.stop)
        blocks.append((_largest(primal[rows]), max(_largest(Kx[rows]), _largest(z[rows]), _largest(b[rows]))))
    return Residuals(
        primal=max((r for r, _ in blocks), default=0.0),
        dual=_largest(dual),
        gap=abs(gap) if program.convex else math.nan,
        primal_scale=max((scale for _, scale in blocks), default=0.0),
        dual_scale=max(0.0 if Px is None else _largest(Px), _largest(q), *map(_largest, parts)),
        gap_scale=max(abs(value), abs(value - gap)),
        objective=value,
        equilibrated=equilibrated,
        blocks=tuple(blocks),
        rows=primal,
        columns=dual,
    )


def _adjoint_parts(K: LinearOperator, y: Tensor) -> list[Tensor]:
    """Terms whose sum is :math:`K^*y`: those of the pieces of a stacked operator."""
    if isinstance(K, Stacked) and K.blocks:
        return [block.adjoint(piece) for block, piece in zip(K.blocks, K.split(y), strict=True)]
    return [K.adjoint(y)]


def _quotient(residual: float, tolerance: float) -> float:
    return residual / tolerance if tolerance > 0 else (0.0 if residual == 0 else math.inf)


def _largest(v: Tensor) -> float:
    if v.numel() < LARGE:
        return _number(torch.linalg.vector_norm(v, torch.inf)) if v.numel() else 0.0
    low, high = torch.aminmax(v)
    return max(_number(-low), _number(high), 0.0)


def _dot(a: Tensor, b: Tensor) -> float:
    """The inner product, in double precision: large terms of opposite signs leave the gap."""
    return _number(a.double() @ b.double())


def _number(value: Tensor | float) -> float:
    """As a float; NaN, which compares with nothing, becomes infinity."""
    number = float(value)
    return number if number == number else float("inf")
