"""Semi-smooth Newton steps on the optimality conditions: the polish."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from cvxprox.algorithms.residuals import Point, Residuals, Tolerances, residuals
from cvxprox.algorithms.scaling import Metric
from cvxprox.linear_solve.kkt_matrix import KKTPattern, coupling_entries, coupling_pattern, kkt_pattern
from cvxprox.linear_solve.ldl import Factor, factorize
from cvxprox.linear_solve.sparse_ldl import SparseFactor
from cvxprox.operators import as_sparse
from cvxprox.program import Block, ProxProgram

REGULARISATION = 1e-7
SURPLUS = 1e-2
DENSE_RANGE = (1e-7, 1e6)
"""Eigenvalues of dense blocks of E: their rounding errors must not exceed the smallest."""


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
    factorizations: int = 0
    seconds: float = 0.0
    factor: Factor | None = None
    pattern: KKTPattern | None = field(default=None, init=False)
    factored: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False)  # the E behind `factor`

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
        if not isinstance(factor, SparseFactor) or factor.pattern.inside.size != coupling_entries(
            self.program
        ):
            return False
        self.pattern, self.factor, self.factored = factor.pattern, factor.factor, None
        return True

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
                self.factor, self.factored = None, None
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
        diagonal, inside = self._curvature(z + y / rho, rho)
        dx, dy = self._solve(diagonal, inside, -at.columns, -at.rows)
        x_new, y_new = x + dx, y + dy
        v = program.K.forward(x_new) + program.b + y_new / rho
        z_new = program.prox(v, program.steps(rho))
        return Point(x_new, z_new, rho * (v - z_new))

    def _curvature(self, v: Tensor, rho: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The diagonal of E and its entries below the diagonal, in the order of the coupling."""
        diagonal = torch.empty_like(v)
        inside: list[np.ndarray] = []
        for block, t in zip(self.program.blocks, self.program.steps(rho), strict=True):
            penalty = block.per_point(rho)
            D = block.function.derivative(block.points(v), t)
            if block.function.ndim == 0:
                diagonal[block.start : block.stop] = _odds(D, REGULARISATION, 1 / REGULARISATION) / penalty
                continue
            values, vectors = torch.linalg.eigh(0.5 * (D + D.mT))
            E = (vectors * (_odds(values, *DENSE_RANGE) / penalty[:, None])[:, None, :]) @ vectors.mT
            diagonal[block.start : block.stop] = E.diagonal(dim1=1, dim2=2).reshape(-1)
            low = np.tril_indices(block.size, -1)
            inside.append(E[:, low[0], low[1]].reshape(-1).numpy())
        return diagonal.numpy(), np.concatenate(inside) if inside else np.empty(0)

    def _solve(self, diagonal: np.ndarray, inside: np.ndarray, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        if self.pattern is None:
            P = None if self.program.P is None else as_sparse(self.program.P)
            self.pattern = kkt_pattern(P, as_sparse(self.program.K), coupling_pattern(self.program))
        pattern = self.pattern
        e_folded, e_kept = diagonal[pattern.folded], diagonal[pattern.kept]
        entries = (diagonal, inside)
        known = self.factored
        if known is None or not all(np.array_equal(a, b) for a, b in zip(entries, known, strict=True)):
            top = self.metric.sigma(REGULARISATION).numpy() + pattern.fold(1 / e_folded)
            matrix = pattern.matrix(top, e_kept, inside)
            self.factor = factorize(matrix, self.factor)
            self.factored = entries
            self.factorizations += 1
        assert self.factor is not None
        n, rows = f.shape[0], r.numpy()
        folded = pattern.value * rows[pattern.folded] / e_folded
        rhs = np.concatenate(
            [f.numpy() + np.bincount(pattern.column, folded, minlength=n)[:n], rows[pattern.kept]]
        )
        solution = self.factor.solve(rhs)
        dx, dy = solution[:n], np.empty(rows.size)
        dy[pattern.kept] = solution[n:]
        dy[pattern.folded] = (pattern.value * dx[pattern.column] - rows[pattern.folded]) / e_folded
        return torch.from_numpy(dx), torch.from_numpy(dy)


def _odds(eigenvalues: Tensor, low: float, high: float) -> Tensor:
    """``d / (1 - d)``, kept within what a factorisation in double precision can take."""
    d = eigenvalues.clamp(0, 1)
    return (d / (1 - d)).clamp(low, high)
