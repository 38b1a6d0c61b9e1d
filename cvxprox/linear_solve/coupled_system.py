"""Variables coupled by operators that one basis makes diagonal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.linear_solve.pieces import Weight
from cvxprox.linear_solve.quadratic import Variable
from cvxprox.linear_solve.slice_system import Combination, SliceSystem
from cvxprox.operators import Basis


@dataclass(frozen=True)
class CoupledSystem(SliceSystem):
    r"""p variables of one shape, every block of the matrix diagonal in one basis.

    .. math:: \sum_{j} Q^*\mathrm{diag}(\lambda_{ij})\,Q\,x_j = b_i,\qquad i = 1, \ldots, p:

    one Hermitian p × p system for every coefficient. Their inverses are computed once.

    Parameters
    ----------
    variables : tuple of Variable
    basis : Basis
        :math:`Q`.
    eigenvalues : dict of Combination
        :math:`\lambda_{ij}` for :math:`i \le j` by position in `variables`, without :math:`\Sigma`;
        blocks that are zero are left out.
    description : str
    """

    variables: tuple[Variable, ...]
    basis: Basis
    eigenvalues: dict[tuple[int, int], Combination]
    description: str

    def factor(self, weights: tuple[Weight, ...], sigma: tuple[Tensor, ...]) -> Tensor:
        """The inverses, of shape ``(p, p, *coefficients)``."""
        p = len(self.variables)
        empty = Combination((), ())
        diagonal = {(i, i): self.eigenvalues.get((i, i), empty)(weights, sigma[i]) for i in range(p)}
        upper = {ij: sum_(weights) for ij, sum_ in self.eigenvalues.items() if ij not in diagonal}
        values = diagonal | upper
        shape = torch.broadcast_shapes(*(v.shape for v in values.values()))
        dtype = torch.complex64 if any(v.is_complex() for v in values.values()) else torch.float32
        for v in values.values():
            dtype = torch.promote_types(dtype, v.dtype)
        matrix = torch.zeros((*shape, p, p), dtype=dtype, device=sigma[0].device)
        for (i, j), v in values.items():
            matrix[..., i, j] = v
            if i != j:
                matrix[..., j, i] = torch.conj_physical(v)
        positive = all(bool((s > 0).all()) for s in sigma)
        # without a proximal term the matrix may be singular: the solution of smallest norm
        inverse = torch.linalg.inv(matrix) if positive else torch.linalg.pinv(matrix, hermitian=True)
        return inverse.movedim((-2, -1), (0, 1)).contiguous()

    def solve(self, state: Tensor, rhs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One transform each way of every variable, and a p × p product for every coefficient."""
        coefficients = [self.basis.forward(b) for b in rhs] if state.dim() > 2 else list(rhs)
        solution = []
        for row in state:
            total = row[0] * coefficients[0]
            for value, coefficient in zip(row[1:], coefficients[1:], strict=True):
                # without a product of its own in memory
                total = torch.addcmul(total, value, coefficient)
            solution.append(total)
        return tuple(map(self.basis.inverse, solution)) if state.dim() > 2 else tuple(solution)
