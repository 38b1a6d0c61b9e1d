r"""Blocks of constraint rows: what they mean, how CVXPY writes them and how their duals are read.

Every block is :math:`b - Ax \in C` for a closed convex cone :math:`C`. The multiplier :math:`y` of a block is
that of the Lagrangian :math:`f(x) + \sum y^T (Ax - b)`, so it lies in the dual cone :math:`C^*`: it is
free for equalities, nonnegative for `AtMost`, nonpositive for `AtLeast`.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

Vector = np.ndarray


@dataclass(frozen=True)
class Rows(abc.ABC):
    """Rows ``matrix @ x`` compared with `rhs`; the kind of comparison is the subclass."""

    matrix: sp.csr_array
    rhs: Vector

    @abc.abstractmethod
    def constraint(self, x: cp.Variable, rhs: cp.Expression | Vector) -> cp.Constraint:
        """The rows as a CVXPY constraint on `x`, with right-hand side `rhs`."""

    @abc.abstractmethod
    def violation(self, slack: Vector) -> Vector:
        r"""The part of ``slack = rhs - matrix @ x`` outside :math:`C`: slack minus its projection."""

    @abc.abstractmethod
    def multiplier(self, constraint: cp.Constraint) -> Vector:
        r"""The multiplier :math:`y` from CVXPY's dual value, as it is (not projected on :math:`C^*`)."""

    @abc.abstractmethod
    def project_multiplier(self, y: Vector) -> Vector:
        """The projection of `y` on the dual cone."""


class Equal(Rows):
    """``matrix @ x == rhs``."""

    def constraint(self, x: cp.Variable, rhs: cp.Expression | Vector) -> cp.Constraint:
        return self.matrix @ x == rhs

    def violation(self, slack: Vector) -> Vector:
        return slack

    def multiplier(self, constraint: cp.Constraint) -> Vector:
        return np.ravel(constraint.dual_value)

    def project_multiplier(self, y: Vector) -> Vector:
        return y


class AtMost(Rows):
    """``matrix @ x <= rhs``."""

    def constraint(self, x: cp.Variable, rhs: cp.Expression | Vector) -> cp.Constraint:
        return self.matrix @ x <= rhs

    def violation(self, slack: Vector) -> Vector:
        return np.minimum(slack, 0)

    def multiplier(self, constraint: cp.Constraint) -> Vector:
        return np.ravel(constraint.dual_value)

    def project_multiplier(self, y: Vector) -> Vector:
        return np.maximum(y, 0)


class AtLeast(Rows):
    """``matrix @ x >= rhs``. CVXPY's dual value is nonnegative, that of ``rhs - matrix @ x <= 0``."""

    def constraint(self, x: cp.Variable, rhs: cp.Expression | Vector) -> cp.Constraint:
        return self.matrix @ x >= rhs

    def violation(self, slack: Vector) -> Vector:
        return np.maximum(slack, 0)

    def multiplier(self, constraint: cp.Constraint) -> Vector:
        return -np.ravel(constraint.dual_value)

    def project_multiplier(self, y: Vector) -> Vector:
        return np.minimum(y, 0)


class NonNegative(AtLeast):
    """``x >= 0``: `matrix` is the identity and `rhs` is zero."""

    def constraint(self, x: cp.Variable, rhs: cp.Expression | Vector) -> cp.Constraint:
        return x >= 0


@dataclass(frozen=True)
class SecondOrder(Rows):
    r"""``rhs - matrix @ x`` stacks vectors :math:`(t, u)` of length `order` with :math:`\|u\|_2 \le t`."""

    order: int

    def constraint(self, x: cp.Variable, rhs: cp.Expression | Vector) -> cp.Constraint:
        points = cp.reshape(rhs - self.matrix @ x, (self.order, self.rhs.size // self.order), order="F")
        return cp.SOC(points[0], points[1:], axis=0)

    def violation(self, slack: Vector) -> Vector:
        return slack - self._project(slack)

    def multiplier(self, constraint: cp.Constraint) -> Vector:
        t, u = constraint.dual_value
        return np.vstack([np.reshape(t, (1, -1)), np.reshape(u, (self.order - 1, -1))]).ravel(order="F")

    def project_multiplier(self, y: Vector) -> Vector:
        return self._project(y)

    def _project(self, points: Vector) -> Vector:
        s = points.reshape(-1, self.order)
        t, norm = s[:, 0], np.linalg.norm(s[:, 1:], axis=1)
        inside, polar = norm <= t, norm <= -t
        half = np.where(inside, t, np.where(polar, 0.0, (t + norm) / 2))
        scale = np.where(inside, 1.0, half / np.where(norm > 0, norm, 1.0))
        return np.column_stack([half, scale[:, None] * s[:, 1:]]).ravel()
