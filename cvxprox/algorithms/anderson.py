"""Safeguarded Anderson acceleration of any fixed-point algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cvxprox.algorithms.base import Algorithm
from cvxprox.algorithms.residuals import Point


class AcceleratedState(NamedTuple):
    """The inner state, differences of iterates and of residuals, and counters."""

    inner: Any
    last: tuple[Tensor, Tensor] | None  # w and T(w) - w at the last sample
    differences: tuple[tuple[Tensor, Tensor], ...]
    fallback: tuple[Any, Tensor] | None  # state and residual norm before the last extrapolation
    iteration: int
    accepted: int
    rejected: int


@dataclass(frozen=True)
class Accelerated(Algorithm):
    r"""Type-II Anderson acceleration every `interval` steps of `algorithm`, with a safeguard.

    With samples :math:`w_j` and residuals :math:`f_j = T(w_j) - w_j`, the extrapolation is
    :math:`T(w) - (\Delta W + \Delta F)\gamma` with :math:`\gamma` the regularised least-squares
    solution of :math:`\Delta F\gamma = f`. It is kept only if the fixed-point residual after it
    does not exceed the one before; otherwise the plain iterate continues.

    References
    ----------
    Walker and Ni, *Anderson acceleration for fixed-point iterations* (2011);
    O'Donoghue, *Operator splitting for a homogeneous embedding of the LCP* (2021), section 4.
    """

    algorithm: Algorithm
    memory: int = 10
    interval: int = 10
    regularisation: float = 1e-8

    def init(self, start: Point | None = None) -> AcceleratedState:
        """No history."""
        return self.wrap(self.algorithm.init(start))

    def wrap(self, inner: Any) -> AcceleratedState:
        """The state without history around an inner state."""
        return AcceleratedState(inner, None, (), None, 0, 0, 0)

    def step(self, state: AcceleratedState) -> AcceleratedState:
        """A step of the algorithm; at multiples of the interval with extrapolation."""
        after = self.algorithm.step(state.inner)
        iteration = state.iteration + 1
        if iteration % self.interval and state.fallback is None:
            return state._replace(inner=after, iteration=iteration)
        w = self.algorithm.fixed_point(state.inner)
        image = self.algorithm.fixed_point(after)
        residual = image - w
        norm = residual.norm()
        if state.fallback is not None:  # the step after an extrapolation judges it
            plain, before = state.fallback
            if not norm <= before:
                return state._replace(
                    inner=plain, iteration=iteration, fallback=None, last=None, differences=(),
                    rejected=state.rejected + 1,
                )  # fmt: skip
            return state._replace(
                inner=after, iteration=iteration, fallback=None, accepted=state.accepted + 1
            )
        differences = state.differences
        if state.last is not None:
            differences = (*differences, (w - state.last[0], residual - state.last[1]))[-self.memory :]
        state = state._replace(iteration=iteration, last=(w, residual), differences=differences)
        if not differences:
            return state._replace(inner=after)
        extrapolated = self._extrapolate(image, residual, differences)
        return state._replace(
            inner=self.algorithm.replace_fixed_point(after, extrapolated), fallback=(after, norm)
        )

    def _extrapolate(
        self, image: Tensor, residual: Tensor, differences: tuple[tuple[Tensor, Tensor], ...]
    ) -> Tensor:
        dW = torch.stack([dw for dw, _ in differences], dim=1)
        dF = torch.stack([df for _, df in differences], dim=1)
        gram = dF.mT @ dF
        size = gram.diagonal().sum()
        if not size > 0:  # the residual has not moved: there is nothing to learn from
            return image
        gamma = torch.linalg.solve(
            gram + self.regularisation * size * torch.eye(len(gram)).to(gram), dF.mT @ residual
        )
        return image - (dW + dF) @ gamma

    def point(self, state: AcceleratedState) -> Point:
        """Of the inner state; while an extrapolation is not yet judged, of the plain iterate."""
        return self.algorithm.point(state.inner if state.fallback is None else state.fallback[0])

    def fixed_point(self, state: AcceleratedState) -> Tensor:
        """Of the inner state."""
        return self.algorithm.fixed_point(state.inner)

    def replace_fixed_point(self, state: AcceleratedState, vector: Tensor) -> AcceleratedState:
        """Of the inner state, which clears the history."""
        return self.wrap(self.algorithm.replace_fixed_point(state.inner, vector))
