"""Sparse least squares for systems that may be singular."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from cvxprox.linear_solve.ldl import factorize

DAMPING = 1e-4
"""Singular values far below it count as zero; for a matrix with rows and columns of norm about one."""

ROUNDS = 5


class DampedLeastSquares:
    r"""Minimise :math:`\|As - f\|^2` with s small, for a sparse square A.

    Iterated Tikhonov regularisation: every round adds

    .. math:: \operatorname{argmin}_d\; \|Ad - (f - As)\|^2 + \epsilon^2\|d\|^2,

    which leaves the share :math:`(\epsilon^2/(\sigma^2 + \epsilon^2))^k` of the error along a singular
    value :math:`\sigma`, and nothing along the null space: after k rounds it is the pseudo-inverse
    for singular values above :math:`\epsilon`. A step is a solve with the quasi-definite matrix
    :math:`\begin{bmatrix} I & A \\ A^T & -\epsilon^2 I \end{bmatrix}`, factored once.

    References
    ----------
    Hanke and Hansen, *Regularization methods for large-scale problems* (1993).
    """

    def __init__(self, A: sp.csr_array) -> None:
        rows, columns = A.shape
        self.A = A
        blocks = [[sp.eye_array(rows), A], [None, -(DAMPING**2) * sp.eye_array(columns)]]
        self.factor = factorize(sp.csc_array(sp.block_array(blocks, format="csc")))

    def solve(self, f: np.ndarray) -> np.ndarray:
        """s."""
        rows, columns = self.A.shape
        s = np.zeros(columns)
        for _ in range(ROUNDS):
            rhs = np.concatenate([f - self.A @ s, np.zeros(columns)])
            s += self.factor.solve(rhs)[rows:]
        return s
