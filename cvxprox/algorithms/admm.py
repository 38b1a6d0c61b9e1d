"""ADMM with the quadratic objective in the linear solve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from cvxprox.algorithms.base import Setup, Splitting
from cvxprox.algorithms.form import Form
from cvxprox.algorithms.in_place import into
from cvxprox.algorithms.residuals import Point
from cvxprox.linear_solve import LinearSolve
from cvxprox.operators.base import differentiated, watched
from cvxprox.program import ProxProgram


class ADMMState(NamedTuple):
    """`x`, the point `v` of the prox, what depends on the penalties only, and prox(v) if known."""

    x: Tensor
    v: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    factor: Any
    z: Tensor | None = None


@dataclass(frozen=True)
class ADMM(Splitting):
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
        Diagonal of :math:`\Sigma`, positive, or zero where the linear system is regular without it.
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

    form: ClassVar[Form] = Form(quadratic="solve", coupling="composed", penalties="rows")

    @classmethod
    def prepare(cls, setup: Setup) -> Self:
        """With everything as given."""
        return cls(setup.program, setup.linear_solve, setup.sigma, setup.rho, setup.alpha)

    def with_program(self, program: ProxProgram) -> Self:
        """With the linear solve made anew."""
        return replace(super().with_program(program), linear_solve=self.linear_solve.unbound())

    def init(self, start: Point | None = None, rho: Tensor | None = None) -> ADMMState:
        """Start at `start` or at zero; the first step factors the linear system."""
        rho = self.rho if rho is None else rho
        program = self.program
        if start is None:
            x, v = torch.zeros_like(program.q), torch.zeros_like(program.b)
        else:
            x, v = start.x, start.z + start.y / rho
        return ADMMState(x, v, rho, program.steps(rho), None)

    def step(self, state: ADMMState) -> ADMMState:
        """One iteration."""
        x, v, rho, steps, factor, z = state
        program = self.program
        if factor is None:
            factor = self.linear_solve.init(program, self.sigma, rho)
        if z is None:
            z = program.prox(v, steps)
        target = torch.lerp(v, z, 2.0)  # 2z - v
        if self.shifted:
            target = target.sub_(program.b)
        descent = -program.q if watched() else self.descent
        f = torch.addcmul(descent, self.sigma, x) if self.proximal else descent
        x_new, miss = self.linear_solve.solve(factor, f, target)
        # the target is 2z - v - b, so K x~ + b - z is what it misses it by plus z - v
        move = miss.add_(z)
        v_new = torch.lerp(v, move, self.alpha, out=into(move))
        x_new = torch.lerp(x, x_new, self.alpha) if self.proximal else x_new
        return ADMMState(x_new, v_new, rho, steps, factor)

    @cached_property
    def shifted(self) -> bool:
        """Whether b counts."""
        return differentiated(self.program.b) or bool(self.program.b.any())

    @cached_property
    def proximal(self) -> bool:
        """Whether x depends on the x before."""
        return differentiated(self.sigma) or bool(self.sigma.any())

    @cached_property
    def descent(self) -> Tensor:
        """-q, without graph."""
        return -self.program.q

    def point(self, state: ADMMState) -> Point:
        """``(x, prox(v), R(v - prox(v)))``."""
        z = self.program.prox(state.v, state.steps) if state.z is None else state.z
        return Point(state.x, z, state.rho * (state.v - z))

    def remember(self, state: ADMMState, point: Point) -> ADMMState:
        """Keep prox(v)."""
        return state._replace(z=point.z)

    def with_penalties(self, state: ADMMState, rho: Tensor) -> ADMMState:
        """New penalties at the same point."""
        point = self.point(state)
        factor = self.refactored(state.factor, self.linear_solve, self.sigma, rho)
        v = point.z + point.y / rho
        return ADMMState(point.x, v, rho, self.program.steps(rho), factor, point.z)

    def fixed_point(self, state: ADMMState) -> Tensor:
        """x and v, stacked, in the metric in which the iteration is nonexpansive."""
        return torch.cat([self.sigma.sqrt() * state.x, state.rho.sqrt() * state.v], dim=-1)

    def replace_fixed_point(self, state: ADMMState, vector: Tensor) -> ADMMState:
        """Unstack."""
        n = state.x.shape[-1]
        x = vector[..., :n] / self.sigma.sqrt() if self.proximal else state.x
        return state._replace(x=x, v=vector[..., n:] / state.rho.sqrt(), z=None)
