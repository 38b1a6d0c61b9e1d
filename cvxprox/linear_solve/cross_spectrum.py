"""Spectra of products A*B and of squares whose factors have none."""

from __future__ import annotations

from dataclasses import replace

import torch

from cvxprox.operators import (
    Composed,
    LinearOperator,
    PixelBasis,
    Scaled,
    Spectrum,
    diagonal,
    gram_spectrum,
    is_diagonal,
    spectrum,
    transformed,
)
from cvxprox.operators.algebra import conjugate


def cross_spectrum(A: LinearOperator, B: LinearOperator) -> Spectrum | None:
    r"""The spectrum of :math:`A^*B`; None if no fast basis is known in which it is diagonal.

    A common left factor needs no spectrum of its own: :math:`(FA)^*(FB) = A^*(F^*F)B`.
    """
    match A, B:
        case (Scaled(), _):
            inner = cross_spectrum(A.inner, B)
            return None if inner is None else conjugate(A.scalar) * inner
        case (_, Scaled()):
            inner = cross_spectrum(A, B.inner)
            return None if inner is None else B.scalar * inner
    if A is B:
        return gram_spectrum(A)
    left, right = spectrum(A), spectrum(B)
    if left is not None and right is not None:
        return _adjoint(left) @ right
    match A, B:
        case (Composed(), Composed()) if A.outer is B.outer:
            left, middle, right = spectrum(A.inner), gram_spectrum(A.outer), spectrum(B.inner)
            if left is None or middle is None or right is None:
                return None
            product = middle @ right
            return None if product is None else _adjoint(left) @ product
    return None


def square_spectrum(S: LinearOperator) -> Spectrum | None:
    r"""The spectrum of a square operator, of :math:`L^*\mathrm{diag}(v)L` and of :math:`F^*F` too."""
    own = spectrum(S)
    if own is not None:
        return own
    if is_diagonal(S):
        return Spectrum(PixelBasis(), diagonal(S))
    F = root(S)
    if F is not None:
        return gram_spectrum(F)
    match S:
        case Composed(inner=Composed(outer=middle, inner=L)) if is_adjoint(S.outer, L):
            values = spectrum(middle)
            if values is not None and values.is_scalar:
                inner = gram_spectrum(L)
                return None if inner is None else values.values * inner
            if values is not None and values.basis == PixelBasis():
                return transformed(L, values.values)
    return None


def root(S: LinearOperator) -> LinearOperator | None:
    """F of an operator that was built as F*F; None if it was not."""
    match S:
        case Composed() if is_adjoint(S.outer, S.inner):
            return S.inner
    return None


def is_adjoint(A: LinearOperator, B: LinearOperator) -> bool:
    r"""Whether :math:`A = B^*`.

    Adjoints of composed and of special operators are operators of their own, so it is their
    action on one random argument that decides: a nonzero linear map vanishes at it with probability zero.
    """
    if (A.shape_in, A.shape_out) != (B.shape_out, B.shape_in):
        return False
    if (A.dtype_in, A.dtype_out) != (B.dtype_out, B.dtype_in):
        return False
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        y = torch.randn(A.shape_in, generator=generator, dtype=A.dtype_in).to(A.device)
        one, other = A.forward(y), B.adjoint(y)
        size = torch.linalg.vector_norm(other)
        return bool(torch.linalg.vector_norm(one - other) <= 100 * torch.finfo(A.dtype_in).eps * size)


def _adjoint(own: Spectrum) -> Spectrum:
    return replace(own, values=torch.conj_physical(own.values))
