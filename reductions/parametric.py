"""Programs whose numbers are affine in the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from cvxpy.cvxcore.python import canonInterface
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.expressions.expression import Expression

from cvxprox.atoms.data import value_of
from cvxprox.reductions.layout import Layout
from cvxprox.reductions.structured import StructuredPart

_NOT_FINITE = "Problem data contains NaN or Inf. Check your parameter values and constants."


@dataclass(frozen=True)
class StuffedData:
    """The numbers of a stuffed program. `q` still has the columns of the placeholders."""

    P: sp.csc_array | None
    q: np.ndarray
    offset: float
    A: sp.csc_array
    b: np.ndarray
    kept: np.ndarray

    def check(self, layout: Layout) -> None:
        """Refuse NaN everywhere and infinities in matrices and costs, naming the place."""
        costs = [self.q] if self.P is None else [self.q, self.P.data]
        if not all(np.isfinite(values).all() for values in costs):
            raise ValueError(f"{_NOT_FINITE} They are in the objective.")
        rows = np.append(self.A.indices[~np.isfinite(self.A.data)], np.flatnonzero(np.isnan(self.b)))
        if rows.size:
            raise ValueError(f"{_NOT_FINITE} They are in `{layout.source(int(rows.min()))}`.")


class AffineValues:
    r"""A vector :math:`T\theta` of numbers, with :math:`\theta` the stacked parameters and a one.

    Rows that no parameter touches are evaluated once.
    """

    def __init__(self, tensor: sp.csr_array) -> None:
        columns = tensor.indices < tensor.shape[1] - 1
        touched = np.bincount(np.repeat(np.arange(tensor.shape[0]), np.diff(tensor.indptr))[columns],
                              minlength=tensor.shape[0]) > 0  # fmt: skip
        self.rows = np.flatnonzero(touched)
        self.tensor = tensor[self.rows] if self.rows.size else None
        one = np.zeros(tensor.shape[1])
        one[-1] = 1.0
        self.constant: np.ndarray = tensor @ one

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """The numbers at `theta`; the same array every time if they are constant."""
        if self.tensor is None:
            return self.constant
        values = self.tensor @ theta
        if self.rows.size == self.constant.size:
            return values
        full = self.constant.copy()
        full[self.rows] = values
        return full


class ParametricMatrix:
    """A sparse matrix of fixed pattern with affine entries."""

    def __init__(self, tensor: sp.sparray, columns: int, kept: np.ndarray, square: bool) -> None:
        reduced, indices, indptr, shape = canonInterface.reduce_problem_data_tensor(
            sp.csc_array(tensor), columns, square
        )
        self.rows = shape[0]
        stop = indptr[columns]
        self.values = AffineValues(sp.csr_array(reduced[:stop]))
        if np.diff(indptr[: columns + 1])[kept].sum() != stop:
            raise AssertionError("a placeholder stands in a constraint")
        indptr, indices = indptr[: columns + 1], np.asarray(indices)
        self.offset_rows, self.offset = indices[stop:], AffineValues(sp.csr_array(reduced[stop:]))
        self.indices = indices[:stop]
        self.indptr = indptr if kept.size == columns else np.append(indptr[kept], stop)
        if square and kept.size < columns:
            position = np.zeros(columns, dtype=indices.dtype)
            position[kept] = np.arange(kept.size)
            self.indices, self.rows = position[self.indices], kept.size

    @cached_property
    def constant(self) -> sp.csc_array | None:
        """The matrix if no parameter touches it."""
        return self._matrix(self.values.constant) if self.values.tensor is None else None

    def matrix(self, theta: np.ndarray) -> sp.csc_array:
        """The matrix at `theta`; the same object every time if it is constant."""
        return self._matrix(self.values(theta)) if self.constant is None else self.constant

    def shift(self, theta: np.ndarray) -> np.ndarray:
        """The offsets of the rows at `theta`."""
        shift = np.zeros(self.rows)
        shift[self.offset_rows] = self.offset(theta)
        return shift

    def _matrix(self, data: np.ndarray) -> sp.csc_array:
        return sp.csc_array((data, self.indices, self.indptr), shape=(self.rows, self.indptr.size - 1))


@dataclass(eq=False)
class ParametricProgram:
    r"""A stuffed prox program, its data affine in the parameters.

    .. math:: \tfrac12 x^T P x + q^T x + d + \sum_j w_j\, g_j(A_j x + b_j)

    CVXPY caches it between solves; `evaluate` applies the current values of the parameters.

    Attributes
    ----------
    P : ParametricMatrix or None
    A : ParametricMatrix
    q : AffineValues
        With the placeholders' columns, which hold the weights w, and d at the end.
    layout : Layout
    offsets : dict
        First column of every variable by id.
    shapes : dict
        Shape of every variable by id.
    columns : int
        Length of x with the placeholders.
    kept : ndarray of int
        Columns that are not placeholders, in the order of x.
    parameters : list of Parameter
    parameter_offsets : dict
        Position in the parameter vector by id.
    structured : StructuredPart or None
        The terms whose operators are not in A.
    names : tuple of (name, shape)
        The variables.
    objective : Expression or None
        The linear objective, where it is not affine in the parameters and so not in q.
    """

    P: ParametricMatrix | None
    A: ParametricMatrix
    q: AffineValues
    layout: Layout
    offsets: dict[int, int]
    shapes: dict[int, tuple[int, ...]]
    columns: int
    kept: np.ndarray
    parameters: list[Parameter]
    parameter_offsets: dict[int, int]
    stale: bool = False
    structured: StructuredPart | None = None
    names: tuple[tuple[str, tuple[int, ...]], ...] = ()
    objective: Expression | None = None

    def evaluate(self) -> StuffedData:
        """The numbers at the current values of the parameters.

        Raises
        ------
        ValueError
            If they contain NaN, or infinities other than in the bounds.
        """
        theta = self._theta()
        costs = self.q(theta)
        P = None if self.P is None else self.P.matrix(theta)
        A, order = self.A.matrix(theta), None if self.structured is None else self.structured.order
        if order is not None:
            A = A[:, order] if A.nnz else A
            P = P[order][:, order] if P is not None and P.nnz else None
        data = StuffedData(P, costs[:-1], float(costs[-1]), A, self.A.shift(theta), self.kept)
        data.check(self.layout)
        return data

    def split(self, x: np.ndarray) -> dict[int, np.ndarray]:
        """The variables, by id, in a vector over the kept columns."""
        full = np.zeros(self.columns)
        full[self.kept] = x
        values = {}
        for key, start in self.offsets.items():
            shape = self.shapes[key]
            size = int(np.prod(shape, dtype=int))
            values[key] = full[start : start + size].reshape(shape, order="F")
        return values

    def _theta(self) -> np.ndarray:
        theta = np.ones(1 + sum(p.size for p in self.parameters))
        for p in self.parameters:
            start = self.parameter_offsets[p.id]
            value = value_of(p)
            value = value.toarray() if sp.issparse(value) else np.asarray(value)
            theta[start : start + p.size] = value.ravel(order="F")
        return theta

    def __deepcopy__(self, memo: dict[int, Any]) -> ParametricProgram:
        """A stub: the copy of a problem has variables of its own and compiles anew."""
        stub = object.__new__(ParametricProgram)
        stub.stale = True
        return stub
