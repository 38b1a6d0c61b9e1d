"""Constant subtrees, folded into one array; sparse ones stay sparse."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.sparse as sp
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.binary_operators import BinaryOperator, DivExpression
from cvxpy.atoms.affine.broadcast_to import broadcast_to
from cvxpy.atoms.affine.diag import diag_vec
from cvxpy.atoms.affine.hstack import Hstack
from cvxpy.atoms.affine.index import index, special_index
from cvxpy.atoms.affine.kron import kron
from cvxpy.atoms.affine.promote import Promote
from cvxpy.atoms.affine.transpose import transpose
from cvxpy.atoms.affine.unary_operators import UnaryOperator
from cvxpy.atoms.affine.vstack import Vstack
from cvxpy.atoms.affine.wraps import Wrap
from cvxpy.atoms.atom import Atom

Array = Any
"""A NumPy array or a SciPy sparse array."""


def fold(atom: Atom, values: list[Array]) -> Array:
    """The value of an atom at constant arguments, in the atom's shape (which `.value` may miss)."""
    if 0 in atom.shape:
        return np.zeros(atom.shape)
    value = numeric(atom, values)
    if sp.issparse(value):
        return sp.csr_array(value) if value.ndim == 2 else value.toarray()
    return np.asarray(value).reshape(atom.shape)


def dense(value: Array) -> np.ndarray:
    """A dense array."""
    return value.toarray() if sp.issparse(value) else np.asarray(value)


@functools.singledispatch
def numeric(atom: Any, values: list[Array]) -> Array:
    """The value of an atom, by CVXPY on dense arrays unless CVXPY's own takes sparse ones."""
    return atom.numeric([dense(value) for value in values])


@numeric.register(BinaryOperator)
@numeric.register(UnaryOperator)
@numeric.register(Wrap)
@numeric.register(index)
@numeric.register(special_index)
def _(atom: Any, values: list[Array]) -> Array:
    return atom.numeric(list(values))


@numeric.register
def _(atom: AddExpression, values: list[Array]) -> Array:
    if all(map(sp.issparse, values)):
        return atom.numeric(values)
    return atom.numeric([dense(value) for value in values])


@numeric.register
def _(atom: DivExpression, values: list[Array]) -> Array:
    above, below = values
    if sp.issparse(above):
        # A sparse numerator is divided where it has entries.
        entries = above.tocoo()
        divisors = np.broadcast_to(dense(below), above.shape)[entries.coords]
        return sp.csr_array((entries.data / divisors, entries.coords), shape=above.shape)
    return atom.numeric([above, dense(below)])


@numeric.register(Promote)
@numeric.register(broadcast_to)
def _(atom: Any, values: list[Array]) -> Array:
    # A view: the copies would be as large as the sparse matrix that 2 * A scales is when dense.
    value = dense(values[0])
    return np.broadcast_to(value.reshape(()) if value.size == 1 else value, atom.shape)


@numeric.register
def _(atom: transpose, values: list[Array]) -> Array:
    (value,) = values
    if sp.issparse(value):
        return value.T if atom.axes is None or [a % 2 for a in atom.axes] == [1, 0] else value
    return atom.numeric(values)


@numeric.register
def _(atom: diag_vec, values: list[Array]) -> Array:
    # A diagonal matrix is sparse, however it was built.
    return sp.diags_array(dense(values[0]), offsets=int(atom.k))


@numeric.register
def _(atom: kron, values: list[Array]) -> Array:
    return sp.kron(*values) if any(map(sp.issparse, values)) else atom.numeric(values)


@numeric.register
def _(atom: Hstack, values: list[Array]) -> Array:
    return _stack(atom, values, sp.hstack)


@numeric.register
def _(atom: Vstack, values: list[Array]) -> Array:
    return _stack(atom, values, sp.vstack)


def _stack(atom: Hstack | Vstack, values: list[Array], join: Any) -> Array:
    if any(map(sp.issparse, values)) and all(value.ndim == 2 for value in values):
        return join([sp.csr_array(value) for value in values])
    return atom.numeric([dense(value) for value in values])
