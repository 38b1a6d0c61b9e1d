"""The optimality conditions of a batch of dense programs: their values and how large they may be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.functions import Steps


@dataclass(frozen=True)
class Conditions:
    r"""Values of :math:`Px + q + K^Ty` and :math:`Kx + b - z` at points with :math:`y \in \partial g(z)`.

    Attributes
    ----------
    point : Point
    columns, rows : Tensor, shape (B, n) and (B, m)
    dual, primal : Tensor, shape (B,)
        Their infinity norms.
    dual_scale, primal_scale : Tensor, shape (B,)
        The largest of the infinity norms of Px, q, K'y and of Kx, b, z.
    """

    point: Point
    columns: Tensor
    rows: Tensor
    dual: Tensor
    primal: Tensor
    dual_scale: Tensor
    primal_scale: Tensor

    @classmethod
    def at(cls, data: DenseBatch, point: Point) -> Conditions:
        """At a point whose y and z belong together."""
        x, z, y = point
        Kx, Px, Ky = data.forward(x), data.quadratic(x), data.adjoint(y)
        columns, rows = Px + data.q + Ky, Kx + data.b - z
        dual_scale = torch.maximum(torch.maximum(largest(Px), largest(Ky)), largest(data.q))
        primal_scale = torch.maximum(torch.maximum(largest(Kx), largest(z)), largest(data.b))
        return cls(point, columns, rows, largest(columns), largest(rows), dual_scale, primal_scale)

    @classmethod
    def of(cls, data: DenseBatch, rho: Tensor, steps: Steps, x: Tensor, v: Tensor) -> Conditions:
        """At x and :math:`v = z + R^{-1}y`."""
        z = data.functions.prox(v, steps, torch.empty_like(v))
        return cls.at(data, Point(x, z, rho * (v - z)))

    def ratio(self, absolute: float, relative: float) -> Tensor:
        """The larger residual in units of what is allowed, (B,)."""
        dual = self.dual / (absolute + relative * self.dual_scale)
        return torch.maximum(dual, self.primal / (absolute + relative * self.primal_scale))

    @property
    def residual(self) -> Tensor:
        """The larger residual, (B,)."""
        return torch.maximum(self.primal, self.dual)


def largest(v: Tensor) -> Tensor:
    """The infinity norm of vectors (B, k)."""
    # many times as fast as vector_norm
    return v.abs().amax(-1) if v.shape[-1] else v.new_zeros(v.shape[:-1])
