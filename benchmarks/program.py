"""The instances in data form, from which both the CVXPY problems and the residuals are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from benchmarks.rows import AtLeast, AtMost, Equal, NonNegative, Rows, Vector

Kind = Literal["lp", "qp", "socp"]
Varying = Literal["q", "rhs"]


@dataclass(frozen=True)
class Program:
    """Minimise ``1/2 x'Px + q'x`` subject to blocks of `rows`.

    Attributes
    ----------
    name : str
        Family and size, such as ``lasso-m``.
    kind : {"lp", "qp", "socp"}
        Decides which solvers are asked.
    P : sparse array or None
        Symmetric, both triangles, positive semidefinite. None for a linear objective.
    q : ndarray
        The linear part of the objective.
    rows : tuple of Rows
        The constraints.
    varying : {"q", "rhs"}
        The data that changes between the re-solves of the parametrised problem.
    """

    name: str
    kind: Kind
    P: sp.csc_array | None
    q: Vector
    rows: tuple[Rows, ...]
    varying: Varying = "q"

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of variables."""
        return sum(block.rhs.size for block in self.rows), self.q.size

    @property
    def nnz(self) -> int:
        """Number of nonzeros of the constraint matrix."""
        return sum(block.matrix.nnz for block in self.rows)

    def with_changes(self, rng: np.random.Generator, size: float = 0.05) -> Program:
        """The same program with its `varying` data scaled by random factors in ``1 ± size``.

        A changed right-hand side is scaled as a whole, towards zero, and only in the equalities.
        """
        if self.varying == "q":
            return replace(self, q=self.q * rng.uniform(1 - size, 1 + size, self.q.size))
        factor = rng.uniform(1 - size, 1)
        rows = tuple(
            replace(block, rhs=factor * block.rhs) if isinstance(block, Equal) else block
            for block in self.rows
        )
        return replace(self, rows=rows)


def from_bounds(
    name: str,
    P: sp.sparray | None,
    q: Vector,
    A: sp.sparray,
    lower: Vector,
    upper: Vector,
    *,
    nonnegative: bool = False,
    varying: Varying = "q",
) -> Program:
    """The program with ``lower <= A x <= upper``: equalities, upper and lower sides, only the finite ones.

    `nonnegative` adds ``x >= 0``.
    """
    A = sp.csr_array(A)
    equal = lower == upper
    sides: Sequence[tuple[type[Rows], Vector, Vector]] = (
        (Equal, equal, lower),
        (AtMost, np.isfinite(upper) & ~equal, upper),
        (AtLeast, np.isfinite(lower) & ~equal, lower),
    )
    rows = [side(A[mask], rhs[mask]) for side, mask, rhs in sides if mask.any()]
    if nonnegative:
        rows.append(NonNegative(sp.csr_array(sp.eye_array(q.size)), np.zeros(q.size)))
    kind: Kind = "lp" if P is None else "qp"
    return Program(name, kind, None if P is None else sp.csc_array(P), q, tuple(rows), varying)
