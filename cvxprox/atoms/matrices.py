"""Matrices of atoms that apply a linear operator, for solvers that know nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cvxpy.lin_ops.lin_utils as lu
import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.error import SolverError
from cvxpy.lin_ops.lin_op import LinOp

from cvxprox.atoms.data import size_text, to_tensor
from cvxprox.operators import Adjoint, Composed, LinearOperator, Scaled, as_sparse

if TYPE_CHECKING:
    from cvxprox.atoms.linear import LinearAtom

MOST_NONZEROS = 2e7
MOST_PROBES = 4e9
"""Most entries that may be computed to find the nonzero ones, by a product for every unit vector."""
MOST_PARAMETRIC_ENTRIES = 2e6
CPU = torch.device("cpu")


def as_matrix(K: LinearOperator) -> sp.csr_array:
    """The matrix of an operator on real tensors with real values, C order on both sides."""
    # A factor may have no complex matrix (a real part), though the product has a real one.
    return as_sparse(K) if is_known(K) else as_sparse.dispatch(LinearOperator)(K)


def is_known(K: LinearOperator) -> bool:
    """Whether the entries of the matrix are known, so that no products with unit vectors are needed."""
    match K:
        case Composed():
            return is_known(K.outer) and is_known(K.inner)
        case Scaled() | Adjoint():
            return is_known(K.inner) and not K.dtype_out.is_complex
    return as_sparse.dispatch(type(K)) is not as_sparse.dispatch(LinearOperator)


def check_size(atom: LinearAtom, operator: LinearOperator) -> None:
    """Refuse to make a matrix that does not fit.

    Raises
    ------
    SolverError
        Naming the atom and the solver that needs no matrix.
    """
    rows, columns = atom.size, atom.args[0].size
    full = rows * min(columns, atom.nonzeros_in_a_row()) > MOST_NONZEROS
    if full or (rows * columns > MOST_PROBES and not is_known(operator)):
        raise SolverError(
            f"`{atom.name()}` on {size_text(atom.args[0].shape)} entries is too large to be written as a "
            f"matrix "
            f'({rows} x {columns}) for a stock solver; use solver="NABLA_ADMM".'
        )


def fortran_order(atom: LinearAtom, matrix: sp.csr_array) -> sp.csr_array:
    """A matrix between arrays flattened in C order as one between arrays flattened in Fortran order."""
    rows = np.arange(atom.size).reshape(atom.shape).ravel(order="F")
    columns = np.arange(atom.args[0].size).reshape(atom.args[0].shape).ravel(order="F")
    return sp.csr_array(sp.csc_array(sp.csr_array(matrix)[rows])[:, columns])


def product(atom: LinearAtom, arg_objs: Sequence[LinOp]) -> LinOp:
    """CVXPY's symbol for the matrix of `atom` times its argument."""
    moving = [i for i, arg in enumerate(atom.args[1:]) if arg.parameters()]
    if not moving:
        operator = _operator(atom, {})
        check_size(atom, operator)
        matrix = fortran_order(atom, as_matrix(operator))
        symbol = lu.create_const(sp.csc_array(matrix), matrix.shape, sparse=True)
    else:
        symbol = _parametric(atom, moving, arg_objs)
    vector = lu.reshape(arg_objs[0], (atom.args[0].size, 1))
    return lu.reshape(lu.mul_expr(symbol, vector, (atom.size, 1)), atom.shape)


def _operator(atom: LinearAtom, chosen: dict[int, torch.Tensor]) -> LinearOperator:
    data = [
        chosen[i] if i in chosen else to_tensor(arg.value, arg.shape, torch.float64)
        for i, arg in enumerate(atom.args[1:])
    ]
    return atom.operator(data, torch.float64, CPU)


def _parametric(atom: LinearAtom, moving: list[int], arg_objs: Sequence[LinOp]) -> LinOp:
    """The matrix as a linear function of the one argument that has parameters."""
    (first, *others), data = moving, atom.args[1:]
    rows, columns, count = atom.size, atom.args[0].size, data[first].size
    entries = rows * columns
    if (
        others
        or not atom.linear_in_data
        or entries > MOST_PARAMETRIC_ENTRIES
        or entries * count > MOST_PROBES
    ):
        reason = (
            "is too large" if atom.linear_in_data and not others else "depends on its parameters nonlinearly"
        )
        raise SolverError(
            f"the matrix of `{atom.name()}` {reason} to be given to a stock solver with its parameters as "
            'symbols. Solve with `ignore_dpp=True`, which puts in their values, or with solver="NABLA_ADMM".'
        )
    shape = data[first].shape
    blocks = []
    for k in range(count):
        unit = torch.zeros(count, dtype=torch.float64)
        unit[k] = 1.0
        # CVXPY flattens the parameter in Fortran order.
        entry = unit.reshape(shape[::-1]).permute(*reversed(range(len(shape)))).contiguous()
        matrix = fortran_order(atom, as_matrix(_operator(atom, {first: entry})))
        blocks.append(sp.coo_array(matrix).reshape((entries, 1), order="F"))
    basis = sp.csc_array(sp.hstack(blocks))
    flat = lu.reshape(arg_objs[1 + first], (math.prod(shape), 1))
    stacked = lu.mul_expr(lu.create_const(basis, basis.shape, sparse=True), flat, (entries, 1))
    return lu.reshape(stacked, (rows, columns))
