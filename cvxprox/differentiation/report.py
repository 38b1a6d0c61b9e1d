"""What a mode tells about the accuracy of values and gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.inverse_map import Invertible
from cvxprox.program import ProxProgram


def residual_norms(program: ProxProgram, point: Point) -> Tensor:
    r"""The larger of :math:`\|Kx + b - z\|_\infty` and :math:`\|Px + q + K^Ty\|_\infty`, by sample."""
    with torch.no_grad():
        x, z, y = (t.detach() for t in point)
        primal = program.K.forward(x) + program.b - z
        dual = program.quadratic(x) + program.q + program.K.adjoint(y)
        parts = [v.abs().amax(-1) for v in (primal, dual) if v.shape[-1]]
        if not parts:
            return x.new_zeros(x.shape[:-1])
        return parts[0] if len(parts) == 1 else torch.maximum(*parts)


def largest(values: Tensor) -> float:
    """As a number; zero if there is none."""
    return float(values.max()) if values.numel() else 0.0


@dataclass
class Reported(Invertible):
    """A linear map whose solves enter their residual and iterations into `info`."""

    inner: Invertible
    info: dict[str, Any]

    def solve(self, *f: Tensor) -> Any:
        solution = self.inner.solve(*f)
        self._enter()
        return solution

    def solve_transposed(self, *g: Tensor) -> Any:
        solution = self.inner.solve_transposed(*g)
        self._enter()
        return solution

    def _enter(self) -> None:
        self.residual, self.iterations = self.inner.residual, self.inner.iterations
        self.info["backward_residual"], self.info["backward_iterations"] = self.residual, self.iterations
