"""Parts of the matrix of the proximal step that are solved in closed form."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cvxprox.linear_solve.pieces import Weight
from cvxprox.linear_solve.quadratic import Variable
from cvxprox.operators import Basis
from cvxprox.operators.base import recording

Weights = tuple[Weight, ...] | dict[int, Weight]


class SliceSystem(abc.ABC):
    r"""The diagonal block of :math:`P + \Sigma + K^TRK` on one or more variables, uncoupled from the rest.

    Attributes
    ----------
    variables : tuple of Variable
    description : str
        Why a closed form exists, for reports.
    """

    variables: tuple[Variable, ...]
    description: str

    @abc.abstractmethod
    def factor(self, weights: tuple[Weight, ...], sigma: tuple[Tensor, ...]) -> Any:
        r"""What `solve` needs, for weights of the terms (1 for P, then the penalties) and :math:`\Sigma`.

        `sigma` has one tensor for every variable, 0-d or in the shape of the variable.
        """

    @abc.abstractmethod
    def solve(self, state: Any, rhs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The solution for right-hand sides in the shapes of the variables.

        Where no gradients are recorded, the arrays of the right-hand sides may be overwritten.
        """


@dataclass(frozen=True)
class Combination:
    r"""A weighted sum of eigenvalues, :math:`\sum_k w_{s_k} \lambda_k`."""

    sources: tuple[int, ...]
    values: tuple[Tensor, ...]

    def __call__(self, weights: Weights, start: Weight = 0.0) -> Tensor:
        """The sum plus `start`, in any shape that broadcasts against all of them."""
        total = start
        for source, values in zip(self.sources, self.values, strict=True):
            total = total + weights[source] * values
        return torch.as_tensor(total)


@dataclass(frozen=True)
class DiagonalSystem(SliceSystem):
    r"""One variable and one basis: :math:`Q^*\mathrm{diag}(\sigma + \sum_k w_k\lambda_k)\,Q\,x = b`.

    Parameters
    ----------
    variable : Variable
    basis : Basis
        :math:`Q`.
    eigenvalues : Combination
        :math:`\sum_k w_k\lambda_k`.
    description : str
    """

    variable: Variable
    basis: Basis
    eigenvalues: Combination
    description: str

    @property
    def variables(self) -> tuple[Variable, ...]:  # type: ignore[override]
        """The one."""
        return (self.variable,)

    def factor(self, weights: tuple[Weight, ...], sigma: tuple[Tensor, ...]) -> Tensor:
        """The reciprocals of the eigenvalues."""
        return reciprocal(self.eigenvalues(weights, sigma[0]), bool((sigma[0] > 0).all()))

    def solve(self, state: Tensor, rhs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One transform, one product and one inverse transform."""
        if not state.dim():
            return (scaled(rhs[0], state),)
        return (self.basis.inverse(scaled(self.basis.forward(rhs[0]), state)),)


def scaled(x: Tensor, values: Tensor) -> Tensor:
    """``values * x``, in the memory of `x` where no gradients are recorded and it has the shape."""
    if recording(x) or recording(values) or values.dim() > x.dim():
        return x * values
    return x.mul_(values)


def reciprocal(values: Tensor, positive: bool) -> Tensor:
    """``1 / values``, and zero where a value is zero.

    Without a proximal term the matrix may be singular (differences do not see constants). The
    solution is then the one of smallest norm: eigenvalues of at most 10 units of roundoff times the
    largest count as zero. With ``positive`` none does: what the proximal term adds is exact, however small.
    """
    if positive or not values.numel():
        return values.reciprocal()
    zero = values <= 10 * torch.finfo(values.dtype).eps * values.max()
    return torch.where(zero, 0.0, values.masked_fill(zero, 1.0).reciprocal())
