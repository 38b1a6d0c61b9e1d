"""Values of expressions without variables, from tensors for their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.atoms.atom import Atom
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.expressions.expression import Expression
from torch import Tensor

import cvxprox.reductions.torch_operator_arrangement
import cvxprox.reductions.torch_operator_atoms
import cvxprox.reductions.torch_operator_products
import cvxprox.reductions.torch_operator_sums  # noqa: F401  (they register)
from cvxprox.atoms.data import to_tensor, value_of
from cvxprox.errors import ReductionError
from cvxprox.reductions.lifted_parameter import LiftedParameter
from cvxprox.reductions.torch_function import torch_function
from cvxprox.reductions.torch_operator import torch_operator

Values = Mapping[int, Tensor]
"""Tensors ``(*batch, *shape)`` by the id of a parameter."""


class ParameterExpressions:
    """Evaluates expressions of parameters; subtrees that appear twice are evaluated once.

    Parameters
    ----------
    values : mapping of int to Tensor
        By the id of the parameter; of the others ``.value`` is read.
    dtype : torch.dtype
        The real element type of what is read from CVXPY.
    device : torch.device
    """

    def __init__(self, values: Values, dtype: torch.dtype, device: torch.device) -> None:
        self.values = values
        self.dtype = dtype
        self.device = device
        self.known: dict[int, Tensor] = {}

    def __call__(self, expr: Expression) -> Tensor:
        """The value, of shape ``(*batch, *expr.shape)``, differentiable in the tensors.

        Raises
        ------
        ReductionError
            If a parameter goes through an atom without a derivative.
        """
        key = id(expr)
        if key not in self.known:
            self.known[key] = self._evaluate(expr)
        return self.known[key]

    def bound(self, expr: Expression) -> bool:
        """Whether the value depends on a tensor that was given."""
        return any(p.id in self.values for p in leaves(expr))

    def _evaluate(self, expr: Expression) -> Tensor:
        if isinstance(expr, Parameter) and expr.id in self.values:
            return self.values[expr.id]
        if isinstance(expr, LiftedParameter):
            return self(expr.source)
        if not self.bound(expr):
            value = value_of(expr)
            if value is None:
                missing = ", ".join(f"`{p.name()}`" for p in leaves(expr) if value_of(p) is None)
                raise ValueError(f"no tensor was given for {missing}, and there is no value either.")
            return to_tensor(value, expr.shape, self.dtype, self.device)
        assert isinstance(expr, Atom)
        return _function(expr)(*(self(arg) for arg in expr.args))


def leaves(expr: Expression) -> list[Parameter]:
    """The parameters of an expression, with those behind lifted ones in their place."""
    found: list[Parameter] = []
    for p in expr.parameters():
        found.extend(leaves(p.source) if isinstance(p, LiftedParameter) else [p])
    return found


def _function(atom: Atom) -> Callable[..., Tensor]:
    """The torch equivalent of an atom; by CVXPY's own values and gradients where torch has none."""
    known = torch_function(atom)
    if known is not None:
        return known
    try:
        return torch_operator(atom)
    except ReductionError:
        return lambda *args: _by_cvxpy(atom, args)


def _by_cvxpy(atom: Atom, args: tuple[Tensor, ...]) -> Tensor:
    batches = [a.shape[: a.dim() - arg.ndim] for a, arg in zip(args, atom.args, strict=True)]
    batch = torch.broadcast_shapes(*batches)
    if not batch:
        return _NumericAtom.apply(atom, *args)
    wide = [
        a.expand((*batch, *arg.shape)).reshape(-1, *arg.shape) for a, arg in zip(args, atom.args, strict=True)
    ]
    values = [_NumericAtom.apply(atom, *own) for own in zip(*wide, strict=True)]
    return torch.stack(values).reshape((*batch, *atom.shape))


class _NumericAtom(torch.autograd.Function):
    """CVXPY's value of an atom, with CVXPY's gradient."""

    @staticmethod
    def forward(ctx: Any, atom: Atom, *args: Tensor) -> Tensor:
        ctx.atom = atom
        ctx.save_for_backward(*args)
        value = atom.numeric([a.detach().cpu().numpy() for a in args])
        return to_tensor(value, atom.shape, args[0].dtype, args[0].device)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        atom, args = ctx.atom, ctx.saved_tensors
        jacobians = atom._grad([a.detach().cpu().numpy() for a in args])
        flat = grad.permute(tuple(reversed(range(grad.dim())))).reshape(-1)
        result: list[Tensor | None] = [None]
        for arg, jacobian in zip(args, jacobians, strict=True):
            if jacobian is None:
                raise ReductionError(
                    f"`{atom}` has no gradient at the values of its parameters; make its value a parameter."
                )
            matrix = sp.csr_array(jacobian) if not np.isscalar(jacobian) else np.full((1, 1), jacobian)
            column = _Product.apply(matrix, flat).reshape(tuple(reversed(arg.shape)))
            result.append(column.permute(tuple(reversed(range(arg.dim())))))
        return tuple(result)


class _Product(torch.autograd.Function):
    """A constant matrix times a vector."""

    @staticmethod
    def forward(ctx: Any, matrix: Any, x: Tensor) -> Tensor:
        ctx.matrix = matrix
        return torch.from_numpy(np.asarray(matrix @ x.detach().cpu().numpy())).to(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, _Product.apply(ctx.matrix.T, grad)
