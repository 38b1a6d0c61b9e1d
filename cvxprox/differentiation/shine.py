"""The inverse Jacobian shared between the forward and the backward pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.base import Differentiation, Engine, Run, Solved, Task
from cvxprox.differentiation.broyden import LowRankInverse, broyden
from cvxprox.differentiation.fixed_point import (
    FixedPointJacobian,
    FixedPointMap,
    LinearSolver,
    finite,
    steps_of,
)
from cvxprox.differentiation.guard import FORWARD, first_order
from cvxprox.differentiation.implicit import FixedPoint, attached, refined
from cvxprox.differentiation.inverse_map import Invertible
from cvxprox.differentiation.iterative import Map, Solution, gmres, norms
from cvxprox.differentiation.report import Reported, largest, residual_norms

FALLBACK = 1.3
"""How much longer than the gradient its image under the inverse may be."""

ITERATIONS = 200
REFINE = 50
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Shine(Differentiation):
    r"""Broyden's method finds the fixed point, and its estimate of the inverse serves the gradient.

    .. math:: \beta = H^T\,\frac{\partial L}{\partial u}, \qquad
              H \approx \Bigl(I - \frac{\partial T}{\partial u}\Bigr)^{-1}

    The run of the algorithm provides penalties and the point that the result is refined to. Broyden's
    iterations begin afresh, after a few plain steps, so that H learns.

    Parameters
    ----------
    refine : int
        GMRES iterations on the true system, from :math:`\beta` and preconditioned with H; each costs a
        vector-Jacobian product.
    fallback : bool
        Whether a sample with :math:`\|\beta\| > 1.3\,\|\partial L/\partial u\|` gets the gradient of
        `JacobianFree`, that is :math:`\beta = \partial L/\partial u`; the refinement starts from there.
    memory : int
        Terms of H.
    steps : int, optional
        Steps of the algorithm that make T, as in `JacobianFree`.

    References
    ----------
    Ramzi et al., *SHINE: SHaring the INverse Estimate from the forward pass for bi-level optimization
    and implicit models* (2022), section 2.4 for the fallback.
    """

    refine: int = 0
    fallback: bool = True
    memory: int = 30
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.refine < 0 or self.memory < 1 or (self.steps is not None and self.steps < 1):
            raise ValueError("Shine needs refine >= 0, memory >= 1 and steps >= 1.")

    def solve(self, engine: Engine, task: Task, start: Point | None = None) -> Solved:
        run = engine.run(task, start)
        with torch.no_grad():
            at, inverse = self._forward(engine, task, run, start)
        info = {"forward_residual": at.residual}
        jacobian = FixedPointJacobian(at.frozen, at.u, self._solver(inverse))
        point = attached(engine, task, run, at, Reported(_Transposed(jacobian), info), 1)
        return Solved(first_order(str(self), point, forward_mode=False), run, info)

    def _forward(
        self, engine: Engine, task: Task, run: Run, start: Point | None
    ) -> tuple[FixedPoint, LowRankInverse]:
        algorithm = engine.splitting(task.frozen, run)
        T = FixedPointMap(algorithm, run.point, run.iterations, steps_of(self.steps, algorithm))
        shape = T.start.shape

        def rows(v: Tensor) -> Tensor:
            return finite(T(v.reshape(shape)).reshape(v.shape))

        zero = Point(*(torch.zeros_like(t) for t in run.point)) if start is None else start
        u = FixedPointMap(algorithm, zero, run.iterations).start
        u = rows(finite(u.expand(shape).reshape(-1, shape[-1])))
        found, inverse = broyden(rows, u, TOLERANCE, ITERATIONS, self.memory)
        # the same point where the solution is unique: the nearer one is refined
        solved = refined(T, T.start, REFINE).reshape(u.shape)
        nearer = norms(rows(found.x) - found.x) < norms(rows(solved) - solved)
        best = torch.where(nearer[:, None], found.x, solved).reshape(shape)
        return FixedPoint(T, best, largest(residual_norms(task.frozen, T.point(best)))), inverse

    def _solver(self, inverse: LowRankInverse) -> LinearSolver:
        def solve(apply: Map, g: Tensor) -> Solution:
            beta = inverse.apply_transposed(g)
            precondition = inverse.apply_transposed
            if self.fallback:
                far = (~(norms(beta) <= FALLBACK * norms(g)))[:, None]
                beta = torch.where(far, g, beta)

                def precondition(x: Tensor) -> Tensor:
                    return torch.where(far, x, inverse.apply_transposed(x))

            if self.refine:
                return gmres(apply, g, 1e-12, self.refine, beta, precondition)
            scale = norms(g).clamp_min(torch.finfo(g.dtype).tiny)
            return Solution(beta, norms(g - beta + apply(beta)) / scale, 0)

        return solve


class _Transposed(Invertible):
    """An inverse that is known from one side."""

    def __init__(self, inner: FixedPointJacobian) -> None:
        self.inner = inner

    def solve(self, *f: Tensor) -> tuple[Tensor]:
        raise RuntimeError(f"Shine has no forward mode (jvp). {FORWARD}")

    def solve_transposed(self, *g: Tensor) -> tuple[Tensor]:
        solution = self.inner.solve_transposed(*g)
        self.residual, self.iterations = self.inner.residual, self.inner.iterations
        return solution
