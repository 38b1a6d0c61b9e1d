"""Real and imaginary parts of operators with complex results."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import cvxpy as cp
import numpy as np
import torch
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.expression import Expression
from torch import Tensor

from cvxprox.atoms.linear import LinearAtom, Parts, Shape
from cvxprox.atoms.with_data import AtomWithData
from cvxprox.operators import ImagPart, LinearOperator, RealPair, RealPart, Scaled

REAL, IMAGINARY = "real", "imaginary"


class PartOfLinear(LinearAtom):
    r"""A part of :math:`K(d)\, u\, x` for real `x`, where `K` is the operator of another atom.

    CVXPY's reduction of complex numbers makes these; a user has no need of them.

    Parameters
    ----------
    x : Expression
        Real: the real or the imaginary part of what `parent` acts on.
    *data : Expression
        Those of `parent`, each complex one replaced by its real and its imaginary part.
    parent : LinearAtom
        The atom with the complex result. The four parts that come from one atom share it.
    of : str
        Which part of the argument `x` is: :math:`u = 1` for "real", :math:`u = i` for "imaginary".
    """

    options: ClassVar[tuple[str, ...]] = ("parent", "of")

    def __init__(self, x: Expression, *rest: Any) -> None:
        *data, self.parent, self.of = rest
        self.linear_in_data = self.parent.linear_in_data
        super(AtomWithData, self).__init__(x, *data)

    @staticmethod
    @abc.abstractmethod
    def part(shape: Shape, dtype: torch.dtype, device: torch.device | str) -> LinearOperator:
        """The part of complex tensors as an operator."""

    @abc.abstractmethod
    def letters(self) -> str:
        """How the part is called."""

    def name(self) -> str:
        """The part of the parent."""
        unit = "" if self.of == REAL else "1j * "
        return f"{self.letters()}({self.parent.label()}({unit}{self.args[0].name()}))"

    def shape_from_args(self) -> Shape:
        """That of the parent."""
        return tuple(self.parent.shape)

    def is_complex(self) -> bool:
        """Real."""
        return False

    def is_imag(self) -> bool:
        """Real."""
        return False

    def parent_data(self, data: Sequence[Tensor]) -> list[Tensor]:
        """The data of the parent put together from those of this atom."""
        pieces = iter(data)
        return [
            torch.complex(next(pieces), next(pieces)) if arg.is_complex() else next(pieces)
            for arg in self.parent.args[1:]
        ]

    def parent_operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        """The parent's operator on real tensors, with complex results: what the parts of a pair share."""
        return self.parent.operator(self.parent_data(data), dtype, device)

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        K = self.parent_operator(data, dtype, device)
        turned = K if self.of == REAL else Scaled(1j, K)
        return self.part(K.shape_out, turned.dtype_out, device) @ turned

    def nonzeros_in_a_row(self) -> int:
        return self.parent.nonzeros_in_a_row()


class RealPartOf(PartOfLinear):
    r""":math:`\mathrm{Re}\, K(d)\, u\, x`."""

    @staticmethod
    def part(shape: Shape, dtype: torch.dtype, device: torch.device | str) -> LinearOperator:
        return RealPart(shape, dtype, torch.device(device))

    def letters(self) -> str:
        return "real"


class ImagPartOf(PartOfLinear):
    r""":math:`\mathrm{Im}\, K(d)\, u\, x`."""

    @staticmethod
    def part(shape: Shape, dtype: torch.dtype, device: torch.device | str) -> LinearOperator:
        return ImagPart(shape, dtype, torch.device(device))

    def letters(self) -> str:
        return "imag"


class PairOf(PartOfLinear):
    """Both parts, stacked: of shape ``(2, *shape)``."""

    @staticmethod
    def part(shape: Shape, dtype: torch.dtype, device: torch.device | str) -> LinearOperator:
        return RealPair(shape, dtype, torch.device(device))

    def letters(self) -> str:
        return "parts"

    def shape_from_args(self) -> Shape:
        """Two arrays of the shape of the parent."""
        return (2, *self.parent.shape)


def parts_of(expr: LinearAtom, real_args: Parts, imag_args: Parts) -> tuple[Expression, Expression]:
    """The real and the imaginary part of an atom, given those of its arguments."""
    data: list[Expression] = []
    for arg, real, imag in zip(expr.args[1:], real_args[1:], imag_args[1:], strict=True):
        zero = Constant(np.zeros(arg.shape))
        data.append(zero if real is None else real)
        if arg.is_complex():
            data.append(zero if imag is None else imag)
    given = [(real_args[0], REAL), (imag_args[0], IMAGINARY)]
    moving = [(part, of) for part, of in given if part is not None]
    real_terms = [RealPartOf(part, *data, expr, of) for part, of in moving]
    imag_terms = [ImagPartOf(part, *data, expr, of) for part, of in moving]
    return _sum(real_terms), _sum(imag_terms)


def _sum(terms: Sequence[Expression]) -> Expression:
    first, *others = terms
    return first + others[0] if others else first


def paired(real: Expression, imag: Expression) -> Expression:
    """Real and imaginary parts stacked along a new first axis; of one atom where they come from one."""
    match real, imag:
        case RealPartOf(), ImagPartOf() if real.parent is imag.parent and real.of == imag.of:
            if all(one is other for one, other in zip(real.args, imag.args, strict=True)):
                return PairOf(*real.args, real.parent, real.of)
        case AddExpression(), AddExpression() if len(real.args) == len(imag.args):
            terms = [paired(one, other) for one, other in zip(real.args, imag.args, strict=True)]
            return AddExpression(terms)
        case Constant(), Constant():
            return Constant(np.stack([real.value, imag.value]))
    return cp.stack([real, imag], axis=0)
