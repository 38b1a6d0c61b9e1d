"""The linear system of a Newton step on the optimality conditions, by a sparse factorisation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cvxprox.linear_solve.kkt_matrix import KKTPattern, coupling_entries, coupling_pattern, kkt_pattern
from cvxprox.linear_solve.ldl import Factor, factorize
from cvxprox.linear_solve.sparse_ldl import SparseFactor
from cvxprox.operators import as_sparse
from cvxprox.program import ProxProgram

REGULARISATION = 1e-7
DENSE_RANGE = (1e-7, 1e6)
"""Eigenvalues of dense blocks of E: their rounding errors must not exceed the smallest."""


class Coupling(NamedTuple):
    """The matrix E: its diagonal, and the entries below it in the order of `coupling_pattern`."""

    diagonal: np.ndarray
    inside: np.ndarray


def coupling(program: ProxProgram, derivatives: tuple[Tensor, ...], rho: Tensor) -> Coupling:
    """:math:`E = D(I - D)^{-1}R^{-1}`, its eigenvalues clipped to a range that can be factored.

    `derivatives` has D of every block, as `ProxFunction.derivative` returns it.
    """
    diagonal = torch.empty_like(rho)
    inside: list[np.ndarray] = []
    for block, D in zip(program.blocks, derivatives, strict=True):
        penalty = block.per_point(rho)
        if block.function.ndim == 0:
            diagonal[block.start : block.stop] = _odds(D, REGULARISATION, 1 / REGULARISATION) / penalty
            continue
        values, vectors = torch.linalg.eigh(0.5 * (D + D.mT))
        E = (vectors * (_odds(values, *DENSE_RANGE) / penalty[:, None])[:, None, :]) @ vectors.mT
        diagonal[block.start : block.stop] = E.diagonal(dim1=1, dim2=2).reshape(-1)
        low = np.tril_indices(block.size, -1)
        inside.append(E[:, low[0], low[1]].reshape(-1).numpy())
    return Coupling(diagonal.numpy(), np.concatenate(inside) if inside else np.empty(0))


def _odds(eigenvalues: Tensor, low: float, high: float) -> Tensor:
    """``d / (1 - d)``, kept within what a factorisation in double precision can take."""
    d = eigenvalues.clamp(0, 1)
    return (d / (1 - d)).clamp(low, high)


@dataclass
class NewtonSystem:
    r"""Solve :math:`\begin{bmatrix} P + \delta & K^T \\ K & -E \end{bmatrix}
    \begin{bmatrix} \Delta x \\ \Delta y \end{bmatrix} = \begin{bmatrix} f \\ r \end{bmatrix}`.

    The factor is kept until E changes, the ordering until the program does.
    """

    factorizations: int = 0
    factor: Factor | None = None
    pattern: KKTPattern | None = field(default=None, init=False)
    factored: Coupling | None = field(default=None, init=False)  # the E behind `factor`

    def borrow(self, factor: object, program: ProxProgram) -> bool:
        """Use the factorisation of an algorithm, if the pattern is the same."""
        if not isinstance(factor, SparseFactor) or factor.pattern.inside.size != coupling_entries(program):
            return False
        self.pattern, self.factor, self.factored = factor.pattern, factor.factor, None
        return True

    def forget(self) -> None:
        """Drop the factor."""
        self.factor, self.factored = None, None

    def solve(
        self, program: ProxProgram, E: Coupling, delta: np.ndarray, f: np.ndarray, r: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        r""":math:`\Delta x` and :math:`\Delta y`.

        Raises
        ------
        RuntimeError
            If the matrix is numerically not quasi-definite.
        """
        if self.pattern is None:
            P = None if program.P is None else as_sparse(program.P)
            self.pattern = kkt_pattern(P, as_sparse(program.K), coupling_pattern(program))
        pattern = self.pattern
        folded, kept = E.diagonal[pattern.folded], E.diagonal[pattern.kept]
        known = self.factored
        if known is None or not all(np.array_equal(a, b) for a, b in zip(E, known, strict=True)):
            matrix = pattern.matrix(delta + pattern.fold(1 / folded), kept, E.inside)
            self.factor, self.factored = factorize(matrix, self.factor), E
            self.factorizations += 1
        assert self.factor is not None
        n = f.size
        reduced = pattern.value * r[pattern.folded] / folded
        top = f + np.bincount(pattern.column, reduced, minlength=n)[:n]
        solution = self.factor.solve(np.concatenate([top, r[pattern.kept]]))
        dx, dy = solution[:n], np.empty(r.size)
        dy[pattern.kept] = solution[n:]
        dy[pattern.folded] = (pattern.value * dx[pattern.column] - r[pattern.folded]) / folded
        return dx, dy
