"""Operators as SciPy sparse matrices."""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy.sparse as sp
import torch

from cvxprox.operators.algebra import Adjoint, Composed, Identity, Scaled, Sum
from cvxprox.operators.base import LinearOperator, plain
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.operators.sparse_matrix import SparseMatrix
from cvxprox.operators.stacked import Stacked

CHUNK_ENTRIES = 2**22
"""Most entries of one dense block of columns while probing (32 MiB in float64)."""


@functools.singledispatch
def as_sparse(K: LinearOperator) -> sp.csr_array:
    r"""The matrix of `K`, a SciPy CSR array of shape ``(prod(shape_out), prod(shape_in))``.

    Arguments and results are flattened in C order. Identity, weights, selections, matrices and
    what is made of them convert directly. The default applies `K` to the columns of the identity,
    in batches of bounded size: its cost is that of ``prod(shape_in)`` products.

    Raises
    ------
    ValueError
        If `K` takes complex tensors and is linear only over the reals (a real part or a
        conjugate), so that no complex matrix represents it; or if `K` has batch dimensions.
    """
    rows, columns = math.prod(K.shape_out), math.prod(K.shape_in)
    chunk = max(1, CHUNK_ENTRIES // max(rows, columns, 1))
    blocks = [sp.csr_array((0, rows), dtype=_numpy_dtype(K))]
    with torch.no_grad():
        _check_complex_linear(K)
        for start in range(0, columns, chunk):
            count = min(chunk, columns - start)
            unit = torch.zeros((count, columns), dtype=K.dtype_in, device=K.device)
            unit[torch.arange(count), start + torch.arange(count)] = 1
            images = K.forward(unit.reshape((count, *K.shape_in)))
            blocks.append(sp.csr_array(plain(images.reshape(count, rows).cpu()).numpy()))
    return sp.csr_array(sp.vstack(blocks).T)


def _numpy_dtype(K: LinearOperator) -> np.dtype:
    return torch.empty(0, dtype=K.dtype_out).numpy().dtype


def _check_complex_linear(K: LinearOperator) -> None:
    if not K.dtype_in.is_complex:
        return
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(K.shape_in, generator=generator, dtype=K.dtype_in).to(K.device)
    once, turned = K.forward(x), K.forward(1j * x)
    tol = 1e3 * torch.finfo(K.dtype_in).eps * (1 + once.abs().max().item() if once.numel() else 1.0)
    if not torch.allclose(turned.to(K.dtype_in), 1j * once.to(K.dtype_in), rtol=0.0, atol=tol):
        raise ValueError(
            f"{K} takes complex tensors and is linear only over the reals, so it has no complex matrix. "
            "Split its argument into real and imaginary parts first."
        )


def along_axis(matrix: np.ndarray | sp.sparray, shape: tuple[int, ...], axis: int) -> sp.csr_array:
    """A matrix acting along a negative axis of tensors of some shape, on their entries in C order."""
    axis += len(shape)
    before = sp.eye_array(math.prod(shape[:axis]), dtype=matrix.dtype)
    after = sp.eye_array(math.prod(shape[axis + 1 :]), dtype=matrix.dtype)
    return sp.csr_array(sp.kron(sp.kron(before, sp.csr_array(matrix)), after))


@as_sparse.register
def _(K: Identity) -> sp.csr_array:
    return sp.csr_array(sp.eye_array(math.prod(K.shape_in), dtype=_numpy_dtype(K)))


@as_sparse.register
def _(K: Scaled) -> sp.csr_array:
    scalar = plain(torch.as_tensor(K.scalar).cpu()).numpy()[()]
    return (as_sparse(K.inner) * scalar).tocsr()


@as_sparse.register
def _(K: Sum) -> sp.csr_array:
    return sp.csr_array(functools.reduce(lambda A, B: A + B, map(as_sparse, K.terms)))


@as_sparse.register
def _(K: Composed) -> sp.csr_array:
    if K.outer.dtype_in.is_complex and not K.outer.dtype_out.is_complex:
        # A real part: of a complex matrix on real vectors there is a matrix again.
        return as_sparse.dispatch(LinearOperator)(K)
    return sp.csr_array(as_sparse(K.outer) @ as_sparse(K.inner))


@as_sparse.register
def _(K: Adjoint) -> sp.csr_array:
    if K.dtype_out.is_complex != K.dtype_in.is_complex:
        return as_sparse.dispatch(LinearOperator)(K)
    return sp.csr_array(as_sparse(K.inner).conj().T)


@as_sparse.register
def _(K: Stacked) -> sp.csr_array:
    return sp.csr_array(sp.vstack([as_sparse(block) for block in K.blocks]))


@as_sparse.register
def _(K: Matrix) -> sp.csr_array:
    if K.matrix.dim() > 2:
        raise ValueError(f"{K} holds a batch of matrices; take one of them.")
    return sp.csr_array(plain(K.matrix.cpu()).numpy())


@as_sparse.register
def _(K: SparseMatrix) -> sp.csr_array:
    return K.matrix


@as_sparse.register
def _(K: SparseEntries) -> sp.csr_array:
    return K.numbers


@as_sparse.register
def _(K: Diagonal) -> sp.csr_array:
    if K.weight.dim() > len(K.shape_in):
        raise ValueError(f"{K} holds a batch of weights; take one of them.")
    weight = plain(K.weight.cpu().expand(K.shape_in).reshape(-1)).numpy()
    return sp.csr_array(sp.diags_array(weight)) if weight.size else sp.csr_array((0, 0))


@as_sparse.register
def _(K: Gather) -> sp.csr_array:
    columns = K.index.reshape(-1).cpu().numpy()
    shape = (columns.size, math.prod(K.shape_in))
    ones = np.ones(columns.size, dtype=_numpy_dtype(K))
    return sp.csr_array((ones, (np.arange(columns.size), columns)), shape=shape)
