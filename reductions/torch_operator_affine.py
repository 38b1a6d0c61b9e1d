"""Affine CVXPY expressions as functions of torch tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.leaf import Leaf
from cvxpy.expressions.variable import Variable
from torch import Tensor

from cvxprox.operators import FunctionOperator, SparseMatrix
from cvxprox.reductions.torch_operator_batch import batch_of
from cvxprox.reductions.torch_operator_program import Known, Program, TorchValue, build_program

Shape = tuple[int, ...]


def compile_affine(
    expr: Expression,
    parameters: Mapping[Parameter, Tensor] | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> AffineFunction:
    r"""Turn an affine CVXPY expression into a differentiable torch function.

    The result is called with ``{variable: tensor}`` and returns the value of the expression as a
    tensor, whose gradients reach the variables and the parameters. Tensors are plain n-d arrays
    in C order, with any leading batch dimensions: a variable of shape ``(m, n)`` takes a tensor of
    shape ``(*batch, m, n)``. Constant subtrees are evaluated once, here; sparse constants stay
    sparse in matrix products.

    Parameters
    ----------
    expr : cvxpy.Expression
        Affine in its variables; it need not be DPP.
    parameters : mapping of Parameter to Tensor, optional
        Values that replace the ``.value`` of parameters, possibly requiring gradients, possibly
        batched. The others are read from ``.value`` whenever the function is evaluated.
    dtype : torch.dtype
        The real element type; complex leaves use its complex counterpart.
    device : torch.device or str

    Returns
    -------
    AffineFunction
        Callable; with `offset` :math:`b` and `operator` :math:`K`, so that the value is :math:`Kx + b`.

    Raises
    ------
    ReductionError
        If the expression is not affine, or contains an atom without a torch equivalent.

    Examples
    --------
    >>> import cvxpy as cp, numpy as np, torch
    >>> x, p = cp.Variable(3), cp.Parameter(2)
    >>> f = compile_affine(cp.multiply(p, cp.diff(x)) + 1)
    >>> w = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    >>> g = f.bind({p: w})
    >>> v = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    >>> g({x: v}).detach()
    tensor([ 2., -3.], dtype=torch.float64)
    >>> g({x: torch.stack([v, 2 * v])}).shape
    torch.Size([2, 2])
    >>> torch.autograd.grad(g({x: v}).sum(), w)[0]
    tensor([1., 2.], dtype=torch.float64)
    >>> K = g.operator(x)
    >>> K.adjoint(torch.ones(2, dtype=torch.float64)).detach()
    tensor([-1.,  3., -2.], dtype=torch.float64)
    >>> g.offset.detach()
    tensor([1., 1.], dtype=torch.float64)
    """
    return AffineFunction(
        expr=expr,
        program=build_program(expr),
        parameters=dict(parameters or {}),
        dtype=dtype.to_real(),
        device=torch.device(device),
    ).bind({})


@dataclass(frozen=True, eq=False, repr=False)
class AffineFunction:
    """The torch function :math:`x \\mapsto Kx + b` of an affine expression; made by `compile_affine`.

    Attributes
    ----------
    expr : cvxpy.Expression
        The expression.
    program : Program
        Its evaluation, step by step.
    parameters : mapping of Parameter to Tensor
        The values given with `bind`; other parameters are read from ``.value``.
    dtype, device
        The real element type, and where to compute.
    constants : mapping, optional
        The program's constants in that type and there; made when omitted.
    """

    expr: Expression
    program: Program
    parameters: Mapping[Parameter, Tensor]
    dtype: torch.dtype
    device: torch.device
    constants: Mapping[int, TorchValue] | None = None

    def __post_init__(self) -> None:
        if self.constants is None:
            moved = {slot: self._constant(value) for slot, value in self.program.constants.items()}
            object.__setattr__(self, "constants", moved)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of the expression, in the order of ``expr.variables()``."""
        return tuple(self.program.variables)

    @property
    def shape(self) -> Shape:
        """The shape of the expression."""
        return tuple(self.expr.shape)

    def bind(self, parameters: Mapping[Parameter, Tensor]) -> AffineFunction:
        """The same function with tensors for some parameters; gradients flow through them.

        Raises
        ------
        ValueError
            If a tensor does not end with the shape of its parameter, or is of another element
            type than the function, or the parameter is not one of the expression's.
        """
        merged = {**self.parameters, **parameters}
        for parameter, value in merged.items():
            if parameter not in self.program.parameters:
                raise ValueError(f"`{parameter.name()}` is not a parameter of the expression `{self.expr}`.")
            self._check(parameter, value)
        return replace(self, parameters=merged)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> AffineFunction:
        """The same function on another device or in another precision; bound tensors move along."""
        target = torch.device(device) if device is not None else self.device
        real = (dtype or self.dtype).to_real()
        moved = {
            parameter: value.to(target, real.to_complex() if value.is_complex() else real)
            for parameter, value in self.parameters.items()
        }
        return replace(self, parameters=moved, dtype=real, device=target, constants=None)

    def __call__(self, values: Mapping[Variable, Tensor]) -> Tensor:
        """The value of the expression, of shape ``(*batch, *shape)``, at tensors for all variables.

        Raises
        ------
        ValueError
            If a variable has no tensor, or one of another shape or element type.
        """
        known = self._frozen()
        for variable, slot in self.program.variables.items():
            if variable not in values:
                raise ValueError(f"no tensor was given for the variable `{variable.name()}`.")
            self._check(variable, values[variable])
            known[slot] = values[variable]
        return self.program.run(self.program.variable_steps, known)

    @property
    def offset(self) -> Tensor:
        """:math:`b`, the value where all variables are zero, of shape ``(*batch, *shape)``.

        The batch is that of the parameters.
        """
        return self({v: self._zeros(v) for v in self.variables})

    def operator(self, variables: Variable | Sequence[Variable] | None = None) -> FunctionOperator:
        """:math:`K`, the linear part in some variables (the others at zero), at the current parameters.

        Parameters
        ----------
        variables : Variable or sequence of Variable, optional
            For one variable, the operator takes tensors of its shape. For a sequence (all
            variables if omitted) it takes vectors: the variables flattened in C order and joined;
            they are complex if one of the variables is, and a real variable then uses the real part.

        Returns
        -------
        FunctionOperator
            Parameters are read now: bind again after they change. Its adjoint is exact for the real
            inner product, and differentiable in the bound tensors.

        Raises
        ------
        ValueError
            If a variable does not occur in the expression.
        """
        one = isinstance(variables, Variable)
        chosen: tuple[Variable, ...] = (
            self.variables if variables is None else (variables,) if one else tuple(variables)
        )
        for v in chosen:
            if v not in self.program.variables:
                raise ValueError(f"`{v.name()}` is not a variable of the expression `{self.expr}`.")
        known = self._frozen()
        slots = [self.program.variables[v] for v in chosen]
        linear = self.program.linear_part(slots, known, self._zeros)

        def apply(*tensors: Tensor) -> Tensor:
            if linear is None:
                return self._zeros(self.expr).expand(batch_of(tensors[0], chosen[0].ndim) + self.shape)
            return linear({**known, **dict(zip(slots, tensors, strict=True))})

        dtype = functools.reduce(torch.promote_types, (self._kind(v) for v in chosen), self.dtype)
        if one:
            return self._operator(apply, chosen[0].shape, dtype)
        return self._operator(lambda x: apply(*_split(x, chosen)), (sum(v.size for v in chosen),), dtype)

    def _operator(
        self, function: Callable[[Tensor], Tensor], shape: Shape, dtype: torch.dtype
    ) -> FunctionOperator:
        return FunctionOperator(function, tuple(shape), self.shape, dtype_in=dtype, device=self.device)

    def _frozen(self) -> dict[int, TorchValue]:
        """The constants, and all that follows from the parameters."""
        known: Known = dict(self.constants or {})
        for parameter, slot in self.program.parameters.items():
            known[slot] = self._parameter(parameter)
        self.program.advance(self.program.parameter_steps, known)
        return known

    def _parameter(self, parameter: Parameter) -> Tensor:
        if parameter in self.parameters:
            return self.parameters[parameter]
        if parameter.value is None:
            raise ValueError(
                f"the parameter `{parameter.name()}` has no value: set `.value` or bind a tensor to it."
            )
        return self._tensor(parameter.value).reshape(parameter.shape)

    def _constant(self, value: np.ndarray | sp.csr_array) -> TorchValue:
        if sp.issparse(value):
            return SparseMatrix(value, self.dtype, self.device)
        return self._tensor(value)

    def _tensor(self, value: object) -> Tensor:
        tensor = torch.tensor(value)  # a copy: CVXPY's arrays may be views, or change
        return tensor.to(self.device, self.dtype.to_complex() if tensor.is_complex() else self.dtype)

    def _kind(self, leaf: Leaf) -> torch.dtype:
        return self.dtype.to_complex() if leaf.is_complex() else self.dtype

    def _zeros(self, expr: Expression) -> Tensor:
        kind = self.dtype.to_complex() if expr.is_complex() else self.dtype
        return torch.zeros(expr.shape, dtype=kind, device=self.device)

    def _check(self, leaf: Leaf, value: Tensor) -> None:
        ndim = len(leaf.shape)
        if value.dim() < ndim or tuple(value.shape[value.dim() - ndim :]) != tuple(leaf.shape):
            raise ValueError(
                f"`{leaf.name()}` has shape {leaf.shape}, but its tensor has shape {tuple(value.shape)}; "
                "only leading batch dimensions may be added."
            )
        if value.dtype.to_real() != self.dtype or (value.is_complex() and not leaf.is_complex()):
            raise ValueError(
                f"`{leaf.name()}` needs a tensor of type {self._kind(leaf)}, got {value.dtype}; "
                "convert the tensor, or the function with `.to(dtype=...)`."
            )


def _split(x: Tensor, variables: Iterable[Variable]) -> list[Tensor]:
    """A stacked vector taken apart into the tensors of the variables."""
    variables = tuple(variables)
    pieces = x.split([math.prod(v.shape) for v in variables], dim=-1)
    return [
        (p.real if p.is_complex() and not v.is_complex() else p).reshape(x.shape[:-1] + tuple(v.shape))
        for p, v in zip(pieces, variables, strict=True)
    ]
