"""The interfaces of algorithms: pure steps, no loop."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from cvxprox.algorithms.form import Form
from cvxprox.algorithms.noise import at_own_noise
from cvxprox.algorithms.residuals import Point
from cvxprox.algorithms.scaling import Metric
from cvxprox.linear_solve import LinearSolve
from cvxprox.program import ProxProgram


class Algorithm(abc.ABC):
    """A fixed-point iteration.

    The library has one loop, `cvxprox.algorithms.iterate`. `step` holds arithmetic only and
    returns a new state: acceleration, adaptation and differentiation are built around it.
    """

    @abc.abstractmethod
    def init(self, start: Point | None = None) -> Any:
        """The state before the first step, from a warm start if there is one."""

    @abc.abstractmethod
    def step(self, state: Any) -> Any:
        """One iteration."""

    @abc.abstractmethod
    def point(self, state: Any) -> Point:
        """The primal-dual point that the state stands for."""

    @abc.abstractmethod
    def fixed_point(self, state: Any) -> Tensor:
        """The vector that `step` maps to its successor, for acceleration."""

    @abc.abstractmethod
    def replace_fixed_point(self, state: Any, vector: Tensor) -> Any:
        """The state with another fixed-point vector."""


@dataclass(frozen=True)
class Setup:
    r"""What splittings of a program are made from.

    Attributes
    ----------
    program : ProxProgram
    metric : Metric
        The equilibration, by which steps differ between columns and rows.
    sigma : Tensor, shape (n,)
        Weights of a small proximal term in x, for methods with a linear solve.
    rho : Tensor, shape (m,)
        Penalties of the rows of :math:`Kx + b = z`, constant on every point of a non-separable function.
    alpha : float
        Over-relaxation, in (0, 2).
    linear_solve : LinearSolve
    restart : bool
        Whether momentum is restarted.
    """

    program: ProxProgram
    metric: Metric
    sigma: Tensor
    rho: Tensor
    alpha: float
    linear_solve: LinearSolve
    restart: bool = True


class Splitting(Algorithm):
    r"""A proximal algorithm for a `ProxProgram`, with a penalty :math:`\rho_i` for every row of z.

    States have the attributes `rho` and `factor` (what depends on the penalties only, kept between
    solves; None where nothing is worth keeping). All points satisfy
    :math:`y = \rho(v - z),\ z = \mathrm{prox}_{g/\rho}(v)` for some v, so that
    :math:`y \in \partial g(z)`.

    Attributes
    ----------
    form : Form
        What programs it takes.
    program : ProxProgram
    rho : Tensor, shape (m,)
        The initial penalties.
    """

    form: ClassVar[Form]
    program: ProxProgram
    rho: Tensor

    @abc.abstractmethod
    def init(self, start: Point | None = None, rho: Tensor | None = None) -> Any:
        """The state before the first step, from a warm start and with other penalties if given."""

    @classmethod
    @abc.abstractmethod
    def prepare(cls, setup: Setup) -> Self:
        """The algorithm for a program; norms are computed here, nothing is factored."""

    @abc.abstractmethod
    def with_penalties(self, state: Any, rho: Tensor) -> Any:
        """New penalties at the same point."""

    def with_program(self, program: ProxProgram) -> Self:
        """This algorithm, its penalties and step sizes, for a program of the same shapes.

        What the steps read from the operators (spectra, factors, lengths of rows) is read again, so that
        they are differentiable in all numbers of `program`, and so are penalties that belong to noise levels
        of denoisers. Norms, which bound the step sizes, are kept as constants.
        """
        return replace(self, program=program, rho=at_own_noise(program, self.rho))  # type: ignore[type-var]

    def refactored(self, factor: Any, linear_solve: LinearSolve, sigma: Tensor, rho: Tensor) -> Any:
        """The factor of the linear system for other penalties, from the last one if there is one."""
        if factor is None:
            return linear_solve.init(self.program, sigma, rho)
        return linear_solve.update(factor, self.program, sigma, rho)

    @abc.abstractmethod
    def remember(self, state: Any, point: Point) -> Any:
        """The state, of which `point` is the point, spared to compute it again."""
