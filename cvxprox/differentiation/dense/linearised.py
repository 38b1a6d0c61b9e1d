"""The linearised optimality conditions of a batch of dense programs."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.functions import Slope

STIFFNESS = 1e7
"""How much larger than typical penalties those are that hold rows at their place."""

REGULARISATION = 1e-9


@dataclass(frozen=True)
class Linearised(abc.ABC):
    r"""The Jacobian :math:`J = [P,\, K^TR(I - D);\; K,\, -D]` in (x, v), with a factor of it.

    Attributes
    ----------
    data : DenseBatch
    rho : Tensor, shape (m,) or (B, m)
    slope : Slope
        D.
    refinements : int
        How many of them bring the residual of `solve` to about 1e-12.
    """

    data: DenseBatch
    rho: Tensor
    slope: Slope
    refinements: ClassVar[int] = 2

    @abc.abstractmethod
    def solve(self, fx: Tensor, fv: Tensor) -> tuple[Tensor, Tensor]:
        """An approximate solution of :math:`J(dx, dv) = (f_x, f_v)`."""

    @abc.abstractmethod
    def solve_transposed(self, gx: Tensor, gv: Tensor) -> tuple[Tensor, Tensor]:
        """An approximate solution of :math:`J^T(l_x, l_v) = (g_x, g_v)`."""

    def times(self, dx: Tensor, dv: Tensor) -> tuple[Tensor, Tensor]:
        """The products with J."""
        data, kept = self.data, self.slope.times(dv)
        return data.quadratic(dx) + data.adjoint(self.rho * (dv - kept)), data.forward(dx) - kept

    def times_transposed(self, lx: Tensor, lv: Tensor) -> tuple[Tensor, Tensor]:
        """The products with the transpose of J."""
        data = self.data
        image = self.rho * data.forward(lx)
        return data.quadratic(lx) + data.adjoint(lv), image - self.slope.times(image + lv)


def typical_size(data: DenseBatch, typical: Tensor) -> Tensor:
    """What is typical for the diagonal of H, (n,) or (B, n): 1 for variables that nothing depends on."""
    size = data.gram_diagonal(typical)
    return torch.where(size > 0, size, 1.0)
