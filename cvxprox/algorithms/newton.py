"""Semi-smooth Newton steps on the optimality conditions: the polish."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cvxprox.algorithms.residuals import Point, Residuals, Tolerances, residuals
from cvxprox.algorithms.scaling import Metric
from cvxprox.linear_solve.kkt_matrix import coupling_entries
from cvxprox.linear_solve.newton_system import REGULARISATION, NewtonSystem, coupling
from cvxprox.operators import as_sparse
from cvxprox.program import Block, ProxProgram

SURPLUS = 1e-2


@dataclass
class NewtonPolish:
    r"""Solve :math:`Px + q + K^Ty = 0,\; Kx + b = z,\; z = \mathrm{prox}_{R^{-1}g}(z + R^{-1}y)`.

    With D an element of the generalised Jacobian of the prox at :math:`v = z + R^{-1}y`, a
    Newton step eliminates :math:`\Delta z = E\,\Delta y,\ E = D(I - D)^{-1}R^{-1}`:

    .. math:: \begin{bmatrix} P + \delta & K^T \\ K & -E \end{bmatrix}
              \begin{bmatrix} \Delta x \\ \Delta y \end{bmatrix}
              = -\begin{bmatrix} Px + q + K^Ty \\ Kx + b - z \end{bmatrix}.

    For intervals D is 0 on active and 1 on inactive rows, and the step solves the equality
    constrained problem of the guessed active set, which is the polish of OSQP; for cones it is
    an interior-point-like step that converges quadratically near nondegenerate solutions. A point
    is kept only if it improves on the one before.

    References
    ----------
    Stellato et al., *OSQP* (2020), section 5.3; Ali, Wong and Kolter, *A semismooth Newton method
    for fast, generic convex programming* (2017).
    """

    program: ProxProgram
    metric: Metric
    max_block: int = 400
    seconds: float = 0.0
    system: NewtonSystem = field(default_factory=NewtonSystem)

    @property
    def factorizations(self) -> int:
        """How many so far."""
        return self.system.factorizations

    @property
    def small(self) -> bool:
        """Whether a factorisation costs next to nothing."""
        return as_sparse(self.program.K).nnz + coupling_entries(self.program) <= 20_000

    @property
    def dense_blocks(self) -> list[Block]:
        """Blocks of functions that are not separable."""
        return [block for block in self.program.blocks if block.function.ndim]

    def affordable(self) -> bool:
        """Whether the dense blocks of D fit the size of the problem."""
        blocks = self.dense_blocks
        entries = sum(block.shape[0] * block.size**2 for block in blocks)
        return all(block.size <= self.max_block for block in blocks) and entries <= 4_000_000

    def borrow(self, factor: object) -> bool:
        """Use the factorisation of the algorithm itself, if the pattern is the same.

        Saves an ordering and half of the memory. The algorithm has to factor again afterwards.
        """
        return self.system.borrow(factor, self.program)

    def improve(
        self, point: Point, start: Residuals, rho: Tensor, tol: Tolerances, steps: int
    ) -> tuple[Point, Residuals]:
        """Up to `steps` Newton steps from `point`; returns the best point, possibly `point` itself.

        Stops when the residuals cease to improve or are `SURPLUS` times below the tolerance; a
        large program stops at the tolerance, where another step would cost a factorisation.
        """
        goal = SURPLUS if self.small else 1.0
        started = time.perf_counter()
        best, best_residuals, misses = point, start, 0
        current, achieved = point, start
        for _ in range(steps):
            try:
                current = self._step(current, achieved, rho)
            except RuntimeError:  # the factorisation broke down: numerically not quasi-definite
                self.system.forget()
                break
            achieved = residuals(self.program, current, self.metric)
            ratio, record = achieved.ratio(tol), best_residuals.ratio(tol)
            if ratio < record:
                best, best_residuals = current, achieved
            misses = 0 if ratio < 0.5 * record else misses + 1
            if best_residuals.ratio(tol) <= goal or misses >= 3 or not ratio < 1e6 * max(record, 1.0):
                break
        self.seconds += time.perf_counter() - started
        return best, best_residuals

    def _step(self, point: Point, at: Residuals, rho: Tensor) -> Point:
        x, z, y = point
        program = self.program
        assert at.rows is not None and at.columns is not None
        v, steps = z + y / rho, program.steps(rho)
        derivatives = tuple(
            block.function.derivative(block.points(v), t)
            for block, t in zip(program.blocks, steps, strict=True)
        )
        E, delta = coupling(program, derivatives, rho), self.metric.sigma(REGULARISATION)
        solved = self.system.solve(program, E, delta.numpy(), -at.columns.numpy(), -at.rows.numpy())
        dx, dy = map(torch.from_numpy, solved)
        x_new, y_new = x + dx, y + dy
        v = program.K.forward(x_new) + program.b + y_new / rho
        z_new = program.prox(v, steps)
        return Point(x_new, z_new, rho * (v - z_new))
