"""A square root of a positive semidefinite parameter, so that quadratic forms of it are differentiable."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import torch
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.quad_form import QuadForm
from cvxpy.expressions.expression import Expression
from torch import Tensor

from cvxprox.reductions.torch_function import TorchFunction, torch_function


class MatrixRoot(Atom):
    r""":math:`R` with :math:`R^T R = P`, upper triangular, for a positive definite P.

    Its value and its derivatives are those of the Cholesky factorisation.
    """

    def numeric(self, values: list[Any]) -> np.ndarray:
        """The transposed Cholesky factor."""
        return np.linalg.cholesky(values[0]).T

    def shape_from_args(self) -> tuple[int, ...]:
        """That of P."""
        return tuple(self.args[0].shape)

    def sign_from_args(self) -> tuple[bool, bool]:
        """Unknown."""
        return False, False

    def is_atom_convex(self) -> bool:
        """No: it is only taken of parameters."""
        return False

    def is_atom_concave(self) -> bool:
        """No."""
        return False

    def is_incr(self, idx: int) -> bool:
        """No."""
        return False

    def is_decr(self, idx: int) -> bool:
        """No."""
        return False

    def _grad(self, values: list[Any]) -> list[None]:
        return [None]


@torch_function.register
def _(atom: MatrixRoot) -> TorchFunction:
    return root


def root(P: Tensor) -> Tensor:
    """The transposed Cholesky factor of the symmetric part of P."""
    return torch.linalg.cholesky(0.5 * (P + P.mT)).mT


def has_parametric_matrix(expr: Any) -> bool:
    """Whether `expr` is a quadratic form of variables with parameters in its matrix."""
    return isinstance(expr, QuadForm) and bool(expr.args[1].parameters()) and bool(expr.args[0].variables())


def as_sum_of_squares(expr: QuadForm, matrix: Expression) -> Expression:
    """The quadratic form as a sum of squares, `matrix` being a root of its matrix."""
    return cp.sum_squares(matrix @ expr.args[0])
