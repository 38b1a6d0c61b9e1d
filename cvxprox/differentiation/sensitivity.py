"""The linear systems behind the derivatives of a solution."""

from __future__ import annotations

import abc

from torch import Tensor


class Invertible(abc.ABC):
    """A linear map J between tuples of tensors that can be solved with, and its transpose.

    Attributes
    ----------
    residual : float
        Relative residual of the last solve, the largest over the batch; nan before the first.
    iterations : int
        Iterations of the last solve; those of refinement for direct methods.
    """

    residual: float = float("nan")
    iterations: int = 0

    @abc.abstractmethod
    def solve(self, *f: Tensor) -> tuple[Tensor, ...]:
        """:math:`J^{-1}f`, tensors in the shapes of the unknowns; no gradients are recorded."""

    @abc.abstractmethod
    def solve_transposed(self, *g: Tensor) -> tuple[Tensor, ...]:
        r""":math:`J^{-T}g`, tensors in the shapes of the equations; no gradients are recorded."""


class Sensitivity(Invertible):
    r"""The Jacobian J of the optimality conditions of a program in (x, v) at a solution.

    With :math:`v = z + R^{-1}y` and the penalties R held fixed, the conditions are

    .. math:: F(x, v) = \begin{bmatrix} Px + q + K^TR\,(v - \mathrm{prox}_{R^{-1}wg}(v)) \\
                        Kx + b - \mathrm{prox}_{R^{-1}wg}(v) \end{bmatrix} = 0, \qquad
              J = \begin{bmatrix} P & K^TR(I - D) \\ K & -D \end{bmatrix},

    where D, an element of the generalised Jacobian of the prox at v, is symmetric and block
    diagonal with eigenvalues in [0, 1]. The solution does not depend on R.

    `solve` takes :math:`(f_x, f_v)` of shapes ``(*batch, n)`` and ``(*batch, m)``, and so does
    `solve_transposed`. Where J is singular (dependent active constraints, solutions that are not
    unique) they give the regularised solution of least squares, and `residual` says so.
    """

    @abc.abstractmethod
    def solve(self, *f: Tensor) -> tuple[Tensor, Tensor]:
        """:math:`J^{-1}(f_x, f_v)`."""

    @abc.abstractmethod
    def solve_transposed(self, *g: Tensor) -> tuple[Tensor, Tensor]:
        """:math:`J^{-T}(g_x, g_v)`."""
