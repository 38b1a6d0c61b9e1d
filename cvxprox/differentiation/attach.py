"""A solution as a differentiable function of the numbers of its program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.inverse_map import newton_step
from cvxprox.differentiation.sensitivity import Sensitivity
from cvxprox.operators.base import differentiated
from cvxprox.program import ProxProgram

if TYPE_CHECKING:
    from cvxprox.differentiation.base import Run


def attach(program: ProxProgram, run: Run, sensitivity: Sensitivity, order: int = 1) -> Point:
    r"""The point of a run, with derivatives by the optimality conditions :math:`F(x, v; \theta) = 0`.

    .. math:: \mathrm{d}(x, v) = -J^{-1}\,\partial_\theta F\,\mathrm{d}\theta,\qquad
              z = \mathrm{prox}_{R^{-1}wg}(v),\quad y = R\,(v - z),

    with J and :math:`v = z + R^{-1}y` of `Sensitivity`. Values are those of the run. Derivatives
    reach P, q, K, b, the weights and the fields of the functions, in reverse and forward mode.

    Parameters
    ----------
    program : ProxProgram
        With its graph; batched or not.
    run : Run
        The solution and the penalties, which are constants.
    sensitivity : Sensitivity
        J at the solution.
    order : int
        Up to which order derivatives are exact; each one costs an evaluation of F more.
    """
    point, rho = run.point, run.rho.detach()
    x, v = point.x.detach(), (point.z + point.y / rho).detach()
    steps = program.steps(rho)
    errors, images = _conditions(program, x, v, rho, steps)
    if not any(map(differentiated, (*errors, images))):
        return Point(*(t.detach() for t in point))
    for _ in range(order - 1):
        x, v = newton_step(sensitivity, (x, v), errors)
        errors, _ = _conditions(program, x, v, rho, steps)
    x, v = newton_step(sensitivity, (x, v), errors)
    z = program.prox(v, steps)
    return Point(x, z, rho * (v - z))


def _conditions(
    program: ProxProgram, x: Tensor, v: Tensor, rho: Tensor, steps: tuple[Tensor | float, ...]
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """F at (x, v), and the prox at v."""
    z = program.prox(v, steps)
    dual = program.quadratic(x) + program.q + program.K.adjoint(rho * (v - z))
    return (dual, program.K.forward(x) + program.b - z), z
