"""Which CVXPY atoms have a proximal operator: the one registry, `prox_of`."""

from __future__ import annotations

import math
from functools import singledispatch

import cvxpy as cp
import numpy as np
import torch
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.elementwise.maximum import maximum
from cvxpy.atoms.elementwise.power import Power
from cvxpy.atoms.max import max as max_atom
from cvxpy.atoms.min import min as min_atom
from cvxpy.atoms.norm1 import norm1
from cvxpy.atoms.norm_inf import norm_inf
from cvxpy.atoms.pnorm import Pnorm
from cvxpy.atoms.quad_form import QuadForm
from cvxpy.atoms.quad_over_lin import quad_over_lin
from cvxpy.expressions.expression import Expression

from cvxprox import prox
from cvxprox.reductions.prox_term import ProxSpec

__all__ = ["elementwise", "groups", "prox_atoms", "prox_of"]


def elementwise(arg: Expression) -> np.ndarray:
    """The index of an atom that acts on every element by itself, shape ``(size, 1)``."""
    return np.arange(arg.size)[:, None]


def groups(arg: Expression, axis: int | tuple[int, ...] | None) -> np.ndarray:
    """The index of an atom that reduces `axis`: one row per entry of the result."""
    if axis is None or arg.ndim == 0:
        return np.arange(arg.size)[None, :]
    axes = [a % arg.ndim for a in np.atleast_1d(axis)]
    kept = [a for a in range(arg.ndim) if a not in axes]
    index = np.arange(arg.size).reshape(arg.shape, order="F").transpose(*kept, *axes)
    return index.reshape(math.prod(arg.shape[a] for a in kept), -1, order="F")


def matrix(arg: Expression) -> np.ndarray:
    """The index of an atom of one matrix, shape ``(1, rows, columns)``."""
    return np.arange(arg.size).reshape((1, *arg.shape), order="F")


@singledispatch
def prox_of(atom: Expression, arg: Expression) -> ProxSpec | None:
    """The prox form of `atom` applied to the affine expression `arg`, or None if it has none.

    Register new atoms with ``@prox_of.register(AtomClass)``. Dispatch follows the classes' MRO.

    Parameters
    ----------
    atom : Expression
        The atom as it stands in the user's objective.
    arg : Expression
        Its first argument after canonicalisation: affine, of the same shape.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox
    >>> x = cp.Variable(3)
    >>> cvxprox.prox_of(cp.norm1(x), x).key
    'Abs'
    """
    return None


def prox_atoms() -> list[str]:
    """The names of the atoms that the compiler keeps as prox terms."""
    return sorted(kind.__name__ for kind in prox_of.registry if kind is not object)


def _separable(
    name: str, build: type[prox.ProxFunction], index: np.ndarray, sign: int = 1, scale: float = 1.0
) -> ProxSpec:
    return ProxSpec(name, build, index, sign=sign, scale=scale)


@prox_of.register(cp.abs)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return _separable("Abs", prox.Abs, elementwise(arg))


@prox_of.register(norm1)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return _separable("Abs", prox.Abs, groups(arg, atom.axis))


@prox_of.register(Pnorm)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    if atom.p != 2:
        return None
    index = groups(arg, atom.axis)
    if index.shape[1] == 1:
        return _separable("Abs", prox.Abs, index)
    return ProxSpec("Norm2", prox.Norm2, index, pad=True)


@prox_of.register(norm_inf)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return ProxSpec("NormInf", prox.NormInf, groups(arg, atom.axis), pad=True)


@prox_of.register(max_atom)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return ProxSpec("Max", prox.Max, groups(arg, atom.axis))


@prox_of.register(min_atom)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return ProxSpec("Max", prox.Max, groups(arg, atom.axis), argument=-arg, sign=-1)


@prox_of.register(cp.sum_largest)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    index = groups(arg, getattr(atom, "axis", None))
    if not isinstance(atom.k, int | float) or not 0 < atom.k < index.shape[1]:
        return None
    k = float(atom.k)
    return ProxSpec(("SumLargest", k), lambda: prox.SumLargest(k), index)


@prox_of.register(cp.log_sum_exp)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return ProxSpec("LogSumExp", prox.LogSumExp, groups(arg, atom.axis))


@prox_of.register(cp.exp)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return _separable("Exp", prox.Exp, elementwise(arg))


@prox_of.register(cp.logistic)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return _separable("Logistic", prox.Logistic, elementwise(arg))


@prox_of.register(cp.log)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return _separable("NegLog", prox.NegLog, elementwise(arg), sign=-1)


@prox_of.register(cp.log1p)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return ProxSpec("NegLog", prox.NegLog, elementwise(arg), argument=arg + 1, sign=-1)


@prox_of.register(cp.entr)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return _separable("NegEntropy", prox.NegEntropy, elementwise(arg), sign=-1)


@prox_of.register(maximum)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    """``pos(x) = maximum(x, 0)``; other maxima are linear inequalities."""
    if len(atom.args) != 2 or atom.args[0].shape != atom.shape or not atom.args[1].is_zero():
        return None
    return _separable("Positive", prox.Positive, elementwise(arg))


@prox_of.register(cp.huber)
def _(atom: Atom, arg: Expression) -> ProxSpec:
    return ProxSpec("Huber", prox.Huber, elementwise(arg), data=(atom.M,))


@prox_of.register(Power)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    if atom.p.value != 2:
        return None
    return _separable("Square", prox.Square, elementwise(arg))


@prox_of.register(quad_over_lin)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    denominator = atom.args[1]
    if denominator.parameters() or not denominator.is_constant() or denominator.value <= 0:
        return None
    index = groups(arg, atom.axis)
    return _separable("Square", prox.Square, index, scale=1 / float(denominator.value))


@prox_of.register(QuadForm)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    if atom.args[1].parameters() or not atom.is_atom_convex():
        return None
    form = atom.args[1].value
    dense = torch.as_tensor(form.toarray() if hasattr(form, "toarray") else np.asarray(form))
    return ProxSpec(("QuadForm", id(atom)), lambda: prox.QuadForm(dense), groups(arg, None))


@prox_of.register(cp.normNuc)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    return ProxSpec("NuclearNorm", prox.NuclearNorm, matrix(arg)) if arg.ndim == 2 else None


@prox_of.register(cp.sigma_max)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    return ProxSpec("SpectralNorm", prox.SpectralNorm, matrix(arg)) if arg.ndim == 2 else None


@prox_of.register(cp.lambda_max)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    # CVXPY derives lambda_sum_largest from lambda_max
    if type(atom) is not cp.lambda_max or arg.ndim != 2 or not arg.is_symmetric():
        return None
    return ProxSpec("LambdaMax", prox.LambdaMax, matrix(arg))


@prox_of.register(cp.log_det)
def _(atom: Atom, arg: Expression) -> ProxSpec | None:
    if arg.ndim != 2 or not arg.is_symmetric():
        return None
    return ProxSpec("NegLogDet", prox.NegLogDet, matrix(arg), sign=-1)
