"""ADMM with the quadratic objective in the linear solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cvxprox.algorithms.base import Algorithm
from cvxprox.algorithms.residuals import Point
from cvxprox.linear_solve import LinearSolve
from cvxprox.program import ProxProgram


class ADMMState(NamedTuple):
    """`x`, the point `v` at which the prox is taken, and what depends on the penalties only."""

    x: Tensor
    v: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    factor: Any


@dataclass(frozen=True)
class ADMM(Algorithm):
    r"""Over-relaxed ADMM for :math:`\min \tfrac12x^TPx + q^Tx + g(z),\ Kx + b = z`.

    With :math:`v = z + R^{-1}y` in place of the pair (z, y), :math:`z = \mathrm{prox}_{R^{-1}g}(v)`
    and :math:`y = R(v - z)`, an iteration is

    .. math::
        \tilde x &= \operatorname{argmin}_x\; \tfrac12x^TPx + q^Tx
            + \tfrac12\|x - x_k\|_\Sigma^2 + \tfrac12\|Kx + b - (2z - v)\|_R^2 \\
        x_{k+1} &= x_k + \alpha(\tilde x - x_k), \qquad
        v_{k+1} = v_k + \alpha(K\tilde x + b - z).

    Parameters
    ----------
    program : ProxProgram
    linear_solve : LinearSolve
    sigma : Tensor, shape (n,)
        Diagonal of :math:`\Sigma > 0`.
    rho : Tensor, shape (m,)
        Initial diagonal of R, constant on every point of a non-separable function.
    alpha : float
        Over-relaxation, in (0, 2).

    References
    ----------
    Boyd et al., *Distributed optimization ... via ADMM* (2011), section 3.4.3;
    Stellato et al., *OSQP* (2020), section 3.
    """

    program: ProxProgram
    linear_solve: LinearSolve
    sigma: Tensor
    rho: Tensor
    alpha: float = 1.6

    def init(self, start: Point | None = None) -> ADMMState:
        """Start at `start` or at zero; the first step factors the linear system."""
        program = self.program
        if start is None:
            x, v = torch.zeros_like(program.q), torch.zeros_like(program.b)
        else:
            x, v = start.x, start.z + start.y / self.rho
        return ADMMState(x, v, self.rho, program.steps(self.rho), None)

    def step(self, state: ADMMState) -> ADMMState:
        """One iteration."""
        x, v, _, steps, factor = state
        program = self.program
        if factor is None:
            factor = self.linear_solve.init(program, self.sigma, state.rho)
        z = program.prox(v, steps)
        gap = z - v  # the target is 2z - v - b, so K x~ + b - z is what it misses it by plus z - v
        target = z.add_(gap).sub_(program.b)
        x_new, miss = self.linear_solve.solve(factor, self.sigma * x - program.q, target)
        v_new = torch.add(v, miss.add_(gap), alpha=self.alpha)
        return ADMMState(torch.lerp(x, x_new, self.alpha), v_new, state.rho, steps, factor)

    def point(self, state: ADMMState) -> Point:
        """``(x, prox(v), R(v - prox(v)))``."""
        z = self.program.prox(state.v, state.steps)
        return Point(state.x, z, state.rho * (state.v - z))

    def with_penalties(self, state: ADMMState, rho: Tensor) -> ADMMState:
        """New penalties at the same point."""
        point = self.point(state)
        if state.factor is None:
            factor = self.linear_solve.init(self.program, self.sigma, rho)
        else:
            factor = self.linear_solve.update(state.factor, self.program, self.sigma, rho)
        return ADMMState(point.x, point.z + point.y / rho, rho, self.program.steps(rho), factor)

    def fixed_point(self, state: ADMMState) -> Tensor:
        """x and v, stacked, in the metric in which the iteration is nonexpansive."""
        return torch.cat([self.sigma.sqrt() * state.x, state.rho.sqrt() * state.v])

    def replace_fixed_point(self, state: ADMMState, vector: Tensor) -> ADMMState:
        """Unstack."""
        n = state.x.shape[0]
        return state._replace(x=vector[:n] / self.sigma.sqrt(), v=vector[n:] / state.rho.sqrt())
