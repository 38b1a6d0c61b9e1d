"""Half-quadratic splitting: a penalty method."""

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


class HalfQuadraticState(NamedTuple):
    """`x`, ``v = Kx + b``, what depends on the penalties only, and prox(v) if known."""

    x: Tensor
    v: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    factor: Any
    z: Tensor | None = None


@dataclass(frozen=True)
class HalfQuadraticSplitting(Splitting):
    r"""Alternating minimisation of :math:`\tfrac12x^TPx + q^Tx + g(z) + \tfrac12\|Kx + b - z\|_R^2`.

    .. math::
        z_{k+1} = \mathrm{prox}_{R^{-1}g}(Kx_k + b), \qquad
        x_{k+1} = \operatorname{argmin}_x\; \tfrac12x^TPx + q^Tx + \tfrac12\|x - x_k\|_\Sigma^2
            + \tfrac12\|Kx + b - z_{k+1}\|_R^2

    For fixed penalties the limit minimises this function and not the program:
    :math:`Kx + b - z = R^{-1}y` remains. A schedule has to let the penalties grow.

    Parameters
    ----------
    program : ProxProgram
    linear_solve : LinearSolve
    sigma : Tensor, shape (n,)
        Diagonal of :math:`\Sigma`.
    rho : Tensor, shape (m,)
        Initial diagonal of R.

    References
    ----------
    Geman and Yang, *Nonlinear image recovery with half-quadratic regularization* (1995);
    Wang, Yang, Yin and Zhang, *A new alternating minimization algorithm for total variation image
    reconstruction* (2008).
    """

    program: ProxProgram
    linear_solve: LinearSolve
    sigma: Tensor
    rho: Tensor

    form: ClassVar[Form] = Form(quadratic="solve", coupling="composed", penalties="schedule")

    @classmethod
    def prepare(cls, setup: Setup) -> Self:
        """With everything as given; there is no over-relaxation."""
        return cls(setup.program, setup.linear_solve, setup.sigma, setup.rho)

    def with_program(self, program: ProxProgram) -> Self:
        """With the linear solve made anew."""
        return replace(super().with_program(program), linear_solve=self.linear_solve.unbound())

    def init(self, start: Point | None = None, rho: Tensor | None = None) -> HalfQuadraticState:
        """Start at the x of `start` or at zero."""
        rho = self.rho if rho is None else rho
        program = self.program
        x = torch.zeros_like(program.q) if start is None else start.x
        v = program.K.forward(x) + program.b
        return HalfQuadraticState(x, v, rho, program.steps(rho), None)

    def step(self, state: HalfQuadraticState) -> HalfQuadraticState:
        """One iteration."""
        x, v, rho, steps, factor, z = state
        program = self.program
        if factor is None:
            factor = self.linear_solve.init(program, self.sigma, rho)
        z = program.prox(v, steps) if z is None else z
        x_new, miss = self.linear_solve.solve(factor, self.sigma * x - program.q, z - program.b)
        return HalfQuadraticState(x_new, miss.add_(z), rho, steps, factor)

    def point(self, state: HalfQuadraticState) -> Point:
        """``(x, z, R(Kx + b - z))`` with ``z = prox(Kx + b)``."""
        z = self.program.prox(state.v, state.steps) if state.z is None else state.z
        return Point(state.x, z, state.rho * (state.v - z))

    def remember(self, state: HalfQuadraticState, point: Point) -> HalfQuadraticState:
        """Keep the prox."""
        return state._replace(z=point.z)

    def with_penalties(self, state: HalfQuadraticState, rho: Tensor) -> HalfQuadraticState:
        """New penalties at the same x."""
        factor = self.refactored(state.factor, self.linear_solve, self.sigma, rho)
        return HalfQuadraticState(state.x, state.v, rho, self.program.steps(rho), factor)

    def fixed_point(self, state: HalfQuadraticState) -> Tensor:
        """x."""
        return state.x

    def replace_fixed_point(self, state: HalfQuadraticState, vector: Tensor) -> HalfQuadraticState:
        """At another x."""
        return state._replace(x=vector, v=self.program.K.forward(vector) + self.program.b, z=None)
