"""Does an operator send every entry to at most one entry?"""

from __future__ import annotations

import functools

import numpy as np
import torch

from cvxprox.operators.algebra import Adjoint, Composed, Identity, Scaled, Sum
from cvxprox.operators.base import LinearOperator
from cvxprox.operators.gather import Gather
from cvxprox.operators.matrix import Diagonal, Matrix
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.operators.sparse_matrix import SparseMatrix


@functools.singledispatch
def scatters(K: LinearOperator) -> bool:
    r"""Whether every column of `K` is known to have at most one entry that is not zero.

    Then :math:`K\,\mathrm{diag}(v)\,K^*` is diagonal for every v: sums of masked and shifted copies
    of an image, selections, weights. False means no or unknown.
    """
    return False


@scatters.register(Identity)
@scatters.register(Diagonal)
def _(K: LinearOperator) -> bool:
    return True


@scatters.register
def _(K: Scaled) -> bool:
    return scatters(K.inner)


@scatters.register
def _(K: Composed) -> bool:
    return scatters(K.outer) and scatters(K.inner)


@scatters.register
def _(K: Sum) -> bool:
    """Whether the terms do, and no entry is sent by two of them."""
    if not all(scatters(term) for term in K.terms):
        return False
    sent = torch.zeros(K.shape_in, dtype=torch.int64, device=K.device)
    for term in K.terms:
        # A column with one entry at most adds up to that entry.
        total = term.adjoint(torch.ones(K.shape_out, dtype=term.dtype_out, device=K.device))
        sent = sent + (total.detach() != 0)
    return int(sent.max()) <= 1 if sent.numel() else True


@scatters.register
def _(K: Adjoint) -> bool:
    return gathers(K.inner)


@scatters.register
def _(K: Gather) -> bool:
    flat = K.index.reshape(-1)
    return flat.unique().numel() == flat.numel()


@scatters.register
def _(K: SparseMatrix) -> bool:
    columns = K.matrix.indices[K.matrix.data != 0]
    return bool(np.bincount(columns, minlength=1).max() <= 1)


@scatters.register
def _(K: SparseEntries) -> bool:
    return bool(np.bincount(K.matrix.indices, minlength=1).max() <= 1)


@scatters.register
def _(K: Matrix) -> bool:
    return bool((K.matrix.detach() != 0).sum(dim=-2).le(1).all())


@functools.singledispatch
def gathers(K: LinearOperator) -> bool:
    r"""Whether every row of `K` is known to have at most one entry that is not zero.

    Then :math:`K^*\mathrm{diag}(v)\,K` is diagonal for every v. False means no or unknown.
    """
    return False


@gathers.register(Identity)
@gathers.register(Diagonal)
@gathers.register(Gather)
def _(K: LinearOperator) -> bool:
    return True


@gathers.register
def _(K: Scaled) -> bool:
    return gathers(K.inner)


@gathers.register
def _(K: Composed) -> bool:
    return gathers(K.outer) and gathers(K.inner)


@gathers.register
def _(K: Adjoint) -> bool:
    return scatters(K.inner)


@gathers.register(SparseMatrix)
@gathers.register(SparseEntries)
def _(K: SparseMatrix | SparseEntries) -> bool:
    return bool(np.diff(K.matrix.indptr).max(initial=0) <= 1)


@gathers.register
def _(K: Matrix) -> bool:
    return bool((K.matrix.detach() != 0).sum(dim=-1).le(1).all())
