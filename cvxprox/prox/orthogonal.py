"""A function after an orthogonal operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.operators import LinearOperator, gram_spectrum, move
from cvxprox.prox.base import ProxFunction


@dataclass(frozen=True, eq=False)
class Orthogonal(ProxFunction):
    r"""The function :math:`f(x) = \sum_k g\bigl((Qx)_k\bigr)` for :math:`Q^*Q = QQ^* = cI`.

    .. math:: \mathrm{prox}_{tf}(v) = \tfrac1c\, Q^*\, \mathrm{prox}_{ctg}(Qv)

    Parameters
    ----------
    function : ProxFunction
        g.
    operator : LinearOperator
        Q, between real tensors of equally many entries. A point is an argument of Q as a vector, in C order.
    shape : tuple of int
        ``(count, *point)``: how results of Q, in C order, are read as points of g.

    Raises
    ------
    ValueError
        If Q is not known to be orthogonal up to a factor.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 2.2.
    """

    function: ProxFunction
    operator: LinearOperator
    shape: tuple[int, ...]
    ndim: ClassVar[int] = 1

    def __post_init__(self) -> None:
        Q = self.operator
        square = gram_spectrum(Q)
        if square is None or not square.is_scalar or math.prod(Q.shape_in) != math.prod(Q.shape_out):
            raise ValueError(f"The operator {Q} is not known to be orthogonal up to a factor.")

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether `function` is."""
        return self.function.convex

    @cached_property
    def _factor(self) -> Tensor:
        """c."""
        square = gram_spectrum(self.operator)
        assert square is not None
        return square.values

    def at(self, iteration: int) -> ProxFunction:
        inner = self.function.at(iteration)
        return self if inner is self.function else Orthogonal(inner, self.operator, self.shape)

    def value(self, x: Tensor) -> Tensor:
        return self._total(self.function.value(self._forward(x)), x)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self._factor * self.expand(t, v)  # (*batch, 1) serves all points of a vector
        return self._inverse(self.function.prox(self._forward(v), t), v)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return self._total(self.function.recession(self._forward(d), tol), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self._total(self.function.domain_support(self._forward(y), tol), y) / self._factor

    def domain_recession(self, d: Tensor) -> Tensor:
        return self._inverse(self.function.domain_recession(self._forward(d)), d)

    def recession_domain(self, d: Tensor) -> Tensor:
        return self._inverse(self.function.recession_domain(self._forward(d)), d)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> ProxFunction:
        return Orthogonal(self.function.to(device, dtype), move(self.operator, device, dtype), self.shape)

    def _forward(self, x: Tensor) -> Tensor:
        """The points of g at `x`."""
        batch = x.shape[:-1]
        return self.operator.forward(x.reshape(*batch, *self.operator.shape_in)).reshape(*batch, *self.shape)

    def _inverse(self, points: Tensor, like: Tensor) -> Tensor:
        """The vectors that have these points."""
        results = points.reshape(*like.shape[:-1], *self.operator.shape_out)
        return self.operator.adjoint(results).reshape(like.shape) / self._factor

    def _total(self, values: Tensor, x: Tensor) -> Tensor:
        return values.flatten(x.dim() - 1).sum(dim=-1)
