"""A term whose square no fast basis makes diagonal, beside terms that one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cvxprox.linear_solve.pieces import Weight
from cvxprox.linear_solve.quadratic import Variable
from cvxprox.linear_solve.slice_system import Combination, SliceSystem
from cvxprox.operators import Basis, LinearOperator, Spectrum, conjugated


class WoodburyFactor(NamedTuple):
    """Reciprocals of G, the inner spectrum, c, and how often the solution is refined."""

    inverse: Tensor
    eigenvalues: Tensor
    gain: Spectrum
    weight: Weight
    refinements: int


@dataclass(frozen=True)
class WoodburySystem(SliceSystem):
    r"""One variable with the matrix :math:`G + cF^*F`, G and :math:`FG^{-1}F^*` diagonal in a basis each.

    .. math:: (G + cF^*F)^{-1} = G^{-1} - G^{-1}F^*\,c\,(I + c\,FG^{-1}F^*)^{-1} F\,G^{-1}

    That is so where G is a multiple of the identity and :math:`FF^*` is diagonal (sums of shifted and
    masked channels, masked orthonormal transforms), and where F is a circular convolution that is
    subsampled and G is circulant: the eigenvalues of :math:`FG^{-1}F^*` are then averages over
    the frequencies that alias.

    Parameters
    ----------
    variable : Variable
    basis : Basis
        Of G.
    eigenvalues : Combination
        Of :math:`G - \Sigma`.
    F : LinearOperator
    source : int
        Index of the weight of the term in F.
    scale : float or Tensor
        Its constant factor.
    description : str

    References
    ----------
    Zhao, Wei, Basarab, Dobigeon, Kouamé and Tourneret, *Fast single image super-resolution using a
    new analytical solution for l2-l2 problems* (2016).
    """

    variable: Variable
    basis: Basis
    eigenvalues: Combination
    F: LinearOperator
    source: int
    scale: Weight
    description: str

    @property
    def variables(self) -> tuple[Variable, ...]:  # type: ignore[override]
        """The one."""
        return (self.variable,)

    def factor(self, weights: tuple[Weight, ...], sigma: tuple[Tensor, ...]) -> WoodburyFactor:
        """The eigenvalues of the inner matrix.

        Raises
        ------
        ValueError
            If G is singular.
        """
        G = self.eigenvalues(weights, sigma[0])
        if not bool((G > 0).all()):
            raise ValueError(f"{self.description}, but it is singular: a proximal term is needed.")
        outer = self.outer_gram(G)
        assert outer is not None
        weight = self.scale * weights[self.source]
        gain = Spectrum(outer.basis, weight / (1 + weight * outer.values.real))
        # G⁻¹ and the correction cancel where the term in F dominates
        largest = torch.as_tensor(weight * outer.values.real.max()).detach()
        refinements = int(float(largest) * torch.finfo(G.dtype).eps > 1e-12)
        return WoodburyFactor(1 / G, G, gain, weight, refinements)

    def outer_gram(self, G: Tensor) -> Spectrum | None:
        """The spectrum of :math:`FG^{-1}F^*`, None if none is known."""
        return conjugated(self.F, Spectrum(self.basis, 1 / G))

    def solve(self, state: WoodburyFactor, rhs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Two transforms each way, F and its adjoint; more with refinement."""
        b = rhs[0]
        x = self._solve_once(state, b)
        for _ in range(state.refinements):
            image = self.F.adjoint(self.F.forward(x))
            x = x + self._solve_once(state, b - self._multiply(state.eigenvalues, x) - state.weight * image)
        return (x,)

    def _solve_once(self, state: WoodburyFactor, b: Tensor) -> Tensor:
        u = self._multiply(state.inverse, b)
        correction = self.F.adjoint(state.gain.apply(self.F.forward(u)))
        return u - self._multiply(state.inverse, correction)

    def _multiply(self, values: Tensor, x: Tensor) -> Tensor:
        if not values.dim():
            return values * x
        return self.basis.inverse(values * self.basis.forward(x))
