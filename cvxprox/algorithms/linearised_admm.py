"""ADMM with the coupling linearised: K is only applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from cvxprox.algorithms.base import Setup, Splitting
from cvxprox.algorithms.form import Form
from cvxprox.algorithms.in_place import into
from cvxprox.algorithms.quadratic_step import QuadraticStep, quadratic_step
from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.rows import coupling, largest
from cvxprox.program import ProxProgram


class LinearisedState(NamedTuple):
    """`x`, ``Kx + b``, the point `v` of the prox, what depends on the penalties, and prox(v) if known."""

    x: Tensor
    image: Tensor
    v: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    weight: Tensor  # the diagonal of M
    factor: Any
    z: Tensor | None = None


@dataclass(frozen=True)
class LinearisedADMM(Splitting):
    r"""ADMM with the proximal term :math:`\tfrac12\|x - x_k\|^2_{M - K^TRK}`, without K in the solve.

    With v, z and y as in `ADMM`, an iteration is

    .. math::
        \tilde x &= \operatorname{argmin}_x\; \tfrac12x^TPx + q^Tx
            + \tfrac12\bigl\|x - x_k + M^{-1}K^TR(Kx_k + b - 2z + v)\bigr\|_M^2 \\
        x_{k+1} &= x_k + \alpha(\tilde x - x_k), \qquad v_{k+1} = v_k + \alpha(K\tilde x + b - z)

    with the diagonal :math:`M = \mu D^{-2},\ \mu \ge \|R^{1/2}KD\|^2` (plus :math:`\|DPD\|` where the
    quadratic is linearised too, see `quadratic_step`).

    Parameters
    ----------
    program : ProxProgram
    quadratic : QuadraticStep
        Solves for :math:`\tilde x`.
    d : Tensor, shape (n,)
        Diagonal of D.
    rho : Tensor, shape (m,)
        Initial diagonal of R.
    norm : float
        :math:`\|R^{1/2}KD\|^2` for the initial R, or more.
    alpha : float
        Over-relaxation, in (0, 2).

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 4.4.2; Chambolle and Pock, *An introduction to
    continuous optimization for imaging* (2016), section 5.3.
    """

    program: ProxProgram
    quadratic: QuadraticStep
    d: Tensor
    rho: Tensor
    norm: float
    alpha: float = 1.6

    form: ClassVar[Form] = Form(quadratic="solve", coupling="composed", penalties="factor")

    @classmethod
    def prepare(cls, setup: Setup) -> Self:
        """With the norms of K and, where P is linearised, of P."""
        program, d = setup.program, setup.metric.d
        return cls(
            program, quadratic_step(program, d), d, setup.rho, coupling(program.K, setup.rho, d), setup.alpha
        )

    def with_program(self, program: ProxProgram) -> Self:
        """With the solve of the quadratic made anew."""
        quadratic = self.quadratic.with_program(program, self.d)
        return replace(super().with_program(program), quadratic=quadratic)

    def init(self, start: Point | None = None, rho: Tensor | None = None) -> LinearisedState:
        """Start at `start` or at zero."""
        rho = self.rho if rho is None else rho
        program = self.program
        x = torch.zeros_like(program.q) if start is None else start.x
        v = torch.zeros_like(program.b) if start is None else start.z + start.y / rho
        image = program.K.forward(x) + program.b
        weight = self._weight(rho)
        return LinearisedState(x, image, v, rho, program.steps(rho), weight, None)

    def _weight(self, rho: Tensor) -> Tensor:
        size = self.norm * largest(rho / self.rho)
        return (size + self.quadratic.norm).clamp_min(1e-12) / self.d**2

    def step(self, state: LinearisedState) -> LinearisedState:
        """One iteration."""
        x, image, v, rho, steps, weight, factor, z = state
        program = self.program
        factor = self.quadratic.init(weight) if factor is None else factor
        z = program.prox(v, steps) if z is None else z
        miss = torch.add(image, v).sub_(z, alpha=2.0).mul_(rho)
        x_new = self.quadratic.solve(factor, weight, x, program.K.adjoint(miss))
        image_new = program.K.forward(x_new) + program.b
        v_new = torch.sub(image_new, z, out=into(miss)).mul_(self.alpha).add_(v)
        return LinearisedState(
            torch.lerp(x, x_new, self.alpha), torch.lerp(image, image_new, self.alpha), v_new,
            rho, steps, weight, factor,
        )  # fmt: skip

    def point(self, state: LinearisedState) -> Point:
        """``(x, prox(v), R(v - prox(v)))``."""
        z = self.program.prox(state.v, state.steps) if state.z is None else state.z
        return Point(state.x, z, state.rho * (state.v - z))

    def remember(self, state: LinearisedState, point: Point) -> LinearisedState:
        """Keep prox(v)."""
        return state._replace(z=point.z)

    def with_penalties(self, state: LinearisedState, rho: Tensor) -> LinearisedState:
        """New penalties at the same point."""
        point = self.point(state)
        return LinearisedState(
            state.x, state.image, point.z + point.y / rho, rho, self.program.steps(rho), self._weight(rho),
            None, point.z,
        )  # fmt: skip

    def fixed_point(self, state: LinearisedState) -> Tensor:
        """x and v, stacked."""
        return torch.cat([state.weight.sqrt() * state.x, state.rho.sqrt() * state.v], dim=-1)

    def replace_fixed_point(self, state: LinearisedState, vector: Tensor) -> LinearisedState:
        """Unstack."""
        n = state.x.shape[-1]
        x, v = vector[..., :n] / state.weight.sqrt(), vector[..., n:] / state.rho.sqrt()
        return state._replace(x=x, image=self.program.K.forward(x) + self.program.b, v=v, z=None)
