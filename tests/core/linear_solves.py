"""The linear solves, and the dense algebra that they agree with."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from cvxprox.linear_solve import MINRES, ConjugateGradient, DenseCholesky, LinearSolve, SparseLDL
from cvxprox.operators import as_dense
from cvxprox.program import ProxProgram

SOLVES: list[LinearSolve] = [
    SparseLDL(),
    DenseCholesky(),
    ConjugateGradient(tolerance=1e-13, floor=1e-15),
    MINRES(tolerance=1e-13, floor=1e-15),
]


def dense_answer(
    program: ProxProgram, sigma: Tensor, rho: Tensor, f: Tensor, r: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    K = as_dense(program.K).numpy()
    P = np.zeros((K.shape[1], K.shape[1])) if program.P is None else as_dense(program.P).numpy()
    S, R = np.diag(sigma.numpy()), np.diag(rho.numpy())
    x = np.linalg.solve(P + S + K.T @ R @ K, f.numpy() + K.T @ R @ r.numpy())
    return x, K @ x - r.numpy()
