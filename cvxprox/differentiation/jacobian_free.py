"""Jacobian-free backpropagation."""

from __future__ import annotations

from dataclasses import dataclass

from cvxprox.algorithms import Point
from cvxprox.differentiation.base import Differentiation, Engine, Solved, Task
from cvxprox.differentiation.fixed_point import FixedPointMap, steps_of
from cvxprox.differentiation.guard import first_order
from cvxprox.differentiation.implicit import fixed_point


@dataclass(frozen=True)
class JacobianFree(Differentiation):
    r"""The solution without graph, and one recorded application of T.

    :math:`(I - \partial T)^{-T}` becomes I. The gradient is not exact, but a direction of descent
    where T contracts enough. Nothing is solved, and the memory is that of T.

    Parameters
    ----------
    steps : int, optional
        Steps of the algorithm that make T. By default 10 for convex programs, whose single steps contract
        little, and one where there are denoisers (two for "pdhg"). The gradient is that of the Neumann
        series up to the power ``steps - 1`` of the Jacobian of a step.
    refine : int
        Iterations that refine the fixed point at most.

    References
    ----------
    Fung et al., *JFB: Jacobian-free backpropagation for implicit networks* (2022).
    """

    steps: int | None = None
    refine: int = 50

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"JacobianFree records at least one step, not {self.steps}.")

    def solve(self, engine: Engine, task: Task, start: Point | None = None) -> Solved:
        run = engine.run(task, start)
        at = fixed_point(engine, task, run, self.refine)
        algorithm = engine.splitting(task.program, run)
        T = FixedPointMap(algorithm, run.point, run.iterations, steps_of(self.steps, algorithm))
        point = first_order(str(self), T.point(at.u), forward_mode=False)
        info = {"forward_residual": at.residual, "backward_residual": float("nan"), "backward_iterations": 0}
        return Solved(point, run, info)
