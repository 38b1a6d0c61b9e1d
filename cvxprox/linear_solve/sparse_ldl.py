"""Sparse direct solves: one LDLᵀ factorisation of the KKT matrix, by QDLDL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cvxprox.linear_solve.implicit import ImplicitSolve, System
from cvxprox.linear_solve.kkt_matrix import KKTPattern, coupling_entries, coupling_pattern, kkt_pattern
from cvxprox.linear_solve.ldl import factorize
from cvxprox.operators import as_sparse
from cvxprox.operators.base import outside_transforms, plain, watched
from cvxprox.program import ProxProgram

Rows = slice | np.ndarray


@dataclass(frozen=True)
class SparseFactor:
    """A factored KKT matrix with the vectors that map right-hand sides to its own."""

    pattern: KKTPattern
    kept: Rows
    folded: Rows
    column: Rows
    system: System
    factor: Any = None
    inverse_rho: np.ndarray | None = None  # of the kept rows
    rho_value: np.ndarray | None = None  # rho * k of the folded rows


class SparseLDL(ImplicitSolve):
    r"""Solve :math:`\begin{bmatrix} P + \Sigma & K^T \\ K & -R^{-1} \end{bmatrix}
    \begin{bmatrix} x \\ \nu \end{bmatrix} = \begin{bmatrix} f \\ r \end{bmatrix}`,
    so that :math:`Kx - r = R^{-1}\nu`. On the CPU, in float64.

    References
    ----------
    Stellato et al., *OSQP* (2020), section 3.1; Davis, *Algorithm 849: LDL* (2005).
    """

    name = "sparse LDLᵀ (qdldl)"

    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> SparseFactor:
        """Order, analyse and factor."""
        with outside_transforms():
            P = None if program.P is None else as_sparse(program.P)
            K = as_sparse(program.K)
        # the entries that Newton steps need, where they cost little: one ordering serves both
        coupled = coupling_entries(program) <= 0.5 * K.nnz
        pattern = kkt_pattern(P, K, coupling_pattern(program) if coupled else None)
        kept, folded, column = map(_as_slice, (pattern.kept, pattern.folded, pattern.column))
        state = SparseFactor(pattern, kept, folded, column, System(program, sigma, rho))
        return self.update(state, program, sigma, rho)

    def update(self, state: SparseFactor, program: ProxProgram, sigma: Tensor, rho: Tensor) -> SparseFactor:
        """Factor again with the same ordering. The given state must not be used any more.

        Where gradients are recorded the factor is a new one: backward passes need the old one still.
        """
        if rho.dim() > 1 or sigma.dim() > 1:
            raise ValueError('sparse factors have one penalty a row. Use linear_solver="dense" for batches.')
        pattern = state.pattern
        with outside_transforms():
            proximal, penalties = plain(sigma).numpy(), plain(rho).numpy().astype(np.float64, copy=False)
        inverse_rho, rho_folded = 1 / penalties[state.kept], penalties[state.folded]
        matrix = pattern.matrix(proximal + pattern.fold(rho_folded), inverse_rho)
        factor = factorize(matrix, None if watched() else state.factor)
        return replace(
            state, system=System(program, sigma, rho), factor=factor, inverse_rho=inverse_rho,
            rho_value=rho_folded * pattern.value,
        )  # fmt: skip

    def solve_plain(self, state: SparseFactor, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """One forward and one backward substitution, for every sample of a batch."""
        if f.dim() == r.dim() == 1:
            return self._solve_one(state, f, r)
        batch = torch.broadcast_shapes(f.shape[:-1], r.shape[:-1])
        f, r = f.expand(*batch, f.shape[-1]), r.expand(*batch, r.shape[-1])
        pairs = zip(f.reshape(-1, f.shape[-1]), r.reshape(-1, r.shape[-1]), strict=True)
        x, miss = zip(*(self._solve_one(state, *pair) for pair in pairs), strict=True)
        return torch.stack(x).reshape(f.shape), torch.stack(miss).reshape(r.shape)

    def apply_inverse(self, state: SparseFactor, f: Tensor) -> Tensor:
        """The same without rows."""
        return self.solve_plain(state, f, f.new_zeros(state.system.program.rows))[0]

    def _solve_one(self, state: SparseFactor, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        rows, n = r.numpy(), f.shape[0]
        pattern = state.pattern
        rhs = np.empty(n + pattern.kept.size)
        rhs[:n], rhs[n:] = f.numpy(), rows[state.kept]
        if pattern.folded.size:
            weighted = state.rho_value * rows[state.folded]
            if isinstance(state.column, slice):
                rhs[:n][state.column] += weighted
            else:
                rhs[:n] += np.bincount(pattern.column, weighted, minlength=n)
        solution = state.factor.solve(rhs)
        if not pattern.folded.size:
            miss = solution[n:] * state.inverse_rho
        else:
            miss = np.empty(rows.size)
            miss[state.kept] = solution[n:] * state.inverse_rho
            miss[state.folded] = pattern.value * solution[:n][state.column] - rows[state.folded]
        x, gap = torch.from_numpy(solution[:n]), torch.from_numpy(miss)
        return (x, gap) if f.dtype is torch.float64 else (x.to(f.dtype), gap.to(r.dtype))


def _as_slice(rows: np.ndarray) -> Rows:
    """`rows` as a slice if they are consecutive: views cost nothing, gathers do."""
    if rows.size and rows[-1] - rows[0] == rows.size - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
