"""Residuals of a primal-dual point, on the original data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cvxprox.program import ProxProgram


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

    * primal: :math:`\|Kx + b - z\|`, relative to :math:`\max(\|Kx\|, \|z\|, \|b\|)`
    * dual: :math:`\|Px + q + K^Ty\|`, relative to :math:`\max(\|Px\|, \|K^Ty\|, \|q\|)`
    * gap: :math:`|p - d|`, relative to :math:`\max(|p|, |d|)`

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

    def ratio(self, tol: Tolerances) -> float:
        """The largest residual in units of its tolerance; optimal when at most 1."""
        return max(
            self.primal / (tol.absolute + tol.relative * self.primal_scale),
            self.dual / (tol.absolute + tol.relative * self.dual_scale),
            self.gap / (tol.absolute + tol.relative * self.gap_scale),
        )

    def within(self, other: Residuals, slack: float = 1e-13) -> bool:
        """Whether no residual is larger than the other's, up to rounding."""
        return (
            self.primal <= other.primal + slack * self.primal_scale
            and self.dual <= other.dual + slack * self.dual_scale
            and self.gap <= other.gap + slack * self.gap_scale
        )


def residuals(program: ProxProgram, point: Point) -> Residuals:
    """Evaluate the residuals of `point`."""
    x, z, y = point
    q, b = program.q, program.b
    Kx, Ky = program.K.forward(x), program.K.adjoint(y)
    Px = None if program.P is None else program.P.forward(x)
    gradient = q if Px is None else Px + q
    linear, curved = _number(x @ q), 0.0 if Px is None else _number(x @ Px)
    value = 0.5 * curved + linear + program.offset
    value += sum(_number(term) for _, term in program.terms(z))
    gap = _number(curved + linear + _number(y @ z) - _number(y @ b))
    return Residuals(
        primal=_largest(Kx + b - z),
        dual=_largest(gradient + Ky),
        gap=abs(gap),
        primal_scale=max(_largest(Kx), _largest(z), _largest(b)),
        dual_scale=max(0.0 if Px is None else _largest(Px), _largest(Ky), _largest(q)),
        gap_scale=max(abs(value), abs(value - gap)),
        objective=value,
    )


def _largest(v: Tensor) -> float:
    return _number(torch.linalg.vector_norm(v, torch.inf)) if v.numel() else 0.0


def _number(value: Tensor | float) -> float:
    """As a float; NaN, which compares with nothing, becomes infinity."""
    number = float(value)
    return number if number == number else float("inf")
