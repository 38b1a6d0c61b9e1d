"""The interface of an algorithm: pure steps, no loop."""

from __future__ import annotations

import abc
from typing import Any

from torch import Tensor

from cvxprox.algorithms.residuals import Point


class Algorithm(abc.ABC):
    """A fixed-point iteration on a `ProxProgram`.

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
