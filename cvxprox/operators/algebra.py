"""Operators made from operators: identity, scaling, sum, composition, adjoint."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators.base import CPU, LinearOperator, Scalar, Shape, declare, match_kind


@dataclass(frozen=True, eq=False, repr=False)
class Identity(LinearOperator):
    """:math:`Kx = x`."""

    shape_in: Shape
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        declare(self, self.shape_in, self.shape_in, self.dtype_in, self.dtype_in, self.device)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        return y


@dataclass(frozen=True, eq=False, repr=False)
class Scaled(LinearOperator):
    r""":math:`cK` for a number or a 0-dimensional tensor :math:`c`; its adjoint is :math:`\bar c K^*`."""

    scalar: Scalar
    inner: LinearOperator

    def __post_init__(self) -> None:
        if torch.as_tensor(self.scalar).dim():
            raise ValueError(
                f"an operator is scaled by a number or a 0-d tensor, not by one of shape "
                f"{tuple(torch.as_tensor(self.scalar).shape)}. Elementwise weights are a `Diagonal`."
            )
        K = self.inner
        kind = torch.result_type(torch.empty(1, dtype=K.dtype_out), self.scalar)
        declare(self, K.shape_in, K.shape_out, K.dtype_in, kind, K.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.scalar * self.inner.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(match_kind(conjugate(self.scalar) * y, self.inner.dtype_out))


@dataclass(frozen=True, eq=False, repr=False)
class Sum(LinearOperator):
    r""":math:`\sum_i K_i` of operators with equal shapes."""

    terms: tuple[LinearOperator, ...]

    def __post_init__(self) -> None:
        K = self.terms[0]
        for other in self.terms[1:]:
            if (other.shape_in, other.shape_out) != (K.shape_in, K.shape_out):
                raise ValueError(f"cannot add {K} and {other}: their shapes differ.")
        kind = functools.reduce(torch.promote_types, (t.dtype_out for t in self.terms))
        declare(self, K.shape_in, K.shape_out, K.dtype_in, kind, K.device)

    def forward(self, x: Tensor) -> Tensor:
        return functools.reduce(operator.add, (term.forward(x) for term in self.terms))

    def adjoint(self, y: Tensor) -> Tensor:
        parts = (term.adjoint(match_kind(y, term.dtype_out)) for term in self.terms)
        return functools.reduce(operator.add, parts)


@dataclass(frozen=True, eq=False, repr=False)
class Composed(LinearOperator):
    r""":math:`x \mapsto K(Lx)`; its adjoint is :math:`L^*K^*`."""

    outer: LinearOperator
    inner: LinearOperator

    def __post_init__(self) -> None:
        K, L = self.outer, self.inner
        if K.shape_in != L.shape_out:
            raise ValueError(f"cannot compose {K} after {L}: {L.shape_out} is not {K.shape_in}.")
        # A real matrix also acts on complex tensors.
        lifts = L.dtype_out.is_complex and not K.dtype_in.is_complex
        kind = torch.promote_types(K.dtype_out, L.dtype_out) if lifts else K.dtype_out
        declare(self, L.shape_in, K.shape_out, L.dtype_in, kind, L.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer.forward(self.inner.forward(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(match_kind(self.outer.adjoint(y), self.inner.dtype_out))


@dataclass(frozen=True, eq=False, repr=False)
class Adjoint(LinearOperator):
    r""":math:`K^*` as an operator."""

    inner: LinearOperator

    def __post_init__(self) -> None:
        K = self.inner
        declare(self, K.shape_out, K.shape_in, K.dtype_out, K.dtype_in, K.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner.adjoint(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.forward(y)


@functools.singledispatch
def transpose(K: LinearOperator) -> LinearOperator:
    """The adjoint of `K` as an operator, in the simplest form its type allows."""
    return Adjoint(K)


@transpose.register
def _(K: Identity) -> LinearOperator:
    return K


@transpose.register
def _(K: Adjoint) -> LinearOperator:
    return K.inner


def compose(K: LinearOperator, L: LinearOperator) -> LinearOperator:
    """``K @ L``, with identities dropped."""
    match K, L:
        case (Identity(), _) if K.shape_in == L.shape_out:
            return L
        case (_, Identity()) if K.shape_in == L.shape_out and K.dtype_in == L.dtype_in:
            return K
    return Composed(K, L)


def conjugate(scalar: Scalar) -> Scalar:
    r""":math:`\bar c` of a number or a tensor."""
    return torch.conj_physical(scalar) if isinstance(scalar, Tensor) else scalar.conjugate()
