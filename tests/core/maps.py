"""The iteration of a map of vectors, as an algorithm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cvxprox.algorithms import Algorithm, Point


@dataclass(frozen=True)
class Map(Algorithm):
    """The iteration of a map of vectors."""

    function: Callable[[Tensor], Tensor]
    start: Tensor

    def init(self, start: Point | None = None) -> Tensor:
        return self.start

    def step(self, state: Tensor) -> Tensor:
        return self.function(state)

    def point(self, state: Tensor) -> Point:
        return Point(state, state, state)

    def fixed_point(self, state: Tensor) -> Tensor:
        return state

    def replace_fixed_point(self, state: Tensor, vector: Tensor) -> Tensor:
        return vector
