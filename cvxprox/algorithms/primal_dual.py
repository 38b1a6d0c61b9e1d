"""The primal-dual hybrid gradient method, for smooth quadratics in the form of Condat and Vũ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from cvxprox.algorithms.base import Setup, Splitting
from cvxprox.algorithms.form import Form
from cvxprox.algorithms.in_place import into
from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.rows import coupling, curvature, largest
from cvxprox.program import ProxProgram


class PrimalDualState(NamedTuple):
    """Relaxed `x` and `y` with ``Kx + b`` and ``K*y``, the steps, and the point before relaxation."""

    x: Tensor
    y: Tensor
    image: Tensor
    force: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    tau: Tensor
    last: Point
    factor: None = None


@dataclass(frozen=True)
class PrimalDualHybridGradient(Splitting):
    r"""Over-relaxed primal-dual hybrid gradient steps with diagonal step sizes T and R.

    .. math::
        \tilde x &= x_k - T(Px_k + q + K^Ty_k) \\
        \tilde y &= \mathrm{prox}_{Rg^*}\bigl(y_k + R(K(2\tilde x - x_k) + b)\bigr) \\
        (x_{k+1}, y_{k+1}) &= (x_k, y_k) + \alpha\,(\tilde x - x_k, \tilde y - y_k)

    With :math:`T = D^2/\mu` and :math:`\kappa = \|R^{1/2}KD\|^2,\ L = \|DPD\|`, it converges for
    :math:`\mu - \kappa \ge L/2` and :math:`\alpha < 2 - L/(2(\mu - \kappa))`. Here
    :math:`\mu = \kappa + L`, and :math:`\alpha \le 1.49` where L is not zero. The prox of the conjugate is
    :math:`\tilde y = R(v - z),\ z = \mathrm{prox}_{R^{-1}g}(v),\ v = R^{-1}y_k + K(2\tilde x - x_k) + b`.

    Parameters
    ----------
    program : ProxProgram
    d : Tensor, shape (n,)
        Diagonal of D.
    rho : Tensor, shape (m,)
        Initial diagonal of R, the dual step sizes.
    coupling, curvature : float
        :math:`\kappa` for the initial R, and L; or more.
    alpha : float
        Over-relaxation, in (0, 2).

    References
    ----------
    Chambolle and Pock, *A first-order primal-dual algorithm* (2011); Pock and Chambolle, *Diagonal
    preconditioning for first order primal-dual algorithms* (2011); Condat, *A primal-dual splitting
    method for convex optimization* (2013), theorem 3.1.
    """

    program: ProxProgram
    d: Tensor
    rho: Tensor
    coupling: float
    curvature: float
    alpha: float = 1.6

    form: ClassVar[Form] = Form(quadratic="gradient", coupling="composed", penalties="factor")

    @classmethod
    def prepare(cls, setup: Setup) -> Self:
        """With the norms of K and P."""
        program, d = setup.program, setup.metric.d
        L = curvature(program.P, d)
        alpha = min(setup.alpha, 1.49) if L > 0 else setup.alpha
        return cls(program, d, setup.rho, coupling(program.K, setup.rho, d), L, alpha)

    def init(self, start: Point | None = None, rho: Tensor | None = None) -> PrimalDualState:
        """Start at `start` or at zero."""
        rho = self.rho if rho is None else rho
        program = self.program
        if start is None:
            start = Point(*(torch.zeros_like(v) for v in (program.q, program.b, program.b)))
        steps = program.steps(rho)
        v = start.z + start.y / rho
        z = program.prox(v, steps)
        point = Point(start.x, z, rho * (v - z))
        image, force = program.K.forward(point.x) + program.b, program.K.adjoint(point.y)
        return PrimalDualState(
            point.x, point.y, image, force, rho, steps, self._tau(rho), point
        )  # fmt: skip

    def _tau(self, rho: Tensor) -> Tensor:
        size = self.coupling * largest(rho / self.rho)
        return self.d**2 / (size + self.curvature).clamp_min(1e-12)

    def step(self, state: PrimalDualState) -> PrimalDualState:
        """One iteration."""
        x, y, image, force, rho, steps, tau, _, _ = state
        program, K = self.program, self.program.K
        gradient = force + program.q
        if program.P is not None:
            gradient = gradient.add_(program.P.forward(x))
        x_new = torch.addcmul(x, tau, gradient, value=-1.0, out=into(gradient))
        image_new = K.forward(x_new) + program.b
        v = torch.add(y / rho, image_new, alpha=2.0).sub_(image)
        z = program.prox(v, steps)
        y_new = torch.sub(v, z, out=into(v)).mul(rho)
        force_new = K.adjoint(y_new)
        a = self.alpha
        return PrimalDualState(
            torch.lerp(x, x_new, a), torch.lerp(y, y_new, a), torch.lerp(image, image_new, a),
            torch.lerp(force, force_new, a), rho, steps, tau, Point(x_new, z, y_new),
        )  # fmt: skip

    def point(self, state: PrimalDualState) -> Point:
        """The point before relaxation."""
        return state.last

    def remember(self, state: PrimalDualState, point: Point) -> PrimalDualState:
        """It is known."""
        return state

    def with_penalties(self, state: PrimalDualState, rho: Tensor) -> PrimalDualState:
        """New dual steps; the primal ones follow."""
        return state._replace(rho=rho, steps=self.program.steps(rho), tau=self._tau(rho))

    def fixed_point(self, state: PrimalDualState) -> Tensor:
        """x and y, stacked."""
        return torch.cat([state.x, state.y], dim=-1)

    def replace_fixed_point(self, state: PrimalDualState, vector: Tensor) -> PrimalDualState:
        """Unstack."""
        n, K = state.x.shape[-1], self.program.K
        x, y = vector[..., :n], vector[..., n:]
        return state._replace(x=x, y=y, image=K.forward(x) + self.program.b, force=K.adjoint(y))
