"""The linear part of an atom: what is left of its torch equivalent without the offset."""

from __future__ import annotations

import enum
import functools

from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.binary_operators import BinaryOperator
from cvxpy.atoms.affine.broadcast_to import broadcast_to
from cvxpy.atoms.affine.concatenate import Concatenate
from cvxpy.atoms.affine.conj import conj
from cvxpy.atoms.affine.conv import conv, convolve
from cvxpy.atoms.affine.cumsum import cumsum
from cvxpy.atoms.affine.diag import diag_mat, diag_vec
from cvxpy.atoms.affine.hstack import Hstack
from cvxpy.atoms.affine.imag import imag
from cvxpy.atoms.affine.index import index, special_index
from cvxpy.atoms.affine.kron import kron
from cvxpy.atoms.affine.promote import Promote
from cvxpy.atoms.affine.real import real
from cvxpy.atoms.affine.reshape import reshape
from cvxpy.atoms.affine.sum import Sum
from cvxpy.atoms.affine.trace import Trace
from cvxpy.atoms.affine.transpose import transpose
from cvxpy.atoms.affine.unary_operators import NegExpression
from cvxpy.atoms.affine.upper_tri import upper_tri
from cvxpy.atoms.affine.vstack import Vstack
from cvxpy.atoms.affine.wraps import Wrap
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.elementwise.power import Power


class Linearity(enum.Enum):
    """How an affine atom depends on its arguments."""

    JOINT = "linear in all arguments together: the constant ones are replaced by zeros"
    EACH = "a product, linear in each argument: the constant ones stay"
    UNKNOWN = "perhaps with an offset of its own: the value at zero is subtracted"


@functools.singledispatch
def linearity(atom: Atom) -> Linearity:
    """How an atom depends on its arguments; UNKNOWN, which is always right, unless registered.

    A registered atom saves one subtraction in every application of its linear operator.
    """
    return Linearity.UNKNOWN


def _joint(atom: Atom) -> Linearity:
    return Linearity.JOINT


def _each(atom: Atom) -> Linearity:
    return Linearity.EACH


# Power reaches linear operators with the exponent 1 only: compile_affine takes affine trees.
JOINT = (
    AddExpression, Concatenate, Hstack, Vstack, NegExpression, Power, Promote, Sum, Trace, Wrap,
    broadcast_to, conj, cumsum, diag_mat, diag_vec, imag, index, real, reshape, special_index,
    transpose, upper_tri,
)  # fmt: skip
for _atom in JOINT:
    linearity.register(_atom)(_joint)
for _product in (BinaryOperator, kron, conv, convolve):
    linearity.register(_product)(_each)
