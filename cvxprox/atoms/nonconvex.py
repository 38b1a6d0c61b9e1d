"""Functions and sets that are not convex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from cvxpy.expressions.expression import Expression
from cvxpy.reductions.complex2real.canonicalizers import CANON_METHODS as COMPLEX_TO_REAL
from torch import Tensor

from cvxprox.atoms.axes import Axes, check_ndim, negative_axes
from cvxprox.atoms.complex_parts import paired
from cvxprox.atoms.function import TOLERANCE, IndicatorAtom, NonConvexAtom, ProxForm, grouped
from cvxprox.atoms.linear import Parts
from cvxprox.atoms.losses import check_nonneg, check_same_shape
from cvxprox.prox import Binary, Norm0, PhaseRetrieval, RankAtMost, RankPenalty, SparseK, UnitNorm


class norm0(NonConvexAtom):
    """The number of nonzero entries; as a value, of those larger than 1e-6 in modulus.

    Parameters
    ----------
    x : Expression
        Real, of any shape.
    """

    def __init__(self, x: Any) -> None:
        super().__init__(x)

    def numeric(self, values: Sequence[Any]) -> Any:
        """The number of entries larger than 1e-6."""
        return np.asarray(float(np.count_nonzero(np.abs(np.asarray(values[0])) > TOLERANCE)))

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        return ProxForm(None, Norm0(), (self.args[0].size,))


class sparse_k(IndicatorAtom):
    """The indicator of arrays with at most `k` nonzero entries: 0 for these, infinite for others.

    Parameters
    ----------
    x : Expression
        Real, of any shape.
    k : int
        Nonnegative.
    """

    options: ClassVar[tuple[str, ...]] = ("k",)

    def __init__(self, x: Any, k: int) -> None:
        self.k = k
        super().__init__(x)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        _check_count("sparse_k", "k", self.k)

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        return ProxForm(None, SparseK(self.k), (1, self.args[0].size))


class MatrixAtom(NonConvexAtom):
    """A function of a matrix."""

    def __init__(self, x: Any) -> None:
        super().__init__(x)

    @classmethod
    def label(cls) -> str:
        return "rank"

    def validate_arguments(self) -> None:
        super().validate_arguments()
        if self.args[0].ndim != 2:
            raise ValueError(
                f"`rank` needs a matrix, but `{self.args[0].name()}` has the shape {self.args[0].shape}."
            )


class RankAtom(MatrixAtom):
    """The rank; made by `rank`."""

    def numeric(self, values: Sequence[Any]) -> Any:
        """The number of singular values above 1e-6 times the largest."""
        return np.asarray(float(np.linalg.matrix_rank(np.asarray(values[0]), rtol=TOLERANCE)))

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        return ProxForm(None, RankPenalty(), (1, *self.args[0].shape))


class RankBound(MatrixAtom, IndicatorAtom):
    """The indicator of matrices of bounded rank; made by `rank`."""

    options: ClassVar[tuple[str, ...]] = ("at_most",)

    def __init__(self, x: Any, at_most: int) -> None:
        self.at_most = at_most
        super().__init__(x)

    def name(self) -> str:
        return f"rank({self.args[0].name()}, at_most={self.at_most})"

    def validate_arguments(self) -> None:
        super().validate_arguments()
        _check_count("rank", "at_most", self.at_most)

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        return ProxForm(None, RankAtMost(self.at_most), (1, *self.args[0].shape))


def rank(x: Any, at_most: int | None = None) -> MatrixAtom:
    """The rank of a matrix, or the indicator of the matrices of rank at most `at_most`.

    Parameters
    ----------
    x : Expression
        A real matrix.
    at_most : int, optional
        If given, the result is 0 for matrices of at most this rank and infinite for others.
    """
    return RankAtom(x) if at_most is None else RankBound(x, at_most)


class unit_norm(IndicatorAtom):
    r"""The indicator of :math:`\|x\|_2 = 1`, or of arrays made of such vectors.

    Parameters
    ----------
    x : Expression
        Real, of any shape.
    axes : int or tuple of int, optional
        The axes that one vector extends over; all of them by default.
    """

    options: ClassVar[tuple[str, ...]] = ("axes",)

    def __init__(self, x: Any, axes: Axes = None) -> None:
        self.axes = axes
        super().__init__(x)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_ndim("unit_norm", self.args[0].shape, 1)
        negative_axes("unit_norm", self.axes, self.args[0].ndim)

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        shape = tuple(self.args[0].shape)
        axes = negative_axes("unit_norm", self.axes, len(shape))
        operator, points, leading = grouped(shape, axes, dtype, device)
        return ProxForm(operator, UnitNorm(), points, leading)


class binary(IndicatorAtom):
    """The indicator of arrays of zeros and ones.

    Parameters
    ----------
    x : Expression
        Real, of any shape.
    """

    def __init__(self, x: Any) -> None:
        super().__init__(x)

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        return ProxForm(None, Binary(), (self.args[0].size,))


class phase_retrieval(IndicatorAtom):
    r"""The indicator of numbers with a known modulus, :math:`|x_i| = b_i`, their phases unknown.

    With ``x = fft2(image)`` it says that the magnitudes of a Fourier transform were measured.

    Parameters
    ----------
    x : Expression
        Complex, or real (the signs are unknown then), of any shape.
    modulus : array, Tensor, Constant or Parameter
        :math:`b \ge 0`, of the shape of `x`, or a number. A parameter has to be declared nonnegative.

    References
    ----------
    Fienup, *Phase retrieval algorithms: a comparison* (1982).
    """

    data_names: ClassVar[tuple[str, ...]] = ("modulus",)
    _allow_complex = True

    def __init__(self, x: Any, modulus: Any) -> None:
        super().__init__(x, modulus)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_nonneg("phase_retrieval", "modulus", self.args[1])
        self._check_shape()

    def _check_shape(self) -> None:
        check_same_shape("phase_retrieval", "modulus", self.args[1], self.args[0])

    @property
    def _parts(self) -> int:
        """How many real numbers make one of the numbers."""
        return 1

    def numeric(self, values: Sequence[Any]) -> Any:
        x, modulus = np.abs(np.asarray(values[0])), np.asarray(values[1])
        inside = np.all(np.abs(x - modulus) <= TOLERANCE * (1 + np.max(x, initial=0.0)))
        return np.asarray(0.0 if inside else np.inf)

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        modulus = data[0].to(device, dtype)
        lead = modulus.dim() - self.args[1].ndim
        flat = modulus.flatten(lead) if self.args[1].ndim else modulus
        parts = self._parts
        return ProxForm(None, PhaseRetrieval(flat), (parts, self.args[0].size // parts), leading=True)


class PairedPhaseRetrieval(phase_retrieval):
    """`phase_retrieval` of the real parts ``x[0]`` and the imaginary parts ``x[1]`` of complex numbers.

    CVXPY's reduction of complex numbers makes it.
    """

    @classmethod
    def label(cls) -> str:
        return "phase_retrieval"

    @property
    def _parts(self) -> int:
        return 2

    def _check_shape(self) -> None:
        check_same_shape("phase_retrieval", "modulus", self.args[1], self.args[0][0])

    def numeric(self, values: Sequence[Any]) -> Any:
        pair = np.asarray(values[0])
        return super().numeric([pair[0] + 1j * pair[1], values[1]])


def _phase_of_parts(
    expr: phase_retrieval, real_args: Parts, imag_args: Parts, real2imag: dict[int, int]
) -> tuple[Expression, None]:
    (real, modulus), (imag, _) = real_args, imag_args
    if imag is None:
        return expr.copy([real, modulus]), None
    if real is None:
        return expr.copy([imag, modulus]), None
    return PairedPhaseRetrieval(paired(real, imag), modulus), None


COMPLEX_TO_REAL[phase_retrieval] = _phase_of_parts


def _check_count(atom: str, name: str, value: object) -> None:
    if not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"the {name} of `{atom}` is {value!r}; it is a nonnegative integer.")
