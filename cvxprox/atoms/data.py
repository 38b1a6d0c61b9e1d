"""The constant and parametric arguments of atoms: kernels, masks, weights, networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.leaf import Leaf
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Opaque:
    """A network, a function or an array inside an expression: copies share it, and it prints as its name.

    Attributes
    ----------
    value : object
        What is held.
    label : str
        How it prints.
    """

    value: Any
    label: str

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return self.label

    def __deepcopy__(self, memo: dict) -> Opaque:
        return self


def as_expression(value: object, place: str) -> Expression:
    """`value` as a CVXPY expression; NumPy arrays and tensors become constants.

    Raises
    ------
    ValueError
        For a tensor that requires gradients: an expression holds NumPy arrays.
    """
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ValueError(
                f"{place} is a tensor that requires gradients, and a constant cannot hold it. Pass a "
                "`cvxpy.Parameter` of its shape instead, and bind the tensor to that."
            )
        value = value.detach().cpu().numpy()
    if isinstance(value, list | tuple) and not any(isinstance(entry, Expression) for entry in value):
        value = np.asarray(value)  # row by row: CVXPY reads nested lists column by column
    return Expression.cast_to_const(value)


def check_data(atom: str, names: Sequence[str], data: Sequence[Expression]) -> None:
    """Refuse data that depend on a variable.

    Raises
    ------
    ValueError
        Naming the atom, the argument and the variable.
    """
    for name, value in zip(names, data, strict=False):
        if value.variables():
            found = ", ".join(f"`{v.name()}`" for v in value.variables())
            raise ValueError(
                f"the {name} of `{atom}` depends on the variable {found}; it has to be a constant or an "
                "expression of parameters. (A product of two variables is not convex.)"
            )


def size_text(shape: Sequence[int]) -> str:
    """A shape in words: ``9x9``."""
    return "x".join(str(length) for length in shape) or "scalar"


def describe(expr: Expression, name: str) -> str:
    """An argument in the name of an atom: short, whatever its size."""
    if isinstance(expr, Constant) and expr.size > 1:
        return f"{name} {size_text(expr.shape)}"
    return expr.name()


def value_of(expr: Expression) -> Any:
    """CVXPY's value of an expression; of a leaf with a sparsity pattern the sparse one."""
    sparse = isinstance(expr, Leaf) and expr.attributes["sparsity"]
    return expr.value_sparse if sparse else expr.value


def to_tensor(
    value: Any, shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Tensor:
    """CVXPY's value of an expression as a tensor: `dtype`, or its complex counterpart for a complex value."""
    array = value.toarray() if sp.issparse(value) else np.asarray(value)
    kind = dtype.to_complex() if np.iscomplexobj(array) else dtype
    return torch.tensor(array.reshape(tuple(shape))).to(device, kind)


def to_tensors(
    args: Sequence[Expression], values: Sequence[object], dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """The values of several expressions, see `to_tensor`."""
    return [to_tensor(value, arg.shape, dtype) for arg, value in zip(args, values, strict=True)]
