"""QDLDL factors, with the empty matrix included."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import qdldl
import scipy.sparse as sp


class Factor(Protocol):
    """A factored quasi-definite matrix."""

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """The solution of the system."""
        ...


class _EmptyFactor:
    """The factor of the matrix of order zero."""

    def solve(self, rhs: np.ndarray) -> np.ndarray:
        """The empty vector."""
        return rhs


def factorize(upper: sp.csc_array, previous: Any = None) -> Factor:
    """Factor the matrix with the given upper triangle, with the ordering of `previous` if given.

    Raises
    ------
    RuntimeError
        If the matrix is not quasi-definite in floating-point arithmetic.
    """
    if not upper.shape[0]:
        return _EmptyFactor()
    if previous is None:
        return qdldl.Solver(upper, upper=True)
    previous.update(upper, upper=True)
    return previous
