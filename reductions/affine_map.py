"""Affine expressions as sums of linear operators on their variables, structure kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.binary_operators import DivExpression, MulExpression, multiply
from cvxpy.atoms.affine.index import index, special_index
from cvxpy.atoms.affine.promote import Promote
from cvxpy.atoms.affine.reshape import reshape
from cvxpy.atoms.affine.transpose import transpose
from cvxpy.atoms.affine.unary_operators import NegExpression
from cvxpy.atoms.atom import Atom
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.variable import Variable
from torch import Tensor

import cvxprox.reductions.torch_operator_arrangement  # noqa: F401  (registers)
from cvxprox.atoms.complex_parts import REAL, PartOfLinear
from cvxprox.atoms.linear import LinearAtom
from cvxprox.operators import (
    Diagonal,
    FunctionOperator,
    Gather,
    Identity,
    LinearOperator,
    Matrix,
    Scaled,
    SparseMatrix,
    Sum,
    as_dense,
)
from cvxprox.operators.algebra import compose
from cvxprox.reductions.parameter_expression import ParameterExpressions
from cvxprox.reductions.torch_operator import TorchFunction, torch_operator
from cvxprox.reductions.torch_operator_batch import Shape, align, batch_of
from cvxprox.reductions.torch_operator_constants import dense

Operators = Mapping[int, LinearOperator]


@dataclass(frozen=True, eq=False)
class AffineMap:
    r"""The value :math:`\sum_v K_v v + b` of an expression.

    Attributes
    ----------
    operators : mapping of int to LinearOperator
        :math:`K_v` by the id of the variable, from its shape to that of the expression.
    offset : Tensor or None
        b, of the shape of the expression; None for zero.
    """

    operators: Operators
    offset: Tensor | None

    def after(self, K: LinearOperator) -> AffineMap:
        """The map followed by the linear operator `K`."""
        offset = None if self.offset is None else K.forward(self.offset.to(K.dtype_in))
        return AffineMap({v: compose(K, L) for v, L in self.operators.items()}, offset)

    def times(self, scalar: float | Tensor) -> AffineMap:
        """A multiple of the map, by a number or a 0-d tensor."""
        offset = None if self.offset is None else scalar * self.offset
        return AffineMap({v: scalar * L for v, L in self.operators.items()}, offset)


@dataclass
class Evaluation:
    """One evaluation of a problem's expressions.

    Subtrees and operators that appear twice are made once.

    Attributes
    ----------
    dtype, device
    parameters : ParameterExpressions or None
        Tensors for the parameters, with batch dimensions and graphs; None for their current values.
    differs : bool
        Whether an operator or a function was made that is another one for every sample of a batch.
    """

    dtype: torch.dtype
    device: torch.device
    parameters: ParameterExpressions | None = None
    differs: bool = False
    maps: dict[int, AffineMap] = field(default_factory=dict)
    operators: dict[tuple[object, ...], LinearOperator] = field(default_factory=dict)

    def map(self, expr: Expression) -> AffineMap:
        """The affine map of `expr`."""
        key = id(expr)
        if key not in self.maps:
            if not expr.variables():
                self.maps[key] = AffineMap({}, self.constant(expr))
            else:
                self.maps[key] = affine_map(expr, self)
        return self.maps[key]

    def constant(self, expr: Expression) -> Tensor:
        """The value of an expression without variables, of shape ``(*batch, *expr.shape)``."""
        if self.bound(expr):
            assert self.parameters is not None
            tensor = self.parameters(expr)
            return tensor.to(self.dtype.to_complex() if tensor.is_complex() else self.dtype)
        value = dense(expr.value).reshape(expr.shape)
        kind = self.dtype.to_complex() if np.iscomplexobj(value) else self.dtype
        return torch.as_tensor(np.ascontiguousarray(value)).to(self.device, kind)

    def bound(self, expr: Expression) -> bool:
        """Whether there are tensors for the parameters of `expr`."""
        return self.parameters is not None and self.parameters.bound(expr)

    def offset(self, expr: Expression) -> Tensor:
        """The value of `expr` with all variables at zero."""
        offset = self.map(expr).offset
        return torch.zeros(expr.shape, dtype=self.dtype, device=self.device) if offset is None else offset

    def operator(self, atom: LinearAtom) -> LinearOperator:
        """The operator of a linear atom with its data at their current values."""
        key = (id(atom), *map(id, atom.args[1:]))
        if key not in self.operators:
            data = [self.constant(arg) for arg in atom.args[1:]]
            batches = [batch_of(d, arg.ndim) for d, arg in zip(data, atom.args[1:], strict=True)]
            if any(batches):
                self.operators[key] = self._operators(atom, data, torch.broadcast_shapes(*batches))
            else:
                self.operators[key] = atom.operator(data, self.dtype, self.device)
        return self.operators[key]

    def _operators(self, atom: LinearAtom, data: list[Tensor], batch: Shape) -> LinearOperator:
        """One operator for every sample, as matrices."""
        self.differs = True
        wide = [
            d.expand((*batch, *a.shape)).reshape(-1, *a.shape)
            for d, a in zip(data, atom.args[1:], strict=True)
        ]
        operators = [atom.operator(list(own), self.dtype, self.device) for own in zip(*wide, strict=True)]
        matrix = Matrix(torch.stack([as_dense(K) for K in operators]).reshape(*batch, atom.size, -1))
        one = operators[0]

        def apply(x: Tensor) -> Tensor:
            y = matrix.forward(x.reshape(*batch_of(x, len(one.shape_in)), -1))
            return y.reshape((*y.shape[:-1], *one.shape_out))

        return FunctionOperator(apply, one.shape_in, one.shape_out, dtype_in=one.dtype_in, device=one.device)

    def complex_operator(self, part: PartOfLinear, inner: LinearOperator) -> LinearOperator:
        """The operator with complex results of which `part` is a part, after `inner`.

        The same object for the real and the imaginary part, so that their squares can be joined.
        """
        key = (id(part.parent), part.of, *map(id, part.args[1:]), id(inner))
        if key not in self.operators:
            data = tuple(self.constant(arg) for arg in part.args[1:])
            K = part.parent_operator(data, self.dtype, self.device)
            self.operators[key] = compose(K if part.of == REAL else Scaled(1j, K), inner)
        return self.operators[key]


@functools.singledispatch
def affine_map(expr: Expression, evaluation: Evaluation) -> AffineMap:
    r"""The affine map of an expression with variables.

    Atoms with a rule keep their structure (identity, weights, selections, linear atoms); of any
    other atom the torch equivalent becomes a `FunctionOperator` for every argument,
    :math:`t \mapsto f(\ldots, t, \ldots) - f(\ldots, 0, \ldots)` at the offsets of the other ones.
    """
    atom: Atom = expr
    function = torch_operator(atom)
    offsets = [evaluation.offset(arg) for arg in atom.args]
    base = function(*offsets)
    total = AffineMap({}, base if bool(base.any()) else None)
    for i, arg in enumerate(atom.args):
        if arg.variables():
            K = _slot(function, offsets, i, atom, evaluation)
            others = [(o, a) for j, (o, a) in enumerate(zip(offsets, atom.args, strict=True)) if j != i]
            evaluation.differs |= any(batch_of(offset, other.ndim) for offset, other in others)
            total = _sum(total, AffineMap(evaluation.map(arg).operators, None).after(K))
    return total


def _slot(
    function: TorchFunction, offsets: list[Tensor], i: int, atom: Atom, evaluation: Evaluation
) -> LinearOperator:
    shape = tuple(atom.args[i].shape)
    zero = torch.zeros(shape, dtype=offsets[i].dtype, device=evaluation.device)
    at_zero = function(*offsets[:i], zero, *offsets[i + 1 :])

    def linear(t: Tensor) -> Tensor:
        return function(*offsets[:i], t, *offsets[i + 1 :]) - at_zero

    def homogeneous(t: Tensor) -> Tensor:
        return function(*offsets[:i], t, *offsets[i + 1 :])

    chosen = linear if bool(at_zero.any()) else homogeneous
    return FunctionOperator(chosen, shape, tuple(atom.shape), dtype_in=zero.dtype, device=evaluation.device)


def _sum(a: AffineMap, b: AffineMap) -> AffineMap:
    operators = dict(a.operators)
    for v, K in b.operators.items():
        operators[v] = Sum((operators[v], K)) if v in operators else K
    offsets = [o for o in (a.offset, b.offset) if o is not None]
    return AffineMap(operators, sum(offsets[1:], offsets[0]) if offsets else None)


@affine_map.register
def _(expr: Variable, evaluation: Evaluation) -> AffineMap:
    return AffineMap({expr.id: Identity(tuple(expr.shape), evaluation.dtype, evaluation.device)}, None)


@affine_map.register
def _(expr: AddExpression, evaluation: Evaluation) -> AffineMap:
    if any(arg.variables() and arg.shape != expr.shape for arg in expr.args):
        return affine_map.dispatch(object)(expr, evaluation)
    total = AffineMap({}, None)
    for arg in expr.args:
        one = evaluation.map(arg)
        if one.offset is not None and arg.shape != expr.shape:
            offset = align(
                one.offset.reshape((*batch_of(one.offset, arg.ndim), *arg.shape)), arg.ndim, expr.ndim
            )
            one = AffineMap(one.operators, offset.expand((*batch_of(offset, expr.ndim), *expr.shape)))
        total = _sum(total, one)
    return total


@affine_map.register
def _(expr: NegExpression, evaluation: Evaluation) -> AffineMap:
    return evaluation.map(expr.args[0]).times(-1.0)


@affine_map.register(multiply)
@affine_map.register(MulExpression)
def _(expr: Atom, evaluation: Evaluation) -> AffineMap:
    left, right = expr.args
    moving, fixed = (left, right) if left.variables() else (right, left)
    elementwise = isinstance(expr, multiply) or () in (left.shape, right.shape)
    if elementwise and moving.shape == expr.shape:
        return _weighted(evaluation.map(moving), fixed, False, tuple(expr.shape), evaluation)
    if not elementwise and moving is right and right.ndim == 1 and left.ndim == 2:
        if evaluation.bound(left):
            matrix = Matrix(evaluation.constant(left))
            evaluation.differs |= matrix.matrix.dim() > 2
            return evaluation.map(right).after(matrix)
        if left.value is not None:
            return evaluation.map(right).after(_matrix(left, evaluation))
    return affine_map.dispatch(object)(expr, evaluation)


@affine_map.register
def _(expr: DivExpression, evaluation: Evaluation) -> AffineMap:
    if expr.args[0].shape != expr.shape:
        return affine_map.dispatch(object)(expr, evaluation)
    return _weighted(evaluation.map(expr.args[0]), expr.args[1], True, tuple(expr.shape), evaluation)


def _weighted(
    inner: AffineMap, fixed: Expression, divides: bool, shape: Shape, evaluation: Evaluation
) -> AffineMap:
    """The map times or divided by the value of `fixed`, entry by entry."""
    bound = evaluation.bound(fixed)
    while bound and isinstance(fixed, Promote):
        fixed = fixed.args[0]
    weight = evaluation.constant(fixed)
    weight = weight.reciprocal() if divides else weight
    if bound:  # the structure must not depend on the numbers
        if weight.numel() == 1:
            return inner.times(weight.reshape(()))
        evaluation.differs |= bool(batch_of(weight, fixed.ndim))
        return inner.after(Diagonal(align(weight, fixed.ndim, len(shape)), shape))
    first = weight.reshape(-1)[:1]
    if weight.numel() and bool((weight == first).all()):
        return inner.times(first.reshape(()))
    return inner.after(Diagonal(weight, shape))


def _matrix(expr: Expression, evaluation: Evaluation) -> LinearOperator:
    value = sp.csr_array(expr.value)
    kind = evaluation.dtype.to_complex() if np.iscomplexobj(value.data) else evaluation.dtype
    return SparseMatrix(value, kind, evaluation.device)


@affine_map.register(reshape)
@affine_map.register(transpose)
@affine_map.register(index)
@affine_map.register(special_index)
def _(expr: Atom, evaluation: Evaluation) -> AffineMap:
    """Entries of the argument in another order: found by sending their positions through the atom."""
    arg = expr.args[0]
    positions = torch.arange(arg.size, dtype=torch.float64).reshape(arg.shape)
    moved = torch_operator(expr)(positions).to(evaluation.device, torch.int64)
    inner = evaluation.map(arg)
    kind = evaluation.dtype.to_complex() if expr.is_complex() else evaluation.dtype
    return inner.after(Gather(moved, tuple(arg.shape), kind))


@affine_map.register
def _(expr: LinearAtom, evaluation: Evaluation) -> AffineMap:
    return evaluation.map(expr.args[0]).after(evaluation.operator(expr))


@affine_map.register
def _(expr: PartOfLinear, evaluation: Evaluation) -> AffineMap:
    inner = evaluation.map(expr.args[0])
    operators, offset = {}, None
    for v, L in inner.operators.items():
        K = evaluation.complex_operator(expr, L)
        operators[v] = compose(expr.part(K.shape_out, K.dtype_out, evaluation.device), K)
    if inner.offset is not None:
        offset = evaluation.operator(expr).forward(inner.offset)
    return AffineMap(operators, offset)
