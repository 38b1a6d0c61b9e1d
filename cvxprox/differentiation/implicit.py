"""Differentiation of the solution as a fixed point, or by its optimality conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.attach import attach
from cvxprox.differentiation.base import Differentiation, Engine, Run, Solved, Task
from cvxprox.differentiation.broyden import broyden
from cvxprox.differentiation.fixed_point import FixedPointJacobian, FixedPointMap, LinearSolver, finite
from cvxprox.differentiation.guard import first_order, refuse_orders
from cvxprox.differentiation.inverse_map import Invertible, newton_step
from cvxprox.differentiation.iterative import Map, Solution, anderson, gmres, neumann, norms
from cvxprox.differentiation.report import Reported, largest, residual_norms
from cvxprox.linear_solve.implicit import derivatives
from cvxprox.operators.base import watched

BACKWARDS = ("kkt", "gmres", "anderson", "broyden", "neumann:k")
NEUMANN = "neumann:"
BROYDEN_MEMORY = 100
TOLERANCE, PRODUCTS = 1e-10, 200
"""Defaults of the backward solve of a fixed point."""


@dataclass(frozen=True)
class Implicit(Differentiation):
    r"""The gradient of a fixed point :math:`u = T(u; \theta)`, as of a deep-equilibrium network.

    .. math:: \beta = \Bigl(\frac{\partial T}{\partial u}\Bigr)^T\beta + \frac{\partial L}{\partial u},
              \qquad \frac{dL}{d\theta} = \Bigl(\frac{\partial T}{\partial\theta}\Bigr)^T\beta

    T is a step of the algorithm at the penalties that the run reached, in the last setting of a schedule.
    The memory does not depend on the number of iterations. The solution of the run is refined by Anderson
    iterations of T first: a gradient is never more accurate than the point where it is taken.

    Parameters
    ----------
    backward : str
        How the system is solved: "gmres", "anderson", "broyden", "neumann:k" (k terms of the Neumann series,
        truncated), or "kkt": the optimality conditions are differentiated instead of T.
    tol : float, optional
        Relative residual of the backward solve: 1e-10 by default, and 1e-8 with "kkt". Direct solves
        of "kkt" go down to rounding.
    max_iter : int, optional
        Vector-Jacobian products of the backward solve at most: 200 by default, and with "kkt" half as many
        again as the run had iterations, at least 100. `info` tells the residual that was reached.
    order : int
        Up to which order derivatives are exact.
    refine : int
        Iterations that refine the fixed point at most. With "kkt" there are none: what the engine can
        polish it has polished.

    References
    ----------
    Bai, Kolter and Koltun, *Deep Equilibrium Models* (2019).
    """

    backward: str = "gmres"
    tol: float | None = None
    max_iter: int | None = None
    order: int = 1
    refine: int = 50
    steps: int | None = field(init=False, repr=False, compare=False)  # k of "neumann:k"

    def __post_init__(self) -> None:
        name, steps = self.backward, None
        if name.startswith(NEUMANN) and name.removeprefix(NEUMANN).isdigit():
            steps = int(name.removeprefix(NEUMANN))
        elif name not in BACKWARDS[:-1]:
            known = ", ".join(f'"{known}"' for known in BACKWARDS)
            raise ValueError(f"backward={name!r} is unknown. The known ones are {known}.")
        if self.order < 1 or (self.max_iter is not None and self.max_iter < 1):
            raise ValueError("Implicit needs order >= 1 and max_iter >= 1.")
        if steps is not None and (self.tol is not None or self.max_iter is not None):
            raise ValueError(
                f'backward="{name}" takes {steps} terms; it has neither tol nor max_iter. Drop them.'
            )
        object.__setattr__(self, "steps", steps)

    def solve(self, engine: Engine, task: Task, start: Point | None = None) -> Solved:
        refuse_orders(task.program, self.order)
        run = engine.run(task, start)
        if self.backward == "kkt":
            if not watched():
                return Solved(run.point, run, {"forward_residual": largest(run.residual)})
            solved = self._by_conditions(engine, task, run)
            return solved if self.order > 1 else replace(solved, point=first_order(str(self), solved.point))
        at = fixed_point(engine, task, run, self.refine)
        info = {"forward_residual": at.residual}
        jacobian = Reported(FixedPointJacobian(at.frozen, at.u, self._linear_solver()), info)
        point = attached(engine, task, run, at, jacobian, self.order)
        if self.order == 1:
            point = first_order(str(self), point)
        return Solved(point, run, info)

    def _by_conditions(self, engine: Engine, task: Task, run: Run) -> Solved:
        info = {"forward_residual": largest(run.residual)}
        sensitivity = Reported(engine.sensitivity(task, run, self.tol, self.max_iter), info)
        point = attach(task.program, run, sensitivity, self.order)  # type: ignore[arg-type]
        return Solved(point, run, info)

    def _linear_solver(self) -> LinearSolver:
        tol = TOLERANCE if self.tol is None else self.tol
        limit = PRODUCTS if self.max_iter is None else self.max_iter
        match self.backward:
            case "gmres":
                return lambda apply, g: gmres(apply, g, tol, limit)
            case "anderson":
                return lambda apply, g: _affine(anderson, apply, g, tol, limit)
            case "broyden":
                return lambda apply, g: _affine(_broyden, apply, g, tol, limit)
        return lambda apply, g: neumann(apply, g, self.steps or 0)


def _affine(method: Callable[..., Solution], apply: Map, g: Tensor, tol: float, max_iter: int) -> Solution:
    """A method for fixed points on :math:`x = g + Ax`, from g."""
    return method(lambda x: g + apply(x), g, tol, max_iter, norms(g))


def _broyden(T: Map, u: Tensor, tol: float, max_iter: int, scale: Tensor) -> Solution:
    return broyden(T, u, tol, max_iter, BROYDEN_MEMORY, scale)[0]


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point u of the map of the program without graph, and the residual of its point."""

    frozen: FixedPointMap
    u: Tensor
    residual: float


def fixed_point(engine: Engine, task: Task, run: Run, refine: int) -> FixedPoint:
    """The fixed point that a run has come near to."""
    with torch.no_grad():
        T = FixedPointMap(engine.splitting(task.frozen, run), run.point, run.iterations)
        u = refined(T, T.start, refine)
        return FixedPoint(T, u, largest(residual_norms(task.frozen, T.point(u))))


def refined(T: Map, u: Tensor, iterations: int) -> Tensor:
    """A point nearer to the fixed point, down to rounding if the iterations suffice."""
    shape, tol = u.shape, 10 * torch.finfo(u.dtype).eps

    def rows(v: Tensor) -> Tensor:
        return finite(T(v.reshape(shape)).reshape(v.shape))

    return anderson(rows, finite(u.reshape(-1, shape[-1])), tol, iterations).x.reshape(shape)


def attached(engine: Engine, task: Task, run: Run, at: FixedPoint, jacobian: Invertible, order: int) -> Point:
    r"""The point at a fixed point, with derivatives by the inverse, or nearly, of :math:`I - \partial T`."""
    with derivatives(order):
        algorithm = engine.splitting(task.program, run)
        T = FixedPointMap(algorithm, run.point, run.iterations, at.frozen.steps)
        u = at.u
        for _ in range(order):
            (u,) = newton_step(jacobian, (u,), (u - T(u),))
        return T.point(u)
