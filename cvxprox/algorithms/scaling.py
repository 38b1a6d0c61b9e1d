"""Equilibration, expressed as a metric: which penalties suit which rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.algorithms.rows import curvature, piece_norm, program_is_assembled
from cvxprox.linear_solve.pieces import pieces
from cvxprox.operators import as_sparse
from cvxprox.program import ProxProgram

SETTLED = 0.1
"""Equilibration stops when no factor of a pass is farther from 1."""


@dataclass(frozen=True)
class Metric:
    r"""Scalings of columns (`d`), rows (`e`) and of the objective (`c`).

    Solving the scaled program :math:`cDPD, cDq, EKD` with penalties
    :math:`\hat\sigma, \hat\rho` gives the same iterates as solving the original one with
    :math:`\sigma_j = \hat\sigma / (c d_j^2)` and :math:`\rho_i = \hat\rho_i e_i^2 / c`. So the data
    stay as they are, residuals are those of the user's problem, and the scaling is only a choice
    of penalties. An LDLᵀ factorisation of a quasi-definite matrix is itself invariant under
    diagonal scaling.
    """

    d: Tensor
    e: Tensor
    c: float

    def sigma(self, sigma: float) -> Tensor:
        """Proximal weights of the columns."""
        return sigma / (self.c * self.d**2)

    def rho(self, multiplier: Tensor) -> Tensor:
        """Penalties of the rows from multipliers in the scaled program."""
        return multiplier * self.e**2 / self.c


def equilibrate(program: ProxProgram, passes: int) -> Metric:
    """Ruiz equilibration of the KKT matrix in the infinity norm, one `e` per non-separable point.

    Where the matrices are not assembled, `d` is 1 and `e` one number for every piece of K.

    References
    ----------
    Ruiz, *A scaling algorithm to equilibrate both rows and columns norms in matrices* (2001);
    Stellato et al., *OSQP* (2020), section 5.1.
    """
    if not program_is_assembled(program):
        return _by_pieces(program, bool(passes))
    K = as_sparse(program.K)
    P = None if program.P is None else as_sparse(program.P)
    m, n = K.shape
    d, e = np.ones(n), np.ones(m)
    absolute = sp.csr_array((np.abs(K.data), K.indices, K.indptr), shape=K.shape)
    transposed = sp.csr_array(absolute.T)
    curvature = None if P is None else sp.csr_array((np.abs(P.data), P.indices, P.indptr), shape=P.shape)
    for _ in range(passes):
        columns = _row_maxima(transposed, e) * d
        if curvature is not None:
            columns = np.maximum(columns, _row_maxima(curvature, d) * d)
        rows = _per_point(program, _row_maxima(absolute, d) * e)
        columns, rows = np.sqrt(_safe(columns)), np.sqrt(_safe(rows))
        d /= columns
        e /= rows
        if max(np.abs(columns - 1).max(initial=0.0), np.abs(rows - 1).max(initial=0.0)) < SETTLED:
            break
    cost = _cost_scale(program, curvature, d, e)
    return Metric(torch.from_numpy(d).to(program.q), torch.from_numpy(e).to(program.q), cost)


def _by_pieces(program: ProxProgram, scaled: bool) -> Metric:
    r"""`e` is :math:`1/\|K_j\|` on piece j; c brings the quadratic and the weights to 1 at most."""
    d = program.q.new_ones(()).expand(program.variables)
    scales = [1 / max(piece_norm(piece), 1e-8) if scaled else 1.0 for piece in pieces(program.K)]
    sizes = [piece.shape_out[0] for piece in pieces(program.K)]
    parts = [program.b.new_tensor(s).expand(k) for s, k in zip(scales, sizes, strict=True)]
    e = parts[0] if len(parts) == 1 else torch.cat(parts)
    size = max(float(program.q.abs().max()) if program.q.numel() else 0.0, curvature(program.P, d))
    for block in program.blocks:
        if block.weight is not None:
            size = max(size, float((block.weight / block.per_point(e)).mean()))
    return Metric(d, e, min(max(1 / size, 1e-8), 1e8) if size > 0 else 1.0)


def _cost_scale(program: ProxProgram, curvature: sp.csr_array | None, d: np.ndarray, e: np.ndarray) -> float:
    size = np.abs(program.q.double().cpu().numpy() * d).max(initial=0.0)
    if curvature is not None:
        size = max(size, (_row_maxima(curvature, d) * d).mean())
    for block in program.blocks:
        if block.weight is not None:
            rows = block.per_point(torch.from_numpy(e))
            size = max(size, float((block.weight.double().cpu() / rows).mean()))
    return float(1 / np.clip(size, 1e-8, 1e8)) if size > 0 else 1.0


def _row_maxima(matrix: sp.csr_array, scale: np.ndarray) -> np.ndarray:
    """The largest entry of every row of ``matrix @ diag(scale)``."""
    values = matrix.data * scale[matrix.indices]
    result = np.zeros(matrix.shape[0])
    filled = np.flatnonzero(np.diff(matrix.indptr))
    if filled.size:
        result[filled] = np.maximum.reduceat(values, matrix.indptr[filled])
    return result


def _safe(norms: np.ndarray) -> np.ndarray:
    return np.where(norms < 1e-12, 1.0, np.clip(norms, 1e-8, 1e8))


def _per_point(program: ProxProgram, rows: np.ndarray) -> np.ndarray:
    """Replace the rows of a point of a non-separable function by their largest."""
    for block in program.blocks:
        if block.function.ndim:
            points = block.points(torch.from_numpy(rows)).numpy()  # a view
            points[:] = points.max(axis=tuple(range(1, points.ndim)), keepdims=True)
    return rows
