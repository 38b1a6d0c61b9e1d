"""The linearised optimality conditions of a program with matrices, by a sparse factorisation."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.sensitivity import Sensitivity
from cvxprox.linear_solve.least_squares import DampedLeastSquares
from cvxprox.linear_solve.newton_system import NewtonSystem, coupling
from cvxprox.operators import SparseMatrix, as_sparse
from cvxprox.program import Block, ProxProgram

Pair = tuple[np.ndarray, np.ndarray]

REGULARISATION = 1e-9
"""Of P, relative to the diagonal of P + K'RK."""

REFINEMENTS = 12
GOAL = 1e-14
CONSISTENT = 1e-7
"""A relative residual above it means that J is singular and the system has no solution."""


class SparseSensitivity(Sensitivity):
    r"""J of a program whose K and P have entries; on the CPU, in double precision, without batch.

    With :math:`\Delta z = D\,\Delta v` and :math:`\Delta y = R(I - D)\,\Delta v` both J and its
    transpose become the symmetric system of a Newton step,

    .. math:: \begin{bmatrix} P & K^T \\ K & -E \end{bmatrix}
              \begin{bmatrix} \Delta x \\ \Delta y \end{bmatrix}
              = \begin{bmatrix} f_x \\ f_v \end{bmatrix},\qquad E = D(I - D)^{-1}R^{-1},\quad
              \Delta v = K\,\Delta x - f_v + R^{-1}\Delta y,

    which `NewtonSystem` factors with P regularised and the eigenvalues of E clipped. Iterative
    refinement on J itself removes both errors. Where it cannot, J is singular and the solution is that
    of damped least squares.

    Parameters
    ----------
    program : ProxProgram
        Without graph.
    point : Point
        The solution.
    rho : Tensor, shape (m,)
    """

    def __init__(self, program: ProxProgram, point: Point, rho: Tensor) -> None:
        self.like = program.q
        program, point, rho, self.rows = _pointwise(_on_host(program), point, rho)
        self.program, self.rho = program, rho.numpy()
        v, steps = point.z + point.y / rho, program.steps(rho)
        derivatives = tuple(
            block.function.derivative(block.points(v), t)
            for block, t in zip(program.blocks, steps, strict=True)
        )
        self.E = coupling(program, derivatives, rho)
        self.K = as_sparse(program.K)
        self.P = None if program.P is None else as_sparse(program.P)
        self.D = _block_diagonal(program, derivatives)
        self.scale = self._scale()
        self.system = NewtonSystem()

    def solve(self, *f: Tensor) -> tuple[Tensor, Tensor]:
        fx, fv = self._given(*f)
        return self._returned(*self._solve(fx, fv))

    def solve_transposed(self, *g: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`J^{-T}g`: with :math:`(\Delta x, \Delta v) = J^{-1}(g_x + K^Tg_v,\; R^{-1}g_v)` it is
        :math:`(\Delta x,\; R(I - D)\Delta v - g_v)`."""
        gx, gv = self._given(*g)
        dx, dv = self._solve(gx + self.K.T @ gv, gv / self.rho)
        return self._returned(dx, self._dual(dv) - gv)

    def _solve(self, fx: np.ndarray, fv: np.ndarray) -> Pair:
        size = self._norm(fx, fv)
        if not size:
            self.residual, self.iterations = 0.0, 0
            return np.zeros_like(fx), np.zeros_like(fv)
        try:
            solution, achieved = self._refined(fx, fv, size)
        except RuntimeError:  # numerically not quasi-definite
            self.system.forget()
            solution, achieved = (np.zeros_like(fx), np.zeros_like(fv)), np.inf
        if not achieved <= CONSISTENT:
            solution = self._least_squares(fx, fv)
            achieved = self._norm(*self._missing(fx, fv, *solution)) / size
        self.residual = achieved
        return solution

    def _refined(self, fx: np.ndarray, fv: np.ndarray, size: float) -> tuple[Pair, float]:
        dx, dv = np.zeros_like(fx), np.zeros_like(fv)
        missing, achieved = (fx, fv), 1.0
        for self.iterations in range(1, REFINEMENTS + 1):
            cx, cv = self._approximate(*missing)
            candidate = dx + cx, dv + cv
            missing = self._missing(fx, fv, *candidate)
            before, now = achieved, self._norm(*missing) / size
            if not now < before:
                break
            (dx, dv), achieved = candidate, now
            if achieved <= GOAL or achieved > 0.5 * before:
                break
        return (dx, dv), achieved

    def _approximate(self, fx: np.ndarray, fv: np.ndarray) -> Pair:
        """A solution up to the regularisation."""
        dx, dy = self.system.solve(self.program, self.E, REGULARISATION * self.scale, fx, fv)
        return dx, self.K @ dx - fv + dy / self.rho

    def _missing(self, fx: np.ndarray, fv: np.ndarray, dx: np.ndarray, dv: np.ndarray) -> Pair:
        """``f - J (dx, dv)``."""
        top = fx - self.K.T @ self._dual(dv)
        if self.P is not None:
            top -= self.P @ dx
        return top, fv - self.K @ dx + self.D @ dv

    def _dual(self, dv: np.ndarray) -> np.ndarray:
        r""":math:`R(I - D)\Delta v`."""
        return self.rho * (dv - self.D @ dv)

    def _least_squares(self, fx: np.ndarray, fv: np.ndarray) -> Pair:
        n, (columns, rows) = fx.size, self._units
        s = self._damped.solve(np.concatenate([columns * fx, rows * fv]))
        return columns * s[:n], s[n:] / rows

    @cached_property
    def _damped(self) -> DampedLeastSquares:
        """J in units in which rows and columns are about one."""
        columns, rows = self._units
        C, R = sp.diags_array(columns), sp.diags_array(rows)
        K = R @ self.K @ C
        P = None if self.P is None else C @ self.P @ C
        complement = sp.eye_array(rows.size) - self.D
        blocks = [[P, K.T @ (R @ complement @ sp.diags_array(1 / rows))], [K, -self.D]]
        return DampedLeastSquares(sp.csr_array(sp.block_array(blocks, format="csr")))

    @property
    def _units(self) -> Pair:
        """Factors of columns and of rows."""
        return self.scale**-0.5, self.rho**0.5

    def _norm(self, fx: np.ndarray, fv: np.ndarray) -> float:
        columns, rows = self._units
        return float(np.hypot(np.linalg.norm(columns * fx), np.linalg.norm(rows * fv)))

    def _scale(self) -> np.ndarray:
        """The diagonal of P + K'RK, with zeros filled in."""
        squares = sp.csr_array((self.K.data**2, self.K.indices, self.K.indptr), shape=self.K.shape)
        diagonal = squares.T @ self.rho
        if self.P is not None:
            diagonal = diagonal + self.P.diagonal()
        positive = diagonal[diagonal > 0]
        return np.where(diagonal > 0, diagonal, positive.mean() if positive.size else 1.0)

    def _given(self, fx: Tensor, fv: Tensor) -> Pair:
        columns, rows = (f.detach().to("cpu", torch.float64).numpy() for f in (fx, fv))
        return columns, rows if self.rows is None else rows[self.rows]

    def _returned(self, dx: np.ndarray, dv: np.ndarray) -> tuple[Tensor, Tensor]:
        if self.rows is not None:
            ordered = np.empty_like(dv)
            ordered[self.rows] = dv
            dv = ordered
        return torch.from_numpy(dx).to(self.like), torch.from_numpy(dv).to(self.like)


def _on_host(program: ProxProgram) -> ProxProgram:
    return program.to("cpu", torch.float64)


def _pointwise(
    program: ProxProgram, point: Point, rho: Tensor
) -> tuple[ProxProgram, Point, Tensor, np.ndarray | None]:
    """The program with the rows of all points together, and which rows those were; None for as they are."""
    point = Point(*(t.detach().to("cpu", torch.float64) for t in point))
    rho = rho.detach().to("cpu", torch.float64).expand(program.rows)
    if not any(block.leading and block.function.ndim for block in program.blocks):
        return program, point, rho.contiguous(), None
    numbers = torch.arange(program.rows)
    rows = torch.cat([block.points(numbers).reshape(-1) for block in program.blocks])
    K = SparseMatrix(sp.csr_array(as_sparse(program.K)[rows.numpy()]))
    blocks = tuple(replace(block, leading=False) for block in program.blocks)
    ordered = replace(program, K=K, b=program.b[rows], blocks=blocks)
    return ordered, Point(point.x, point.z[rows], point.y[rows]), rho[rows], rows.numpy()


def _block_diagonal(program: ProxProgram, derivatives: tuple[Tensor, ...]) -> sp.csr_array:
    """D of all blocks as one matrix."""
    row, column, data = [np.empty(0, dtype=int)], [np.empty(0, dtype=int)], [np.empty(0)]
    for block, D in zip(program.blocks, derivatives, strict=True):
        size = block.size if block.function.ndim else 1
        first = block.start + size * np.arange((block.stop - block.start) // max(size, 1))
        i, j = np.divmod(np.arange(size * size), max(size, 1))
        row.append((first[:, None] + i).ravel())
        column.append((first[:, None] + j).ravel())
        data.append(_symmetric(block, D).reshape(-1).numpy())
    entries = np.concatenate(data), (np.concatenate(row), np.concatenate(column))
    return sp.csr_array(entries, shape=(program.rows, program.rows))


def _symmetric(block: Block, D: Tensor) -> Tensor:
    return D if block.function.ndim == 0 else 0.5 * (D + D.mT)
