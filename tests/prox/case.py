"""A case of the tests of prox functions: a function, and the same written in CVXPY."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor

from cvxprox.prox import ProxFunction

INF = math.inf
F64 = torch.float64


def tensor(*x: float) -> Tensor:
    return torch.tensor(x, dtype=F64)


@dataclass
class Case:
    """One function on points of one shape.

    `model` gives CVXPY's expression (None for an indicator) and constraints. `center` and `spread`
    place the random points. `directions` and `normals` are tried by the tests of `recession` and
    `domain_support` besides random ones, as random ones never lie in a thin set.
    """

    f: ProxFunction
    shape: tuple[int, ...]
    model: Callable[[cp.Variable], tuple[cp.Expression | None, list]]
    spread: float = 2.0
    scales_with_t: bool = True
    directions: list[Tensor] = field(default_factory=list)
    normals: list[Tensor] = field(default_factory=list)

    def __str__(self) -> str:
        return type(self.f).__name__ + "x".join(map(str, self.shape))

    @property
    def is_indicator(self) -> bool:
        return self.model(cp.Variable(self.shape))[0] is None

    def points(self, rng: np.random.Generator, batch: int, t: float = 1.0) -> Tensor:
        """Points on the scale where the prox bites."""
        scale = self.spread * (t if self.scales_with_t else 1.0)
        return torch.tensor(scale * rng.standard_normal((batch, *self.shape)))


def finite(atom: Callable[[cp.Variable], cp.Expression]) -> Callable:
    return lambda x: (atom(x), [])


def subject_to(constraint: Callable[[cp.Variable], list]) -> Callable:
    return lambda x: (None, constraint(x))
