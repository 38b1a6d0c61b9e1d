"""The fixed-point map of an algorithm, and the solves with its Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cvxprox.algorithms import Algorithm, Point, PrimalDualHybridGradient, Scheduled, Splitting
from cvxprox.differentiation.inverse_map import Invertible
from cvxprox.differentiation.iterative import Solution
from cvxprox.linear_solve.implicit import derivatives
from cvxprox.operators.base import plain

LinearSolver = Callable[[Callable[[Tensor], Tensor], Tensor], Solution]
"""Solves :math:`\\beta - A\\beta = g` for a function :math:`A` and g, of shape ``(samples, size)``."""


class FixedPointMap:
    """The map T of vectors u of shape ``(*batch, size)`` that steps of an algorithm make.

    Parameters
    ----------
    algorithm : Algorithm
        A `Splitting`, or a `Scheduled` one, which is taken as it is in iteration number `iteration`.
    start : Point
        Where the vector `start` comes from.
    iteration : int
    steps : int
        How many make T: the more, the more it contracts.
    """

    def __init__(self, algorithm: Algorithm, start: Point, iteration: int, steps: int = 1) -> None:
        rho = None
        if isinstance(algorithm, Scheduled):
            algorithm, rho = algorithm.stationary(iteration)
        if not isinstance(algorithm, Splitting):
            raise TypeError(f"{type(algorithm).__name__} is not a splitting, nor a schedule around one.")
        self.algorithm, self.steps = algorithm, steps
        state = algorithm.init(Point(*(t.detach() for t in start)), rho)
        self.start = plain(algorithm.fixed_point(state))
        self.state = state._replace(factor=algorithm.step(state).factor)

    def after(self, u: Tensor) -> Any:
        """The state after the steps from u."""
        state = self.algorithm.replace_fixed_point(self.state, u)
        for _ in range(self.steps):
            state = self.algorithm.step(state)
        return state

    def __call__(self, u: Tensor) -> Tensor:
        """T(u)."""
        return self.algorithm.fixed_point(self.after(u))

    def point(self, u: Tensor) -> Point:
        """The primal-dual point after the steps from u."""
        return self.algorithm.point(self.after(u))


CONTRACTING = 10
"""Steps of a convex program that make a map whose Jacobian is small enough to be neglected."""


def steps_of(steps: int | None, algorithm: Algorithm) -> int:
    """How many steps make the map of methods that neglect its Jacobian, or most of it.

    Single steps of splittings contract little; the gradients of one alone often point uphill. Where there
    are denoisers, which contract by themselves and cost much, it is one, or two for the primal-dual
    method, whose x is computed before the prox.
    """
    if steps is not None:
        return steps
    splitting = algorithm.algorithm if isinstance(algorithm, Scheduled) else algorithm
    assert isinstance(splitting, Splitting)
    if splitting.program.convex:
        return CONTRACTING
    return 2 if isinstance(splitting, PrimalDualHybridGradient) else 1


@dataclass
class FixedPointJacobian(Invertible):
    r""":math:`J = I - \partial T/\partial u` at a fixed point.

    Products with :math:`\partial T` are vector-Jacobian products of one recorded step, and, for forward mode,
    vector-Jacobian products of these.

    Parameters
    ----------
    T : FixedPointMap
        Of a program without graph.
    u : Tensor, shape ``(*batch, size)``
        The fixed point.
    solver : callable
    """

    T: Callable[[Tensor], Tensor]
    u: Tensor
    solver: LinearSolver
    residual: float = float("nan")
    iterations: int = 0
    reverse: tuple[Tensor, Tensor] | None = field(default=None, repr=False)
    forward: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def solve(self, *f: Tensor) -> tuple[Tensor]:
        """By Jacobian-vector products."""
        return (self._solve(self.product, f[0]),)

    def solve_transposed(self, *g: Tensor) -> tuple[Tensor]:
        """By vector-Jacobian products."""
        return (self._solve(self.transposed_product, g[0]),)

    def transposed_product(self, w: Tensor) -> Tensor:
        r""":math:`(\partial T)^T w`."""
        if self.reverse is None:
            with torch.enable_grad():
                u = self.u.detach().clone().requires_grad_()
                self.reverse = u, self.T(u)
        u, image = self.reverse
        return torch.autograd.grad(image, u, w, retain_graph=True, materialize_grads=True)[0]

    def product(self, v: Tensor) -> Tensor:
        r""":math:`\partial T\, v`, the derivative of :math:`w \mapsto (\partial T)^T w`."""
        if self.forward is None:
            with torch.enable_grad(), derivatives(2):
                u = self.u.detach().clone().requires_grad_()
                w = torch.zeros_like(self.u).requires_grad_()
                (pulled,) = torch.autograd.grad(self.T(u), u, w, create_graph=True, materialize_grads=True)
                self.forward = w, pulled
        w, pulled = self.forward
        if not pulled.requires_grad:
            return torch.zeros_like(v)
        return torch.autograd.grad(pulled, w, v, retain_graph=True, materialize_grads=True)[0]

    def _solve(self, apply: Callable[[Tensor], Tensor], g: Tensor) -> Tensor:
        g = g.expand_as(self.u)
        shape = self.u.shape

        def rows(beta: Tensor) -> Tensor:
            return finite(apply(beta.reshape(shape)).reshape(beta.shape))

        solution = self.solver(rows, finite(g.reshape(-1, shape[-1])))
        self.residual, self.iterations = float(solution.residual.max()), solution.iterations
        return solution.x.reshape(shape)


def finite(x: Tensor) -> Tensor:
    """`x` with zeros in the samples (rows) that failed, so that they do not stop the others."""
    return torch.where(x.isfinite().all(-1, keepdim=True), x, 0.0)
