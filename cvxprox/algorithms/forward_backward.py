"""The step that the proximal gradient method and its accelerated form share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from cvxprox.algorithms.base import Setup, Splitting
from cvxprox.algorithms.form import Form, orthogonal_rows
from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.rows import curvature
from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class ForwardBackward:
    r"""A gradient step in the quadratic and a prox step in g, for :math:`KK^* = \mathrm{diag}(c)`.

    .. math:: u = x - \tau(Px + q), \quad v = Ku + b, \quad z = \mathrm{prox}_{c\tau g}(v), \quad
              x^+ = u + K^*\frac{z - v}{c}

    Then :math:`Kx^+ + b = z`, and :math:`y = (v - z)/(c\tau)` is in the subdifferential of g at z.

    Parameters
    ----------
    program : ProxProgram
    squares : Tensor, shape (m,)
        c.
    longest : Tensor
        The longest step that converges, :math:`1/\|P\|`; infinite without P.
    """

    program: ProxProgram
    squares: Tensor
    longest: Tensor

    def tau(self, rho: Tensor) -> Tensor:
        r"""The step for penalties :math:`\rho = 1/(c\tau)`, at most the longest."""
        if not rho.numel():
            return self.longest.clamp(max=1.0)
        return torch.minimum(1 / (self.squares * rho).max(), self.longest)

    def rho(self, tau: Tensor) -> Tensor:
        """The penalties for a step."""
        return 1 / (self.squares * tau)

    def with_program(self, program: ProxProgram) -> ForwardBackward:
        """For a program of the same shapes; the lengths of the rows are those of its K.

        Raises
        ------
        ValueError
            If its rows are not orthogonal.
        """
        return replace(self, program=program, squares=_squares(program))

    def start(
        self, start: Point | None, rho: Tensor, steps: tuple[Tensor | float, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The x of `start` or zero, with z and y of the dual of `start`."""
        program = self.program
        if start is None:
            x, v = torch.zeros_like(program.q), program.b
        else:
            x, v = start.x, start.z + start.y / rho
        z = program.prox(v, steps)
        return x, z, rho * (v - z)

    def __call__(
        self, program: ProxProgram, x: Tensor, tau: Tensor, rho: Tensor, steps: tuple[Tensor | float, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The new x, z and y."""
        gradient = program.q if program.P is None else program.P.forward(x) + program.q
        u = x - tau * gradient
        v = program.K.forward(u) + program.b
        z = program.prox(v, steps)
        y = (v - z) * rho
        return u - tau * program.K.adjoint(y), z, y


def forward_backward(setup: Setup) -> tuple[ForwardBackward, Tensor]:
    """The step for a program, and its initial penalties.

    Without P every step converges; then it is the one that fits the given penalties best.
    """
    program = setup.program
    squares = _squares(program)
    L = curvature(program.P, torch.ones((), dtype=program.q.dtype).expand(program.variables).to(program.q))
    longest = program.q.new_tensor(1 / L if L > 0 else torch.inf)
    if L > 0:
        tau = longest
    else:
        tau = 1 / (squares * setup.rho).mean() if program.rows else program.q.new_ones(())
    return ForwardBackward(program, squares, longest), 1 / (squares * tau)


def _squares(program: ProxProgram) -> Tensor:
    squares = orthogonal_rows(program)
    if squares is None:
        raise ValueError("the rows of K are not orthogonal")
    return squares


class GradientMethod(Splitting):
    """What methods of such steps share; their states have `x`, `z`, `y`, `tau`, `rho` and `steps`."""

    forward_backward: ForwardBackward

    form: ClassVar[Form] = Form(quadratic="gradient", coupling="single", penalties="step")

    def with_program(self, program: ProxProgram) -> Self:
        """With the lengths of the rows of its K, and the same step."""
        tau = self.forward_backward.tau(self.rho).detach()
        inner = self.forward_backward.with_program(program)
        return replace(self, program=program, forward_backward=inner, rho=inner.rho(tau))  # type: ignore[type-var]

    def point(self, state: Any) -> Point:
        """As it is."""
        return Point(state.x, state.z, state.y)

    def remember(self, state: Any, point: Point) -> Any:
        """It is known."""
        return state

    def with_penalties(self, state: Any, rho: Tensor) -> Any:
        """The step that belongs to these penalties, at most the one that converges."""
        inner = self.forward_backward
        tau = inner.tau(rho)
        rho = inner.rho(tau)
        return state._replace(tau=tau, rho=rho, steps=self.program.steps(rho))
