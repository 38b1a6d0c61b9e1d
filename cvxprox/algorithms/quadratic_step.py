"""The quadratic part of a step with a diagonal metric in place of K."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import Any

import scipy.sparse as sp
from torch import Tensor

from cvxprox.algorithms.rows import curvature
from cvxprox.linear_solve import DenseCholesky, LinearSolve, SparseLDL
from cvxprox.linear_solve.assembled import assembled
from cvxprox.linear_solve.spectral import SpectralSolve
from cvxprox.linear_solve.structure import spectral_structure
from cvxprox.operators import SparseMatrix
from cvxprox.program import ProxProgram


class QuadraticStep(abc.ABC):
    r"""Solves :math:`\operatorname{argmin}_x\; \tfrac12x^TPx + q^Tx + g^Tx + \tfrac12\|x - x_k\|_M^2`.

    Attributes
    ----------
    norm : float
        What M has to exceed besides the terms in g, in units of :math:`D^{-2}`.
    """

    norm: float = 0.0

    @abc.abstractmethod
    def with_program(self, program: ProxProgram, d: Tensor) -> QuadraticStep:
        """The same step for a program of the same shapes."""

    @abc.abstractmethod
    def init(self, weight: Tensor) -> Any:
        """What `solve` needs for a diagonal M of these entries."""

    @abc.abstractmethod
    def solve(self, factor: Any, weight: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
        """The minimiser for :math:`x_k` and g. The memory of `gradient` may be overwritten."""


def quadratic_step(program: ProxProgram, d: Tensor) -> QuadraticStep:
    """The cheapest exact step, or the linearised one where P has neither a factorisation nor a spectrum."""
    P = program.P
    if P is None:
        return DiagonalStep(program.q)
    bare = _bare(program)
    if assembled(program):
        return FactoredStep(bare, SparseLDL() if program.q.device.type == "cpu" else DenseCholesky())
    structure = spectral_structure(bare)
    if structure is not None:
        return FactoredStep(bare, SpectralSolve(structure))
    return LinearisedStep(program, curvature(P, d))


def _bare(program: ProxProgram) -> ProxProgram:
    """Its quadratic objective alone."""
    none = SparseMatrix(sp.csr_array((0, program.variables)), program.q.dtype, program.q.device)
    return replace(program, K=none, b=program.b[..., :0], blocks=())


@dataclass(frozen=True)
class DiagonalStep(QuadraticStep):
    """There is no quadratic."""

    q: Tensor

    def with_program(self, program: ProxProgram, d: Tensor) -> DiagonalStep:
        return DiagonalStep(program.q)

    def init(self, weight: Tensor) -> None:
        """Nothing."""

    def solve(self, factor: None, weight: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
        return x - (gradient + self.q) / weight


@dataclass(frozen=True)
class LinearisedStep(QuadraticStep):
    """The quadratic by its gradient at the last x."""

    program: ProxProgram
    norm: float

    def with_program(self, program: ProxProgram, d: Tensor) -> LinearisedStep:
        return LinearisedStep(program, self.norm)

    def init(self, weight: Tensor) -> None:
        """Nothing."""

    def solve(self, factor: None, weight: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
        return x - (gradient + self.program.q + self.program.quadratic(x)) / weight


@dataclass(frozen=True)
class FactoredStep(QuadraticStep):
    """P + M by a linear solve, of a program without functions."""

    program: ProxProgram
    linear_solve: LinearSolve

    def with_program(self, program: ProxProgram, d: Tensor) -> FactoredStep:
        return FactoredStep(_bare(program), self.linear_solve.unbound())

    def init(self, weight: Tensor) -> Any:
        """Factor."""
        return self.linear_solve.init(self.program, weight, weight.new_zeros(0))

    def solve(self, factor: Any, weight: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
        f = weight * x - gradient - self.program.q
        return self.linear_solve.solve(factor, f, f[..., :0])[0]
