"""Expressions in few words, for plans and messages."""

from __future__ import annotations

import functools

import numpy as np
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.binary_operators import DivExpression, MulExpression, multiply
from cvxpy.atoms.affine.index import index, special_index
from cvxpy.atoms.affine.promote import Promote
from cvxpy.atoms.affine.reshape import reshape
from cvxpy.atoms.affine.unary_operators import NegExpression
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.pnorm import Pnorm
from cvxpy.atoms.quad_over_lin import quad_over_lin
from cvxpy.constraints import Equality, Inequality
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.leaf import Leaf
from cvxpy.utilities.canonical import Canonical

from cvxprox.atoms.function import FunctionAtom
from cvxprox.atoms.linear import LinearAtom

LONGEST = 70


def describe(node: Canonical) -> str:
    """One line: constants by their shapes, sums and products with signs, everything else by its name."""
    text = " ".join(_text(node).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@functools.singledispatch
def _text(node: Canonical) -> str:
    return str(node)


@_text.register
def _(node: Atom) -> str:
    return f"{type(node).__name__}({', '.join(_text(arg) for arg in node.args)})"


@_text.register
def _(node: Leaf) -> str:
    return node.name()


@_text.register
def _(node: Constant) -> str:
    if node.size == 1:
        return f"{np.ravel(node.value)[0]:.4g}"
    return "[" + "×".join(map(str, node.shape)) + "]"


@_text.register
def _(node: AddExpression) -> str:
    parts = [_text(arg) for arg in node.args]
    signed = [f"- {part[1:]}" if part.startswith("-") else f"+ {part}" for part in parts[1:]]
    return " ".join([parts[0], *signed])


@_text.register
def _(node: NegExpression) -> str:
    inner = _text(node.args[0])
    return f"-({inner})" if isinstance(node.args[0], AddExpression) else f"-{inner}"


@_text.register(multiply)
@_text.register(MulExpression)
@_text.register(DivExpression)
def _(node: Atom) -> str:
    sign = {multiply: "∘", MulExpression: "@", DivExpression: "/"}[type(node)]
    scalar = any(arg.shape == () or isinstance(arg, Promote) for arg in node.args) and sign != "/"
    parts = [f"({_text(arg)})" if isinstance(arg, AddExpression) else _text(arg) for arg in node.args]
    return f" {'*' if scalar else sign} ".join(parts)


@_text.register(Promote)
@_text.register(reshape)
def _(node: Atom) -> str:
    return _text(node.args[0])


@_text.register(index)
@_text.register(special_index)
def _(node: Atom) -> str:
    shown = node.name()
    return shown if len(shown) <= LONGEST else _text.dispatch(Atom)(node)


@_text.register
def _(node: quad_over_lin) -> str:
    unit = node.args[1].is_constant() and node.args[1].value is not None and node.args[1].value == 1
    return f"sum_squares({_text(node.args[0])})" if unit else _text.dispatch(Atom)(node)


@_text.register
def _(node: Pnorm) -> str:
    axis = "" if node.axis is None else f", axis={node.axis}"
    return f"norm({_text(node.args[0])}, {node.p}{axis})"


@_text.register(LinearAtom)
@_text.register(FunctionAtom)
def _(node: LinearAtom | FunctionAtom) -> str:
    return node.name()


@_text.register(Equality)
@_text.register(Inequality)
def _(node: Equality | Inequality) -> str:
    return f"{_text(node.args[0])} {'==' if isinstance(node, Equality) else '<='} {_text(node.args[1])}"
