"""The proximal gradient method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from torch import Tensor

from cvxprox.algorithms.base import Setup
from cvxprox.algorithms.forward_backward import ForwardBackward, GradientMethod, forward_backward
from cvxprox.algorithms.residuals import Point
from cvxprox.program import ProxProgram


class ProximalGradientState(NamedTuple):
    """The point and what depends on the step only."""

    x: Tensor
    z: Tensor
    y: Tensor
    tau: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    factor: None = None


@dataclass(frozen=True)
class ProximalGradient(GradientMethod):
    r"""Proximal gradient steps for :math:`\tfrac12x^TPx + q^Tx + g(Kx + b)` with orthogonal rows of K,

    .. math:: x_{k+1} = \mathrm{prox}_{\tau\, g(K\cdot + b)}\bigl(x_k - \tau(Px_k + q)\bigr), \qquad
              \tau \le 1 / \|P\|,

    in the notation of `ForwardBackward`, which has the prox and the dual.

    Parameters
    ----------
    program : ProxProgram
    forward_backward : ForwardBackward
    rho : Tensor, shape (m,)
        :math:`1/(c\tau)` with the initial step.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 4.2; Beck, *First-Order Methods in
    Optimization* (2017), section 10.2.
    """

    program: ProxProgram
    forward_backward: ForwardBackward
    rho: Tensor

    @classmethod
    def prepare(cls, setup: Setup) -> Self:
        """With the norm of P and the lengths of the rows of K."""
        inner, rho = forward_backward(setup)
        return cls(setup.program, inner, rho)

    def init(self, start: Point | None = None, rho: Tensor | None = None) -> ProximalGradientState:
        """Start at `start` or at zero."""
        rho = self.rho if rho is None else rho
        inner = self.forward_backward
        tau = inner.tau(rho)
        rho = inner.rho(tau)
        steps = self.program.steps(rho)
        return ProximalGradientState(*inner.start(start, rho, steps), tau, rho, steps)

    def step(self, state: ProximalGradientState) -> ProximalGradientState:
        """One iteration."""
        x, z, y = self.forward_backward(self.program, state.x, state.tau, state.rho, state.steps)
        return state._replace(x=x, z=z, y=y)

    def fixed_point(self, state: ProximalGradientState) -> Tensor:
        """x."""
        return state.x

    def replace_fixed_point(self, state: ProximalGradientState, vector: Tensor) -> ProximalGradientState:
        """At another x."""
        return state._replace(x=vector)
