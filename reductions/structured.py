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
from cvxprox.reductions.torch_operator_batch import batch_of

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

    def evaluate(self, costs: Tensor, probe: Tensor, evaluation: Evaluation) -> Evaluated:
        """Operators and numbers, at the tensors of the evaluation or the current values of the parameters.

        `costs` holds the coefficients of the objective, those of the placeholders included, of shape
        ``(*batch, columns)``. `probe`, of shape ``(columns,)``, is equal where these are the same
        functions of the parameters.
        """
        pad = torch.nn.functional.pad
        builder = _Builder(self, pad(costs, (0, 1)), pad(probe, (0, 1)), evaluation)
        for (con, origin), layout in zip(self.constraints, self.layouts, strict=True):
            builder.add(con, origin, layout)
        return Evaluated(tuple(builder.quadratics), tuple(builder.terms), builder.duals)


def stays_structured(con: Constraint) -> bool:
    """Whether the arguments of a lowered constraint stay operators.

    Those do that contain an operator of this library, and those that merely select, scale and
    shift the entries of variables: written as matrices they would hide that structure.
    """
    return has_operators(con) or (type(con) in _SIMPLE and all(_is_simple(arg) for arg in con.args))


def has_operators(con: Constraint) -> bool:
    """Whether a lowered constraint has functions or operators of this library."""
    return isinstance(con, AtomTerm) or any(_has_operator(arg) for arg in con.args)


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

    def __init__(self, part: StructuredPart, costs: Tensor, probe: Tensor, evaluation: Evaluation) -> None:
        self.part = part
        self.costs, self.probe = costs, probe
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
        evaluation.differs |= any(batch_of(d, arg.ndim) for d, arg in zip(data, con.args[1:], strict=True))
        form = atom.prox_form(data, evaluation.dtype, evaluation.device)
        affine = evaluation.map(con.args[0])
        if form.operator is not None:
            affine = affine.after(form.operator)
        K = self._flat(affine)
        assert con.placeholder is not None
        column = self.part.columns.get(con.placeholder.id, self.costs.shape[-1] - 1)
        shift = self._shift(affine, K.shape_out[0])
        shape = (form.shape[-1], *form.shape[:-1]) if form.leading else form.shape
        weight = self._weight(self._index(np.array([column])), 1.0, shape[0], label)
        self.terms.append(Term(K, shift, form.function, shape, form.leading, weight, label, len(self.terms)))

    @property
    def like(self) -> Tensor:
        """A tensor of the type and place of the evaluation."""
        return torch.empty(0, dtype=self.evaluation.dtype, device=self.evaluation.device)

    def _shift(self, affine: AffineMap, size: int) -> Tensor:
        return uniform(0.0, size, self.like) if affine.offset is None else flat_rows(affine.offset, size)

    def _weight(self, columns: Tensor, scale: float, count: int, label: str) -> Tensor:
        """The weights of `count` points, of shape ``(*batch, count)``; expanded where all are the same."""
        weights = scale * self.costs[..., columns].to(self.like)
        probe = self.probe[columns]
        same = bool((probe == probe[:1]).all())
        if bool((weights < 0).any()):
            raise ReductionError(
                f"the term `{label}` has a weight of the wrong sign, so the problem is not convex "
                "at these values. Check the signs of the parameters that multiply it."
            )
        if same:
            return weights[..., :1].expand((*weights.shape[:-1], count))
        return weights

    def _rows(self, con: Constraint, layout: Layout, label: str) -> None:
        evaluation = self.evaluation
        maps = [evaluation.map(arg) for arg in con.args]
        shapes = [tuple(arg.shape) for arg in con.args]
        position = fortran_positions(shapes)  # of a local row in the arguments, flattened in C order
        ends = np.cumsum([0, *(int(np.prod(s, dtype=int)) for s in shapes)])
        _finite(con, maps, label)
        numbers = self._numbers(maps, ends)[..., self._index(position)]  # of local rows
        rows_of: list[tuple[int, np.ndarray]] = []
        for box in layout.box:
            index = position[box.rows]
            K, shift, arranged = self._points(maps, ends, index)
            interval = self._interval(box, numbers, arranged.order)
            rows_of.append((len(self.terms), _ordered(box.rows, arranged.order)))
            self.terms.append(Term(K, shift, interval, arranged.shape, False, None, label, len(self.terms)))
        for piece in layout.pieces:
            index = position[piece.rows]
            K, shift, arranged = self._points(maps, ends, index)
            data = [numbers[..., self._index(_ordered(r, arranged.order))] for r in piece.data]
            evaluation.differs |= any(d.dim() > 1 for d in data)
            function = piece.build(*data)
            weight = None
            if piece.weights is not None:
                columns = self._index(_ordered(piece.weights, arranged.order))
                weight = self._weight(columns, piece.scale, arranged.shape[0], label)
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

    def _index(self, index: np.ndarray) -> Tensor:
        """Positions, where -1 is the last one."""
        return torch.from_numpy(np.require(index, requirements=("C", "W"))).to(self.evaluation.device)

    def _numbers(self, maps: list[AffineMap], ends: np.ndarray) -> Tensor:
        """The constants of all arguments, flattened in C order and joined."""
        parts = [self._shift(m, int(size)) for m, size in zip(maps, np.diff(ends), strict=True)]
        batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
        return torch.cat([part.expand(*batch, -1) for part in parts], -1)

    def _interval(self, box: BoxRows, numbers: Tensor, order: np.ndarray | None) -> prox.Box:
        lower, upper = (self._bound(_ordered(bound, order)) for bound in (box.lower, box.upper))
        is_ball = _ordered(box.radius >= 0, order)
        if is_ball.any():
            radius = numbers[..., self._index(_ordered(box.radius, order))]
            ball = self._index(is_ball)
            lower, upper = torch.where(ball, -radius, lower), torch.where(ball, radius, upper)
        return prox.Box(lower, upper)

    def _points(self, maps: list[AffineMap], ends: np.ndarray, index: np.ndarray) -> Any:
        """The operator and offset whose result is the points, and their arrangement."""
        least, most = int(index.min()), int(index.max())
        arg = int(np.searchsorted(ends, least, side="right")) - 1
        if most < ends[arg + 1]:
            affine, first, size = maps[arg], int(ends[arg]), int(ends[arg + 1] - ends[arg])
            K, shift = self._flat(affine), self._shift(affine, size)
        else:
            first, size = 0, int(ends[-1])
            pieces = tuple(self._flat(m) if m.operators else self._zero(ends, i) for i, m in enumerate(maps))
            K, shift = Stacked(pieces), self._numbers(maps, ends)
        arranged = arrange(index - first, size)
        if arranged.gather is not None:
            chosen = torch.from_numpy(np.ascontiguousarray(arranged.gather)).to(K.device)
            K = compose(Gather(chosen, K.shape_out, K.dtype_out), K)
            shift = shift[..., chosen]
        return K, shift, arranged

    def _zero(self, ends: np.ndarray, i: int) -> LinearOperator:
        empty = sp.csr_array((int(ends[i + 1] - ends[i]), self.part.size))
        return SparseMatrix(empty, self.evaluation.dtype, self.evaluation.device)

    def _bound(self, bound: np.ndarray) -> Tensor:
        if bound.size and (bound == bound[0]).all():
            return uniform(float(bound[0]), bound.size, self.like)
        return torch.from_numpy(bound).to(self.like)

    def _quadratic(self, K: LinearOperator, shift: Tensor, weight: Tensor, label: str) -> None:
        if weight.numel() and weight.stride()[-1] == 0:
            weight = weight[..., :1]
        self.evaluation.differs |= weight.dim() > 1
        if weight.dim() > 1 or weight.shape[-1] != 1:
            roots = safe_root(weight)
            K = compose(Diagonal(roots, K.shape_out), K)
            shift, weight = roots * shift, torch.ones_like(weight.reshape(-1)[:1])
        self.quadratics.append(Quadratic(K, -shift, weight.sum(), label))


def safe_root(weights: Tensor) -> Tensor:
    """The square roots; at zero with the derivative zero."""
    return torch.where(weights > 0, weights.clamp_min(torch.finfo(weights.dtype).tiny).sqrt(), 0.0)


def flat_rows(values: Tensor, size: int) -> Tensor:
    """Values ``(*batch, *shape)`` of `size` entries as ``(*batch, size)``."""
    lead, count = values.dim(), 1
    while count < size:
        lead -= 1
        count *= values.shape[lead]
    return values.reshape(*values.shape[:lead], size) if values.numel() > size else values.reshape(size)


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
