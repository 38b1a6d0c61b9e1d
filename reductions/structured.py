"""The part of a problem whose operators stay operators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.binary_operators import DivExpression, MulExpression, multiply
from cvxpy.atoms.affine.unary_operators import NegExpression
from cvxpy.constraints import NonNeg, Zero
from cvxpy.constraints.constraint import Constraint
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.variable import Variable
from torch import Tensor

from cvxprox import prox
from cvxprox.atoms.linear import LinearAtom
from cvxprox.errors import ReductionError
from cvxprox.operators import Diagonal, Gather, LinearOperator, OnSlice, SparseMatrix, Stacked, Sum
from cvxprox.operators.algebra import compose
from cvxprox.planning import Quadratic, Term, uniform
from cvxprox.reductions.affine_map import AffineMap, Evaluation
from cvxprox.reductions.arrange import arrange, fortran_positions
from cvxprox.reductions.describe import describe
from cvxprox.reductions.layout import BoxRows, Layout
from cvxprox.reductions.prox_term import AtomTerm, ProxTerm

Dual = Callable[[np.ndarray], "np.ndarray | float"]


@dataclass(frozen=True, eq=False)
class StructuredPart:
    """The constraints and terms of a stuffed problem that are not written as matrices.

    Attributes
    ----------
    constraints : tuple of (lowered, origin)
    layouts : tuple of Layout
        The rows of every constraint by itself, its arguments flattened in Fortran order.
    starts : dict
        First entry of every variable in x, by id.
    columns : dict
        First column of every placeholder, by id.
    size : int
        Length of x.
    variables : tuple of (name, start, shape)
        The variables in x.
    order : ndarray of int
        The entry of the variables in Fortran order for every entry of x, which has them in C order.
    """

    constraints: tuple[tuple[Constraint, Constraint], ...]
    layouts: tuple[Layout, ...]
    starts: dict[int, int]
    columns: dict[int, int]
    size: int
    variables: tuple[tuple[str, int, tuple[int, ...]], ...]
    order: np.ndarray

    def evaluate(self, costs: np.ndarray, dtype: torch.dtype, device: torch.device) -> Evaluated:
        """Operators and numbers at the current values of the parameters.

        `costs` holds the coefficients of the objective, those of the placeholders included.
        """
        builder = _Builder(self, np.append(costs, 0.0), Evaluation(dtype, device))
        for (con, origin), layout in zip(self.constraints, self.layouts, strict=True):
            builder.add(con, origin, layout)
        return Evaluated(tuple(builder.quadratics), tuple(builder.terms), builder.duals)


def stays_structured(con: Constraint) -> bool:
    """Whether the arguments of a lowered constraint stay operators.

    Those do that contain an operator of this library, and those that merely select, scale and
    shift the entries of variables: written as matrices they would hide that structure.
    """
    if isinstance(con, AtomTerm):
        return True
    return any(_has_operator(arg) for arg in con.args) or (
        type(con) in _SIMPLE and all(_is_simple(arg) for arg in con.args)
    )


_SIMPLE = (ProxTerm, Zero, NonNeg)


def _has_operator(expr: Expression) -> bool:
    return isinstance(expr, LinearAtom) or any(_has_operator(arg) for arg in expr.args)


def _is_simple(expr: Expression) -> bool:
    """Whether the expression is a sum of variables, each elementwise weighted and shifted."""
    if not expr.variables() or isinstance(expr, Variable):
        return True
    if isinstance(expr, AddExpression | NegExpression):
        return all(_is_simple(arg) and arg.shape in ((), expr.shape) for arg in expr.args)
    if isinstance(expr, multiply | DivExpression | MulExpression):
        moving = [arg for arg in expr.args if arg.variables()]
        # `multiply` is derived from the matrix product
        elementwise = type(expr) is not MulExpression or () in (expr.args[0].shape, expr.args[1].shape)
        return elementwise and moving[0].shape == expr.shape and _is_simple(moving[0])
    return False


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Terms with numbers; `duals` turns the dual points of terms into those of a constraint."""

    quadratics: tuple[Quadratic, ...]
    terms: tuple[Term, ...]
    duals: list[tuple[int, Callable[[dict[int, np.ndarray]], Any]]]


class _Builder:
    """Collects the terms of one evaluation."""

    def __init__(self, part: StructuredPart, costs: np.ndarray, evaluation: Evaluation) -> None:
        self.part = part
        self.costs = costs
        self.evaluation = evaluation
        self.quadratics: list[Quadratic] = []
        self.terms: list[Term] = []
        self.duals: list[tuple[int, Callable[[dict[int, np.ndarray]], Any]]] = []

    def add(self, con: Constraint, origin: Constraint, layout: Layout) -> None:
        """The terms of one constraint."""
        label = describe(con.origin if isinstance(con, ProxTerm) else origin)
        try:
            if isinstance(con, AtomTerm):
                self._atom(con, label)
            else:
                self._rows(con, layout, label)
        except ReductionError:
            raise
        except ValueError as error:
            raise ValueError(f"in `{label}`: {error}") from error

    def _flat(self, affine: AffineMap) -> LinearOperator:
        """The linear part on the vector of all variables."""
        starts, size = self.part.starts, self.part.size
        pieces = [OnSlice(K, starts[v], size) for v, K in affine.operators.items()]
        return pieces[0] if len(pieces) == 1 else Sum(tuple(pieces))

    def _atom(self, con: AtomTerm, label: str) -> None:
        evaluation, atom = self.evaluation, con.atom
        data = tuple(evaluation.constant(arg) for arg in con.args[1:])
        form = atom.prox_form(data, evaluation.dtype, evaluation.device)
        affine = evaluation.map(con.args[0])
        if form.operator is not None:
            affine = affine.after(form.operator)
        K = self._flat(affine)
        assert con.placeholder is not None
        column = self.part.columns.get(con.placeholder.id, len(self.costs) - 1)
        shift = self._shift(affine, K)
        shape = (form.shape[-1], *form.shape[:-1]) if form.leading else form.shape
        weight = self._weight(self.costs[column : column + 1], shape[0], label)
        self.terms.append(Term(K, shift, form.function, shape, form.leading, weight, label, len(self.terms)))

    def _shift(self, affine: AffineMap, K: LinearOperator) -> Tensor:
        if affine.offset is None:
            return uniform(0.0, K.shape_out[0], torch.empty(0, dtype=K.dtype_out, device=K.device))
        return affine.offset.reshape(-1)

    def _weight(self, weights: np.ndarray, count: int, label: str) -> Tensor:
        if (weights < 0).any():
            raise ReductionError(
                f"the term `{label}` has a weight of the wrong sign, so the problem is not convex "
                "at these values. Check the signs of the parameters that multiply it."
            )
        like = torch.empty(0, dtype=self.evaluation.dtype, device=self.evaluation.device)
        if weights.size == 1 or (weights == weights[0]).all():
            return uniform(float(weights[0]), count, like)
        return torch.from_numpy(weights).to(like)

    def _rows(self, con: Constraint, layout: Layout, label: str) -> None:
        evaluation = self.evaluation
        maps = [evaluation.map(arg) for arg in con.args]
        shapes = [tuple(arg.shape) for arg in con.args]
        position = fortran_positions(shapes)  # of a local row in the arguments, flattened in C order
        ends = np.cumsum([0, *(int(np.prod(s, dtype=int)) for s in shapes)])
        offsets = torch.cat([evaluation.offset(arg).reshape(-1) for arg in con.args]).cpu().numpy()
        numbers = offsets[position]  # of local rows
        _finite(con, maps, label)
        rows_of: list[tuple[int, np.ndarray]] = []
        for box in layout.box:
            index = position[box.rows]
            lower, upper = _bounds(box, numbers)
            K, shift, arranged = self._points(maps, ends, index)
            lower, upper = (_ordered(bound, arranged.order) for bound in (lower, upper))
            rows_of.append((len(self.terms), _ordered(box.rows, arranged.order)))
            interval = prox.Box(self._bound(lower), self._bound(upper))
            self.terms.append(Term(K, shift, interval, arranged.shape, False, None, label, len(self.terms)))
        for piece in layout.pieces:
            index = position[piece.rows]
            K, shift, arranged = self._points(maps, ends, index)
            data = [torch.from_numpy(_ordered(numbers[r], arranged.order)).to(shift) for r in piece.data]
            function = piece.build(*data)
            weight = None
            if piece.weights is not None:
                costs = _ordered(self.costs[piece.weights] * piece.scale, arranged.order)
                weight = self._weight(costs, arranged.shape[0], label)
                if isinstance(function, prox.Square):
                    self._quadratic(K, shift, weight, label)
                    continue
            rows = np.moveaxis(piece.rows if arranged.order is None else piece.rows[arranged.order], 0, -1)
            rows = rows if arranged.leading else np.moveaxis(rows, -1, 0)
            rows_of.append((len(self.terms), rows.ravel()))
            self.terms.append(
                Term(K, shift, function, arranged.shape, arranged.leading, weight, label, len(self.terms))
            )
        for key, dual in layout.duals.items():
            self.duals.append((key, functools.partial(_dual, dual, layout.size, rows_of)))

    def _points(self, maps: list[AffineMap], ends: np.ndarray, index: np.ndarray) -> Any:
        """The operator and offset whose result is the points, and their arrangement."""
        least, most = int(index.min()), int(index.max())
        arg = int(np.searchsorted(ends, least, side="right")) - 1
        if most < ends[arg + 1]:
            affine, first, size = maps[arg], int(ends[arg]), int(ends[arg + 1] - ends[arg])
            K, shift = self._flat(affine), self._shift_of(affine, size)
        else:
            first, size = 0, int(ends[-1])
            pieces = tuple(self._flat(m) if m.operators else self._zero(ends, i) for i, m in enumerate(maps))
            K = Stacked(pieces)
            shift = torch.cat([self._shift_of(m, int(e)) for m, e in zip(maps, np.diff(ends), strict=True)])
        arranged = arrange(index - first, size)
        if arranged.gather is not None:
            chosen = torch.from_numpy(np.ascontiguousarray(arranged.gather)).to(K.device)
            K = compose(Gather(chosen, K.shape_out, K.dtype_out), K)
            shift = shift[chosen]
        return K, shift, arranged

    def _shift_of(self, affine: AffineMap, size: int) -> Tensor:
        like = torch.empty(0, dtype=self.evaluation.dtype, device=self.evaluation.device)
        return uniform(0.0, size, like) if affine.offset is None else affine.offset.reshape(-1)

    def _zero(self, ends: np.ndarray, i: int) -> LinearOperator:
        empty = sp.csr_array((int(ends[i + 1] - ends[i]), self.part.size))
        return SparseMatrix(empty, self.evaluation.dtype, self.evaluation.device)

    def _bound(self, bound: np.ndarray) -> Tensor:
        like = torch.empty(0, dtype=self.evaluation.dtype, device=self.evaluation.device)
        if bound.size and (bound == bound[0]).all():
            return uniform(float(bound[0]), bound.size, like)
        return torch.from_numpy(bound).to(like)

    def _quadratic(self, K: LinearOperator, shift: Tensor, weight: Tensor, label: str) -> None:
        if weight.stride() != (0,):
            K = compose(Diagonal(weight.sqrt(), K.shape_out), K)
            shift, weight = weight.sqrt() * shift, torch.ones_like(weight[:1])
        self.quadratics.append(Quadratic(K, -shift, weight[0] if weight.numel() else weight.sum(), label))


def _bounds(box: BoxRows, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    is_ball = box.radius >= 0
    if not is_ball.any():
        return box.lower, box.upper
    radius = numbers[box.radius]
    return np.where(is_ball, -radius, box.lower), np.where(is_ball, radius, box.upper)


def _ordered(values: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    return values if order is None else values[order]


def _finite(con: Constraint, maps: list[AffineMap], label: str) -> None:
    for affine in maps:
        if affine.offset is not None and not bool(torch.isfinite(affine.offset).all()):
            raise ValueError("Problem data contains NaN or Inf. Check your parameter values and constants.")


def _dual(dual: Dual, size: int, rows_of: list[tuple[int, np.ndarray]], ys: dict[int, np.ndarray]) -> Any:
    full = np.zeros(size)
    for key, rows in rows_of:
        full[rows] = ys[key]
    return dual(full)
