"""The types of differentiation: what is solved, how, and what comes back."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from cvxprox.algorithms import Algorithm, Point
from cvxprox.program import ProxProgram
from cvxprox.status import Status

if TYPE_CHECKING:
    from cvxprox.differentiation.sensitivity import Sensitivity


@dataclass(frozen=True)
class Task:
    """A program to solve and differentiate.

    Attributes
    ----------
    program : ProxProgram
        Its numbers carry graphs. With a batch, q has the shape ``(*batch, n)`` and b ``(*batch, m)``.
    frozen : ProxProgram
        The same rows, variables, blocks and numbers without graph, in the form that is fastest to
        solve: `SparseMatrix` for matrices that may be sparse, `Matrix` for dense ones.
    """

    program: ProxProgram
    frozen: ProxProgram


@dataclass(frozen=True)
class Run:
    """A forward solve, without graph.

    Attributes
    ----------
    point : Point
        x of shape ``(*batch, n)``, z and y of shape ``(*batch, m)``.
    status : tuple of Status
        One for every sample, the batch flattened.
    residual : Tensor
        Of shape ``(*batch,)``: the larger of the norms :math:`\\|Kx + b - z\\|_\\infty` and
        :math:`\\|Px + q + K^Ty\\|_\\infty`.
    iterations : int
    rho : Tensor
        The penalties reached, of shape ``(m,)`` or ``(*batch, m)``, constant on every point of a
        non-separable function.
    info : dict
    """

    point: Point
    status: tuple[Status, ...]
    residual: Tensor
    iterations: int
    rho: Tensor
    info: dict[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """How programs are solved, and what a step is."""

    def run(self, task: Task, start: Point | None = None) -> Run:
        """Solve ``task.frozen``, without graph."""
        ...

    def splitting(self, program: ProxProgram, run: Run | None = None) -> Algorithm:
        """The algorithm for `program`, whose step is differentiable in everything.

        It is a `Splitting`, or a `Scheduled` one where there is a schedule. The penalties are those of
        `run`, without graph, or the initial ones.
        """
        ...

    def sensitivity(
        self, task: Task, run: Run, tol: float | None = None, max_iter: int | None = None
    ) -> Sensitivity:
        """The linearised optimality conditions at a solution.

        `tol` and `max_iter` are for iterative solves.
        """
        ...


@dataclass(frozen=True)
class Solved:
    """A solution with gradients.

    Attributes
    ----------
    point : Point
        With graph.
    run : Run
    info : dict
        "forward_residual"; once the backward pass has run "backward_residual" and "backward_iterations".
    """

    point: Point
    run: Run
    info: dict[str, Any]


class Differentiation(abc.ABC):
    """A way to differentiate the solution of a program in its numbers."""

    @abc.abstractmethod
    def solve(self, engine: Engine, task: Task, start: Point | None = None) -> Solved:
        """The solution of `task`, with a graph to the numbers of ``task.program``."""
