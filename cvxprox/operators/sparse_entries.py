"""Sparse matrices whose entries carry gradients."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.algebra import transpose
from cvxprox.operators.base import LinearOperator, declare, plain, recording
from cvxprox.operators.sparse_matrix import SparseMatrix


@dataclass(frozen=True, eq=False, repr=False)
class SparseEntries(LinearOperator):
    """A sparse matrix of a fixed pattern acting on vectors, :math:`x \\mapsto Ax`.

    Differentiable in the entries and in the argument, in forward and reverse mode and to any order.
    The gradient of entry k is :math:`y_{i_k} x_{j_k}`: it has the pattern too, no dense matrix is made.

    Parameters
    ----------
    matrix : scipy.sparse array
        Of shape ``(m, n)``, no entry twice. Its pattern counts; its numbers do not.
    values : Tensor, shape (nnz,)
        The entries, real, in the order of ``matrix.data``.
    """

    matrix: sp.csr_array
    values: Tensor
    pattern: CsrPattern = field(init=False)

    def __post_init__(self) -> None:
        A, values = self.matrix, self.values
        if values.shape != (A.nnz,) or values.is_complex():
            raise ValueError(
                f"SparseEntries takes one real value for each of the {A.nnz} entries of the pattern, "
                f"not a tensor of shape {tuple(values.shape)} and type {values.dtype}."
            )
        object.__setattr__(self, "pattern", CsrPattern(A.indptr, A.indices, A.shape, values.device))
        declare(self, (A.shape[1],), (A.shape[0],), values.dtype, values.dtype, values.device)

    def forward(self, x: Tensor) -> Tensor:
        return _product(self.pattern, self.values, x)

    def adjoint(self, y: Tensor) -> Tensor:
        return _product(self.pattern.transposed, self.values[self.pattern.order], y)

    @functools.cached_property
    def numbers(self) -> sp.csr_array:
        """The matrix of the present entries, without graph."""
        data = plain(self.values).cpu().numpy()
        return sp.csr_array((data, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)

    def frozen(self) -> SparseMatrix:
        """The same matrix as a constant."""
        return SparseMatrix(self.numbers, self.dtype_in, self.device)

    def __reduce__(self) -> tuple[type[SparseEntries], tuple[sp.csr_array, Tensor]]:
        # Torch's sparse tensors can neither be copied nor pickled.
        return SparseEntries, (self.matrix, self.values)


@transpose.register
def _(K: SparseEntries) -> LinearOperator:
    A = K.pattern.transposed
    ones = np.ones(A.columns.size)
    return SparseEntries(sp.csr_array((ones, A.columns, A.indptr), shape=A.shape), K.values[K.pattern.order])


@dataclass(frozen=True, eq=False)
class CsrPattern:
    """The pattern of a CSR matrix, opaque to torch's function transforms."""

    indptr: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]
    device: torch.device

    @functools.cached_property
    def indices(self) -> tuple[Tensor, Tensor]:
        """Pointers and columns as torch's kernels take them."""
        index = torch.int32 if max(self.columns.size, *self.shape) < 2**31 else torch.int64
        indptr, columns = (torch.as_tensor(v, dtype=index) for v in (self.indptr, self.columns))
        return indptr.to(self.device), columns.to(self.device)

    @functools.cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """Row and column of every entry."""
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        row, column = (torch.as_tensor(v, dtype=torch.int64) for v in (rows, self.columns))
        return row.to(self.device), column.to(self.device)

    @functools.cached_property
    def order(self) -> Tensor:
        """The entries in the order of the transposed pattern."""
        return torch.as_tensor(self._turned.data, dtype=torch.int64).to(self.device)

    @functools.cached_property
    def transposed(self) -> CsrPattern:
        """Of the transposed matrix."""
        return CsrPattern(self._turned.indptr, self._turned.indices, self.shape[::-1], self.device)

    @functools.cached_property
    def _turned(self) -> sp.csr_array:
        numbered = sp.csr_array((np.arange(self.columns.size), self.columns, self.indptr), shape=self.shape)
        return sp.csr_array(numbered.T)


def _product(pattern: CsrPattern, values: Tensor, x: Tensor) -> Tensor:
    """The product over the last dimension of `x`."""
    if x.is_complex():
        # One real product with twice the batch.
        return torch.complex(*_product(pattern, values, torch.view_as_real(x).movedim(-1, 0)).unbind(0))
    x = x.to(values.dtype)
    if recording(values) or recording(x):
        return _EntriesProduct.apply(pattern, values, x)
    return _EntriesProduct.forward(pattern, values, x)


def _sampled(pattern: CsrPattern, y: Tensor, x: Tensor) -> Tensor:
    """The entries of the outer product ``y x'`` in the pattern, summed over the batch."""
    row, column = pattern.places
    products = y[..., row] * x[..., column]
    return products.reshape(math.prod(products.shape[:-1]), row.numel()).sum(0)


class _EntriesProduct(torch.autograd.Function):
    """The product, bilinear in `values` and `x`; its derivatives are products again."""

    @staticmethod
    def forward(pattern: CsrPattern, values: Tensor, x: Tensor) -> Tensor:
        indptr, columns = pattern.indices
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")
            A = torch.sparse_csr_tensor(
                indptr, columns, values.detach(), size=pattern.shape, check_invariants=False
            )
        if x.dim() == 1:
            return A @ x
        stacked = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T.contiguous()
        return (A @ stacked).T.reshape(*x.shape[:-1], pattern.shape[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[CsrPattern, Tensor, Tensor], output: Tensor) -> None:
        ctx.pattern, values, x = inputs
        ctx.save_for_backward(values, x)
        ctx.save_for_forward(values, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        values, x = ctx.saved_tensors
        pattern, (_, for_values, for_x) = ctx.pattern, ctx.needs_input_grad
        return (
            None,
            _sampled(pattern, grad, x) if for_values else None,
            _product(pattern.transposed, values[pattern.order], grad) if for_x else None,
        )

    @staticmethod
    def jvp(ctx: Any, _: None, values_tangent: Tensor | None, x_tangent: Tensor | None) -> Tensor:
        values, x = ctx.saved_tensors
        parts = []
        if values_tangent is not None:
            parts.append(_product(ctx.pattern, values_tangent, x))
        if x_tangent is not None:
            parts.append(_product(ctx.pattern, values, x_tangent))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], pattern: CsrPattern, values: Tensor, x: Tensor
    ) -> tuple[Tensor, int]:
        _, of_values, of_x = in_dims
        if of_values is None:
            return _product(pattern, values, x.movedim(of_x, 0)), 0
        samples = [
            _product(pattern, values.select(of_values, i), x if of_x is None else x.select(of_x, i))
            for i in range(info.batch_size)
        ]
        return torch.stack(samples), 0
