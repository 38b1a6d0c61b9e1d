"""Operator norms."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from cvxprox.operators.algebra import Adjoint, Identity, Scaled
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.spectrum import Spectrum, gram_spectrum

REORTHOGONALISED = 2**22
"""Most entries of a Lanczos basis that is kept (32 MiB in float64)."""


@functools.singledispatch
def norm(K: LinearOperator, tol: float = 1e-6, max_iter: int = 100) -> Tensor:
    r"""The operator norm :math:`\|K\| = \max_{\|x\|_2 \le 1} \|Kx\|_2`, a 0-d real tensor.

    Exact for identities, weights, selections, dense matrices, differences, and where the spectrum of
    :math:`K^*K` or of :math:`KK^*` is known. The default is the Lanczos method on :math:`K^*K` from a
    fixed random start, with full reorthogonalisation where that takes little memory: an estimate
    from below, stopped when it grows by less than `tol` relatively in a step, or after `max_iter`
    steps. The power method needs the square of that number of steps. Not differentiable.

    References
    ----------
    Golub and Van Loan, *Matrix Computations* (2013), section 10.1.
    """
    with torch.no_grad():
        for closed in (gram_spectrum, _outer):
            square = closed(K)
            if square is not None:
                return _largest(square.values.abs()).to(K.dtype_in.to_real()).sqrt()
    return _lanczos(K, tol, max_iter)


def _outer(K: LinearOperator) -> Spectrum | None:
    return gram_spectrum(Adjoint(K))


@norm.register
def _(K: Identity, tol: float = 0.0, max_iter: int = 0) -> Tensor:
    return torch.tensor(float(math.prod(K.shape_in) > 0), dtype=K.dtype_in.to_real(), device=K.device)


@norm.register
def _(K: Scaled, tol: float = 1e-6, max_iter: int = 100) -> Tensor:
    inner = norm(K.inner, tol, max_iter)
    return torch.as_tensor(K.scalar, device=K.device).detach().abs().to(inner.dtype) * inner


@norm.register
def _(K: Adjoint, tol: float = 1e-6, max_iter: int = 100) -> Tensor:
    return norm(K.inner, tol, max_iter)


@norm.register
def _(K: Diagonal, tol: float = 0.0, max_iter: int = 0) -> Tensor:
    return _largest(K.weight.detach().abs())


@norm.register
def _(K: Gather, tol: float = 0.0, max_iter: int = 0) -> Tensor:
    counts = torch.bincount(K.index.reshape(-1), minlength=1)
    return counts.max().to(K.dtype_in.to_real()).sqrt()


@norm.register
def _(K: Matrix, tol: float = 0.0, max_iter: int = 0) -> Tensor:
    if 0 in K.matrix.shape:
        return torch.zeros((), dtype=K.dtype_in.to_real(), device=K.device)
    return _largest(torch.linalg.matrix_norm(K.matrix.detach(), ord=2))


def _largest(values: Tensor) -> Tensor:
    return values.max() if values.numel() else values.new_zeros(())


@torch.no_grad()
def _lanczos(K: LinearOperator, tol: float, max_iter: int) -> Tensor:
    size = math.prod(K.shape_in)
    real = K.dtype_in.to_real()
    estimate = torch.zeros((), dtype=real, device=K.device)
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(size, generator=generator, dtype=K.dtype_in).to(K.device)
    basis: list[Tensor] = []
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    # Without the whole basis, the largest value is found all the same, but may be found again.
    kept = -max_iter if size * max_iter <= REORTHOGONALISED else -2
    # Over the reals, a complex space has twice the dimension.
    for _ in range(min(max_iter, size * (2 if K.dtype_in.is_complex else 1))):
        basis = [*basis[kept + 1 :], v / torch.linalg.vector_norm(v)]
        w = K.adjoint(K.forward(basis[-1].reshape(K.shape_in))).reshape(-1)
        Q = torch.stack(basis)
        alphas.append(torch.linalg.vecdot(basis[-1], w).real)
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            w = w - (Q.conj() @ w).real.to(w.dtype) @ Q
        off = torch.stack(betas) if betas else estimate.new_zeros(0)
        T = torch.diag(torch.stack(alphas)) + torch.diag(off, 1) + torch.diag(off, -1)
        previous, estimate = estimate, torch.linalg.eigvalsh(T)[-1].clamp_min(0).sqrt()
        beta = torch.linalg.vector_norm(w)
        if (estimate - previous <= tol * estimate and len(alphas) > 2) or beta <= 1e-14 * estimate**2:
            break
        betas.append(beta)
        v = w
    return estimate
