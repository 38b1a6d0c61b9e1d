"""Convex sets, as lists of constraints."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
from cvxpy.constraints.constraint import Constraint


def simplex(x: Any, radius: Any = 1.0) -> list[Constraint]:
    r"""The constraints :math:`x \ge 0,\; \sum_i x_i = r`: `x` is a distribution.

    As the other sets, a list that is added to those of a problem:
    ``cp.Problem(objective, cvxprox.simplex(x) + [A @ x == b])``.

    Parameters
    ----------
    x : Expression
        Real, of any shape.
    radius : float or Parameter
        :math:`r`.
    """
    return [x >= 0, cp.sum(x) == radius]


def l1_ball(x: Any, radius: Any = 1.0) -> list[Constraint]:
    r"""The constraint :math:`\sum_i |x_i| \le r`, on all entries of an expression of any shape."""
    return [cp.norm1(x) <= radius]


def l2_ball(x: Any, radius: Any = 1.0) -> list[Constraint]:
    r"""The constraint :math:`(\sum_i |x_i|^2)^{1/2} \le r`, on all entries of an expression of any shape."""
    return [cp.pnorm(x, 2) <= radius]


def linf_ball(x: Any, radius: Any = 1.0) -> list[Constraint]:
    r"""The constraint :math:`\max_i |x_i| \le r`, on all entries of an expression of any shape."""
    return [cp.norm_inf(x) <= radius]


def nuclear_ball(x: Any, radius: Any = 1.0) -> list[Constraint]:
    r"""The constraint :math:`\sum_i \sigma_i(X) \le r` on the singular values of a matrix."""
    return [cp.normNuc(x) <= radius]


def box(x: Any, lower: Any = None, upper: Any = None) -> list[Constraint]:
    r"""The constraints :math:`l \le x \le u`; numbers or arrays, and None for no bound."""
    below = [] if lower is None else [x >= lower]
    return below + ([] if upper is None else [x <= upper])
