"""Norm balls: ``norm(X) <= r`` with a constant or parametric radius is a projection."""

from __future__ import annotations

from functools import singledispatch

import cvxpy as cp
import numpy as np
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.norm1 import norm1
from cvxpy.atoms.norm_inf import norm_inf
from cvxpy.atoms.pnorm import Pnorm
from cvxpy.constraints.nonpos import Inequality
from cvxpy.expressions.expression import Expression

from cvxprox import prox
from cvxprox.reductions.prox_of import elementwise, groups, matrix
from cvxprox.reductions.prox_term import ProxSpec

BOX = "Box"
"""Key of the balls that are intervals; the layout folds them into the program's box rows."""


def _box(index: np.ndarray, radius: Expression) -> ProxSpec:
    return ProxSpec(BOX, prox.Box, index, (radius,), dual=lambda y: np.abs(y).sum(axis=1))


@singledispatch
def ball_of(atom: Expression, arg: Expression, radius: Expression) -> ProxSpec | None:
    """The projection behind ``atom(arg) <= radius``, or None if there is none.

    `dual` of the spec: the multiplier is the dual norm of the dual point.
    """
    return None


@ball_of.register(cp.abs)
def _(atom: Atom, arg: Expression, radius: Expression) -> ProxSpec:
    return _box(elementwise(arg), radius)


@ball_of.register(norm_inf)
def _(atom: Atom, arg: Expression, radius: Expression) -> ProxSpec:
    return _box(groups(arg, atom.axis), radius)


@ball_of.register(norm1)
def _(atom: Atom, arg: Expression, radius: Expression) -> ProxSpec:
    index = groups(arg, atom.axis)
    dual = lambda y: np.abs(y).max(axis=1)  # noqa: E731
    return ProxSpec("Norm1Ball", prox.Norm1Ball, index, (radius,), pad=True, dual=dual)


@ball_of.register(Pnorm)
def _(atom: Atom, arg: Expression, radius: Expression) -> ProxSpec | None:
    if atom.p != 2:
        return None
    index = groups(arg, atom.axis)
    dual = lambda y: np.linalg.norm(y, axis=1)  # noqa: E731
    return ProxSpec("Norm2Ball", prox.Norm2Ball, index, (radius,), pad=True, dual=dual)


@ball_of.register(cp.normNuc)
def _(atom: Atom, arg: Expression, radius: Expression) -> ProxSpec | None:
    if arg.ndim != 2:
        return None
    dual = lambda y: np.linalg.norm(y, ord=2, axis=(1, 2))  # noqa: E731
    return ProxSpec("NuclearBall", prox.NuclearBall, matrix(arg), (radius,), dual=dual)


@ball_of.register(cp.sigma_max)
def _(atom: Atom, arg: Expression, radius: Expression) -> ProxSpec | None:
    if arg.ndim != 2:
        return None
    dual = lambda y: np.linalg.norm(y, ord="nuc", axis=(1, 2))  # noqa: E731
    return ProxSpec("SpectralBall", prox.SpectralBall, matrix(arg), (radius,), dual=dual)


def is_ball(constraint: Inequality) -> bool:
    """Whether the constraint reads ``norm(X) <= r`` with a radius that is known to be >= 0.

    A radius of unknown sign goes to CVXPY's cones, where a negative one is an infeasible problem.
    """
    atom, radius = constraint.args
    if ball_of.dispatch(type(atom)) is ball_of.dispatch(object) or not radius.is_constant():
        return False
    if radius.size not in (1, atom.size) or atom.is_constant():
        return False
    return bool(radius.is_nonneg())
