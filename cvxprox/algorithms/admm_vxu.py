"""ADMM in the order prox, solve, dual."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from cvxprox.algorithms.base import Setup, Splitting
from cvxprox.algorithms.form import Form
from cvxprox.algorithms.residuals import Point
from cvxprox.linear_solve import LinearSolve
from cvxprox.program import ProxProgram


class VXUState(NamedTuple):
    """`x`, ``Kx + b``, the scaled dual `u`, what depends on the penalties only, and the prox if known."""

    x: Tensor
    image: Tensor
    u: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    factor: Any
    z: Tensor | None = None


@dataclass(frozen=True)
class ADMMVXU(Splitting):
    r"""Over-relaxed ADMM with the prox before the linear solve, and the dual last.

    .. math::
        z_{k+1} &= \mathrm{prox}_{R^{-1}g}(Kx_k + b + u_k), \qquad
            \tilde z = \alpha z_{k+1} + (1 - \alpha)(Kx_k + b) \\
        x_{k+1} &= \operatorname{argmin}_x\; \tfrac12x^TPx + q^Tx
            + \tfrac12\|x - x_k\|_\Sigma^2 + \tfrac12\|Kx + b - \tilde z + u_k\|_R^2 \\
        u_{k+1} &= u_k + Kx_{k+1} + b - \tilde z

    :math:`Ru_{k+1}` balances the gradient of the quadratic exactly, but is not in the subdifferential
    of g at :math:`z_{k+1}`. The dual of a point is therefore :math:`R(Kx + b + u - z)`, with z the prox.

    Parameters
    ----------
    program : ProxProgram
    linear_solve : LinearSolve
    sigma : Tensor, shape (n,)
        Diagonal of :math:`\Sigma`.
    rho : Tensor, shape (m,)
        Initial diagonal of R.
    alpha : float
        Over-relaxation, in (0, 2).

    References
    ----------
    Boyd et al., *Distributed optimization ... via ADMM* (2011), sections 3.1.1 and 3.4.3, with the roles
    of the variables exchanged.
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

    def init(self, start: Point | None = None, rho: Tensor | None = None) -> VXUState:
        """Start at `start` or at zero; the first step factors the linear system."""
        rho = self.rho if rho is None else rho
        program = self.program
        x = torch.zeros_like(program.q) if start is None else start.x
        image = program.K.forward(x) + program.b
        # the prox of the first step is at start.z + start.y / rho, as in ADMM
        u = torch.zeros_like(program.b) if start is None else start.z + start.y / rho - image
        return VXUState(x, image, u, rho, program.steps(rho), None)

    def step(self, state: VXUState) -> VXUState:
        """One iteration."""
        x, image, u, rho, steps, factor, z = state
        program = self.program
        if factor is None:
            factor = self.linear_solve.init(program, self.sigma, rho)
        z = program.prox(image + u, steps) if z is None else z
        relaxed = torch.lerp(image, z, self.alpha).sub_(u)
        x_new, u_new = self.linear_solve.solve(factor, self.sigma * x - program.q, relaxed - program.b)
        return VXUState(x_new, relaxed.add_(u_new), u_new, rho, steps, factor)

    def point(self, state: VXUState) -> Point:
        """``(x, z, R(Kx + b + u - z))`` with ``z = prox(Kx + b + u)``."""
        v = state.image + state.u
        z = self.program.prox(v, state.steps) if state.z is None else state.z
        return Point(state.x, z, state.rho * (v - z))

    def remember(self, state: VXUState, point: Point) -> VXUState:
        """Keep the prox."""
        return state._replace(z=point.z)

    def with_penalties(self, state: VXUState, rho: Tensor) -> VXUState:
        """New penalties at the same point."""
        point = self.point(state)
        factor = self.refactored(state.factor, self.linear_solve, self.sigma, rho)
        u = point.z + point.y / rho - state.image
        return VXUState(state.x, state.image, u, rho, self.program.steps(rho), factor, point.z)

    def fixed_point(self, state: VXUState) -> Tensor:
        """x and u, stacked."""
        return torch.cat([state.x, state.rho.sqrt() * state.u], dim=-1)

    def replace_fixed_point(self, state: VXUState, vector: Tensor) -> VXUState:
        """Unstack."""
        n = state.x.shape[-1]
        x, u = vector[..., :n], vector[..., n:] / state.rho.sqrt()
        return state._replace(x=x, image=self.program.K.forward(x) + self.program.b, u=u, z=None)
