"""What atoms that apply a linear operator share."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.atoms.affine.affine_atom import AffAtom
from cvxpy.constraints.constraint import Constraint
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.constants.parameter import is_param_affine, is_param_free
from cvxpy.expressions.expression import Expression
from cvxpy.lin_ops.lin_op import LinOp
from cvxpy.reductions.complex2real.canonicalizers import CANON_METHODS as COMPLEX_TO_REAL
from cvxpy.utilities.scopes import dpp_scope_active
from torch import Tensor

from cvxprox.atoms import matrices
from cvxprox.atoms.data import to_tensors
from cvxprox.atoms.with_data import AtomWithData
from cvxprox.operators import LinearOperator

Shape = tuple[int, ...]
Parts = list[Expression | None]
UNIT = Constant(1j)


class LinearAtom(AtomWithData, AffAtom):
    r""":math:`y = K(d)\, x`: a linear operator, which may depend on data `d`, applied to an expression.

    ``args[0]`` is the expression `x` that the operator acts on, ``args[1:]`` are the data: constants,
    or expressions of parameters. NABLA_ADMM takes the operator as it is; other solvers get its matrix where
    that is small.

    The atom is affine in `x`, without a sign and without a monotonicity, so that CVXPY's rules take it for
    what it is. It follows the rule of `cvxpy.multiply` for parameters: a problem is DPP with parameters
    in the data, or in `x`, but not in both.

    A subclass names its data and its options (attributes that are set before ``super().__init__`` is
    called, in the order of its constructor's arguments), and says what `shape_from_args` and `operator` are.
    """

    linear_in_data: bool = True
    """Whether the operator depends linearly on each of its data."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        COMPLEX_TO_REAL[cls] = real_and_imaginary

    @abc.abstractmethod
    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        """:math:`K`, from arguments of the shape of ``args[0]`` to results of the shape of the atom.

        Parameters
        ----------
        data : sequence of Tensor
            One tensor for each of ``args[1:]``, of its shape; gradients flow through it.
        dtype : torch.dtype
            Type of the operator's arguments: real for a real expression, complex for a complex one.
        device : torch.device
            Where the operator is wanted.
        """

    def nonzeros_in_a_row(self) -> int:
        """At most how many nonzeros a row of the operator's matrix has."""
        return self.args[0].size

    def maps_to_complex(self) -> bool:
        """Whether the result is complex for a real expression and real data."""
        return False

    def constants(self) -> list[Constant]:
        """Those of the arguments, and a complex one if the result is complex.

        CVXPY reduces complex numbers to real ones where a leaf of the problem is complex.
        """
        return super().constants() + [UNIT] * self.maps_to_complex()

    def sign_from_args(self) -> tuple[bool, bool]:
        """Unknown."""
        return False, False

    def is_incr(self, idx: int) -> bool:
        """Not known to be monotone."""
        return False

    def is_decr(self, idx: int) -> bool:
        """Not known to be monotone."""
        return False

    def is_complex(self) -> bool:
        """Whether the operator, or an argument, is complex."""
        return self.maps_to_complex() or any(arg.is_complex() for arg in self.args)

    def is_imag(self) -> bool:
        """Whether a real operator is applied to an imaginary expression."""
        real = not self.maps_to_complex() and not any(arg.is_complex() for arg in self.args[1:])
        return real and self.args[0].is_imag()

    def is_atom_convex(self) -> bool:
        """Affine; under the rules for parameters, if they do not occur on both sides of the product."""
        if not dpp_scope_active():
            return True
        x, data = self.args[0], self.args[1:]
        return all(d.is_constant() for d in data) or (is_param_free(x) and all(map(is_param_affine, data)))

    def is_atom_concave(self) -> bool:
        """As `is_atom_convex`."""
        return self.is_atom_convex()

    def numeric(self, values: Sequence[Any]) -> np.ndarray:
        """The operator applied to the value of the expression, in double precision."""
        x, *data = to_tensors(self.args, values)
        with torch.no_grad():
            return self.operator(data, x.dtype, x.device).forward(x).numpy()

    def _grad(self, values: Sequence[Any]) -> list[Any]:
        x, *data = to_tensors(self.args, values)
        operator = self.operator(data, x.dtype, x.device)
        matrices.check_size(self, operator)
        matrix = matrices.fortran_order(self, matrices.as_matrix(operator))
        constant = [
            sp.csc_array((d.size, self.size)) if self.size * d.size > 1 else 0.0 for d in self.args[1:]
        ]
        return [sp.csc_array(matrix.T), *constant]

    def graph_implementation(
        self, arg_objs: list[LinOp], shape: Shape, data: list[Any] | None = None
    ) -> tuple[LinOp, list[Constraint]]:
        """The product with the operator's matrix, for solvers that take matrices.

        Raises
        ------
        cvxpy.error.SolverError
            If the matrix is too large, or its dependence on parameters cannot be expressed.
        """
        return matrices.product(self, arg_objs), []


def real_and_imaginary(
    expr: LinearAtom, real_args: Parts, imag_args: Parts, real2imag: dict[int, int]
) -> tuple[Expression | None, Expression | None]:
    """The real and the imaginary part of an atom, given those of its arguments."""
    from cvxprox.atoms.complex_parts import parts_of

    if expr.maps_to_complex() or any(part is not None for part in imag_args[1:]):
        return parts_of(expr, real_args, imag_args)
    pair = (real_args[0], imag_args[0])
    real, imag = (None if part is None else expr.copy([part, *real_args[1:]]) for part in pair)
    return real, imag
