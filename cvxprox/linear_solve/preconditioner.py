"""Preconditioners, chosen by the structure of the matrix."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cvxprox.linear_solve.assembled import assembled
from cvxprox.linear_solve.pieces import Weight, constant, pieces_with_rows
from cvxprox.linear_solve.quadratic import Square, Variable, squares
from cvxprox.linear_solve.slice_system import Combination, DiagonalSystem, SliceSystem
from cvxprox.linear_solve.structure import CLOSED_FORMS, Group, SpectralStructure, basis_name, grouped
from cvxprox.operators import Basis, PixelBasis, Spectrum, diagonal, weighted_column_norms
from cvxprox.operators.bases import joined
from cvxprox.operators.on_slice import embed
from cvxprox.program import ProxProgram

PROBES = 4
"""Random arguments that estimate the mean eigenvalue of a term."""


class Preconditioner(abc.ABC):
    r"""An approximation :math:`M` of :math:`P + \Sigma + K^TRK` for all penalties."""

    name: str

    @abc.abstractmethod
    def factor(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> Any:
        """What `apply` needs for some penalties."""

    @abc.abstractmethod
    def apply(self, factor: Any, residual: Tensor) -> Tensor:
        r""":math:`M^{-1}` times a vector."""


class Jacobi(Preconditioner):
    """The diagonal of the matrix."""

    name = "Jacobi"

    def factor(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> Tensor:
        """The reciprocal of the diagonal."""
        scale = sigma + weighted_column_norms(program.K, rho)
        return 1 / (scale if program.P is None else scale + diagonal(program.P))

    def apply(self, factor: Tensor, residual: Tensor) -> Tensor:
        """One product."""
        return factor * residual


@dataclass(frozen=True)
class SpectralPreconditioner(Preconditioner):
    r"""The matrix with terms that the basis of a variable does not make diagonal replaced by :math:`cI`.

    c is the mean eigenvalue of the term. A mask, say, becomes its share of known pixels, and
    differences keep their eigenvalues: the circulant preconditioner of total variation.

    Parameters
    ----------
    structure : SpectralStructure
        Of the approximate matrix.

    References
    ----------
    Chan, *An optimal circulant preconditioner for Toeplitz systems* (1988).
    """

    structure: SpectralStructure

    @property
    def name(self) -> str:  # type: ignore[override]
        """What the approximation is."""
        return "; ".join(dict.fromkeys(system.description for system in self.structure.systems))

    def factor(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> tuple[Any, ...]:
        """The reciprocals of the eigenvalues, with mean penalties where they vary."""
        weights: list[Weight] = [1.0]
        for piece in pieces_with_rows(program.K):
            rows = rho[..., piece.start : piece.stop]
            weight = constant(rows)
            weights.append(float(rows.mean()) if weight is None else weight)
        return tuple(
            system.factor(tuple(weights), tuple(v.of(sigma).mean() for v in system.variables))
            for system in self.structure.systems
        )

    def apply(self, factor: tuple[Any, ...], residual: Tensor) -> Tensor:
        """A solve for every group of variables."""
        return self.structure.solve(factor, residual.clone())


def choose_preconditioner(program: ProxProgram) -> Preconditioner:
    """Jacobi for matrices, a spectral one for operators that can only be applied."""
    if assembled(program):
        return Jacobi()
    groups = grouped(program)
    if groups is None:  # their slices overlap: all of x is one variable
        everything = Variable(0, program.variables, (program.variables,))
        groups = (Group((everything,), 1, rest=list(squares(program))),)
    systems = tuple(system for group in groups for system in relaxed(group))
    return SpectralPreconditioner(SpectralStructure(systems))


def relaxed(group: Group) -> tuple[SliceSystem, ...]:
    """Closed forms for a group whose terms are replaced by multiples of the identity where there are none."""
    exact = next((system for build in CLOSED_FORMS if (system := build(group)) is not None), None)
    if exact is not None:
        return (exact,)
    systems = []
    for i, variable in enumerate(group.variables):
        terms = group.blocks.get((i, i), [])
        basis = _richest_basis([s for _, s in terms])
        fitted = [(source, _fitted(s, basis, variable)) for source, s in terms]
        fitted += [(term.source, _mean_of(term, variable)) for term in group.rest]
        eigenvalues = Combination(tuple(k for k, _ in fitted), tuple(v for _, v in fitted))
        description = f"{basis_name(basis)} on {variable.label}"
        systems.append(DiagonalSystem(variable, basis, eigenvalues, description))
    return tuple(systems)


def _richest_basis(spectra: list[Spectrum]) -> Basis:
    """The basis of most axes that some term has."""
    bases: list[Basis] = [PixelBasis(), *(s.basis for s in spectra if not s.is_scalar)]
    most = max(bases, key=lambda basis: len(basis.axes))
    for other in bases:
        most = joined(most, other) or most
    return most


def _fitted(s: Spectrum, basis: Basis, variable: Variable) -> Tensor:
    """The eigenvalues in a basis, or their mean if they have none in it."""
    within = s.within(basis) if s.is_scalar or joined(s.basis, basis) == basis else None
    if within is not None:
        return within.values
    ones = torch.ones(variable.shape, dtype=s.values.dtype, device=s.values.device)
    if s.basis == PixelBasis():
        return (s.values * ones).mean()
    return _probed(s.apply, variable, s.values)


def _mean_of(term: Square, variable: Variable) -> Tensor:
    """The mean eigenvalue on a variable of a term without a spectrum."""
    part = term.slices()[0]

    def apply(v: Tensor) -> Tensor:
        x = embed(v.reshape(v.shape[0], variable.size), variable.start, part.size)
        if term.whole is not None:
            image = term.whole.forward(x)
        else:
            y = functools.reduce(torch.add, (K.forward(x) for K in term.factors))
            image = functools.reduce(torch.add, (K.adjoint(y) for K in term.factors))
        return variable.of(image)

    real = torch.empty(0, dtype=part.dtype_in.to_real(), device=part.device)
    return term.scale * _probed(apply, variable, real)


def _probed(apply: Callable[[Tensor], Tensor], variable: Variable, like: Tensor) -> Tensor:
    r"""The mean eigenvalue of S by random v, :math:`\mathbb{E}\, v^*Sv / v^*v` (Hutchinson's estimator)."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn((PROBES, *variable.shape), generator=generator, dtype=like.dtype.to_real()).to(
        like.device
    )
    with torch.no_grad():
        return (v * apply(v)).sum() / v.square().sum()
