"""The accelerated proximal gradient method, with restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from cvxprox.algorithms.base import Setup
from cvxprox.algorithms.forward_backward import ForwardBackward, GradientMethod, forward_backward
from cvxprox.algorithms.residuals import Point
from cvxprox.program import ProxProgram


class FISTAState(NamedTuple):
    """The point, the extrapolated x, the momentum's t, and what depends on the step only."""

    x: Tensor
    z: Tensor
    y: Tensor
    ahead: Tensor
    t: Tensor
    tau: Tensor
    rho: Tensor
    steps: tuple[Tensor | float, ...]
    factor: None = None


@dataclass(frozen=True)
class FISTA(GradientMethod):
    r"""Accelerated proximal gradient steps, see `ProximalGradient`, from extrapolated points.

    .. math::
        x_{k+1} &= \mathrm{prox}_{\tau\, g(K\cdot + b)}\bigl(e_k - \tau(Pe_k + q)\bigr), \qquad
            t_{k+1} = \tfrac12\bigl(1 + \sqrt{1 + 4t_k^2}\bigr) \\
        e_{k+1} &= x_{k+1} + \frac{t_k - 1}{t_{k+1}}(x_{k+1} - x_k)

    The momentum starts again (t = 1) where it points uphill,
    :math:`\langle e_k - x_{k+1},\, x_{k+1} - x_k\rangle > 0`.

    Parameters
    ----------
    program : ProxProgram
    forward_backward : ForwardBackward
    rho : Tensor, shape (m,)
        :math:`1/(c\tau)` with the initial step.
    restart : bool
        Whether the momentum is restarted.

    References
    ----------
    Beck and Teboulle, *A fast iterative shrinkage-thresholding algorithm* (2009);
    O'Donoghue and Candès, *Adaptive restart for accelerated gradient schemes* (2015), section 3.2.
    """

    program: ProxProgram
    forward_backward: ForwardBackward
    rho: Tensor
    restart: bool = True

    @classmethod
    def prepare(cls, setup: Setup) -> Self:
        """With the norm of P and the lengths of the rows of K."""
        inner, rho = forward_backward(setup)
        return cls(setup.program, inner, rho, setup.restart)

    def init(self, start: Point | None = None, rho: Tensor | None = None) -> FISTAState:
        """Start at `start` or at zero, without momentum."""
        rho = self.rho if rho is None else rho
        inner = self.forward_backward
        tau = inner.tau(rho)
        rho = inner.rho(tau)
        steps = self.program.steps(rho)
        x, z, y = inner.start(start, rho, steps)
        return FISTAState(x, z, y, x, torch.ones_like(tau), tau, rho, steps)

    def step(self, state: FISTAState) -> FISTAState:
        """One iteration."""
        ahead, t = state.ahead, state.t
        x, z, y = self.forward_backward(self.program, ahead, state.tau, state.rho, state.steps)
        move = x - state.x
        t_new = 0.5 * (1 + torch.sqrt(1 + 4 * t.square()))
        momentum = (t - 1) / t_new
        if self.restart:
            products = (ahead - x) * move
            uphill = (products.sum() if products.dim() == 1 else products.sum(-1, keepdim=True)) > 0
            t_new, momentum = torch.where(uphill, 1.0, t_new), torch.where(uphill, 0.0, momentum)
        return state._replace(x=x, z=z, y=y, ahead=x + momentum * move, t=t_new)

    def fixed_point(self, state: FISTAState) -> Tensor:
        """x and the extrapolated x, stacked."""
        return torch.cat([state.x, state.ahead], dim=-1)

    def replace_fixed_point(self, state: FISTAState, vector: Tensor) -> FISTAState:
        """At others."""
        n = state.x.shape[-1]
        return state._replace(x=vector[..., :n], ahead=vector[..., n:])
