"""From terms to a program: which term goes where, for a given algorithm."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvxprox.algorithms.form import Form
from cvxprox.linear_solve.structure import spectral_structure
from cvxprox.operators import (
    Composed,
    Identity,
    LinearOperator,
    OnSlice,
    SparseMatrix,
    SquareOnSlice,
    Stacked,
    Sum,
    gram,
    gram_spectrum,
    outer_gram_spectrum,
)
from cvxprox.planning.fuse import (
    Planned,
    absorb_weights,
    fuse_complex,
    left_weights,
    merge_bounded,
    merge_intervals,
    unchanged,
)
from cvxprox.planning.terms import Quadratic, Term, Terms, uniform
from cvxprox.program import Block, ProxProgram, describe_points
from cvxprox.prox import LeastSquares, Precomposed, Square


@dataclass(frozen=True)
class Choice:
    """Where one term of the problem went, in words."""

    term: str
    place: str
    why: str = ""


@dataclass(frozen=True, eq=False)
class Plan:
    """A program made of terms.

    Attributes
    ----------
    program : ProxProgram
    planned : tuple of Planned
        The terms behind the blocks, in the order of the rows.
    base_rows : int
        Rows of the assembled part, which come first.
    choices : tuple of Choice
    notes : tuple of str
        What was joined, absorbed and merged.
    """

    program: ProxProgram
    planned: tuple[Planned, ...]
    base_rows: int
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]

    def duals(self, y: Tensor, z: Tensor) -> dict[int, Tensor]:
        """The dual points of the user's terms at the point (z, y) of the program, by their keys."""
        found: dict[int, Tensor] = {}
        start = self.base_rows
        for planned in self.planned:
            rows = planned.term.operator.shape_out[0]
            for key, recover in planned.duals:
                if key >= 0:
                    found[key] = recover(y[start : start + rows], z[start : start + rows])
            start += rows
        return found


def make_plan(terms: Terms, form: Form) -> Plan:
    """Arrange `terms` for an algorithm of the given form.

    Quadratic terms stay in the quadratic form as long as the linear system then has a closed form
    (or the algorithm takes gradients); otherwise those that break it move to the prox, if their
    prox is known in closed form and the rest then has one.
    """
    notes: list[str] = []
    quadratics = fuse_complex(terms.quadratics, notes)
    separate = [unchanged(term) for term in terms.terms]
    if _convex(terms):
        separate = [absorb_weights(one, notes) for one in separate]
    planned = merge_bounded(merge_intervals(separate, notes), notes)
    inside, why = quadratics, "the algorithm takes gradients"
    moved: list[Planned] = []
    if form.quadratic == "solve" and quadratics:
        inside, moved, why = _division(terms, quadratics, planned)
    program = _with_linear(_skeleton(terms, inside, [*planned, *moved]), inside)
    choices = [
        *(Choice(q.label, "quadratic form", why) for q in inside),
        *(
            Choice(p.term.label, "prox", _MOVED.format(describe_points(p.term.function, p.term.shape)))
            for p in moved
        ),
        *(Choice(p.term.label, "prox", describe_points(p.term.function, p.term.shape)) for p in planned),
    ]
    return Plan(program, (*planned, *moved), terms.base.rows, tuple(choices), tuple(notes))


_MOVED = "{}; in the quadratic form it would break the closed form of the linear system"


def _division(
    terms: Terms, quadratics: Sequence[Quadratic], planned: Sequence[Planned]
) -> tuple[list[Quadratic], list[Planned], str]:
    """Which quadratics stay in the quadratic form, which move to the prox, and why.

    Beside a function that is not convex all stay: a few iterations are to agree with the data, not to
    negotiate with it.
    """
    for inside, moved in _partitions(quadratics) if _convex(terms) else [(list(quadratics), [])]:
        structure = spectral_structure(_skeleton(terms, inside, [*planned, *moved]))
        if structure is not None:
            return inside, moved, structure.reason
    return list(quadratics), [], "no closed form of the linear system is known"


def _convex(terms: Terms) -> bool:
    """Beside functions that are not convex, rows that no weight reaches would only hold x back."""
    functions = [block.function for block in terms.base.blocks] + [term.function for term in terms.terms]
    return all(function.convex for function in functions)


def _partitions(quadratics: Sequence[Quadratic]) -> list[tuple[list[Quadratic], list[Planned]]]:
    """Ways to divide quadratics between the quadratic form and the prox, the fewest moved first."""
    movable = [(i, m) for i, q in enumerate(quadratics[:4]) for m in _as_prox(q)]
    ways: list[tuple[list[Quadratic], list[Planned]]] = [(list(quadratics), [])]
    for count in (1, 2):
        for chosen in itertools.combinations(movable, count):
            taken = {i for i, _ in chosen}
            if len(taken) == count:
                ways.append(([q for i, q in enumerate(quadratics) if i not in taken], [m for _, m in chosen]))
    return ways


def _as_prox(q: Quadratic) -> list[Planned]:
    r"""The term :math:`w\|Fx - d\|^2` as prox terms of simpler operators, the simplest first."""
    K = q.operator
    if not isinstance(K, OnSlice) or K.dtype_out.is_complex:
        return _closed_form(q)
    result = []
    weights, inner = left_weights(K.inner)
    if weights is not None:
        rows = weights.expand(K.inner.shape_out).reshape(-1)
        count = rows.shape[0]
        function = Precomposed(Square(), rows, -q.target)
        result.append(
            Term(OnSlice(inner, K.start, K.size), torch.zeros_like(q.target), function, (count,),
                 weight=uniform(q.weight, count, q.target), label=q.label)
        )  # fmt: skip
    return [unchanged(t) for t in result] or _closed_form(q)


def _closed_form(q: Quadratic) -> list[Planned]:
    K = q.operator
    if not isinstance(K, OnSlice):
        return []
    if gram_spectrum(K.inner) is None and outer_gram_spectrum(K.inner) is None:
        return []
    inner = K.inner
    lead = q.target.shape[:-1]  # batch dimensions, before that of the points
    function = LeastSquares(inner, q.target.reshape((*lead, *(1,) * bool(lead), *inner.shape_out)))
    identity = Identity(inner.shape_in, inner.dtype_in, inner.device)
    size = K.stop - K.start
    shift = uniform(0.0, size, torch.empty(0, dtype=inner.dtype_in, device=inner.device))
    return [
        unchanged(
            Term(OnSlice(identity, K.start, K.size), shift, function, (1, size), weight=q.weight.reshape(1),
                 label=q.label)
        )
    ]  # fmt: skip


def _skeleton(terms: Terms, quadratics: Sequence[Quadratic], planned: Sequence[Planned]) -> ProxProgram:
    """The program with these quadratics in P and these terms as blocks, still without their linear terms."""
    base = terms.base
    forms = [] if base.P is None else [base.P]
    forms.extend((2 * one.weight) * square(one.operator) for one in quadratics)
    P = None if not forms else forms[0] if len(forms) == 1 else Sum(tuple(forms))
    pieces = ([base.K] if base.rows else []) + [p.term.operator for p in planned]
    shifts = ([base.b] if base.rows else []) + [p.term.shift for p in planned]
    blocks, start = list(base.blocks), base.rows
    for term in (p.term for p in planned):
        stop = start + term.operator.shape_out[0]
        blocks.append(
            Block(term.function, start, stop, term.shape, term.weight, term.label, leading=term.leading)
        )
        start = stop
    K = Stacked(tuple(pieces)) if pieces else base.K
    b = _joined(shifts) if shifts else base.b
    return replace(base, P=P, K=K, b=b, blocks=tuple(blocks))


def _joined(shifts: Sequence[Tensor]) -> Tensor:
    """One vector, with the batch dimensions of any of its parts."""
    if len(shifts) == 1:
        return shifts[0]
    batch = torch.broadcast_shapes(*(shift.shape[:-1] for shift in shifts))
    return torch.cat([shift.expand(*batch, -1) if batch else shift for shift in shifts], -1)


def square(F: LinearOperator) -> LinearOperator:
    """:math:`F^*F`, simplified where that gives a closed form; elsewhere F stays visible in it."""
    if isinstance(F, OnSlice):
        K = F.inner
        return SquareOnSlice(Composed(K.T, K) if gram_spectrum(K) is None else gram(K), F.start, F.size)
    tall = isinstance(F, SparseMatrix) and F.shape_out[0] >= F.shape_in[0]
    return gram(F) if tall else Composed(F.T, F)


def _with_linear(program: ProxProgram, quadratics: Sequence[Quadratic]) -> ProxProgram:
    r"""The program with the terms :math:`-2w\,d^TFx + w\|d\|^2` of the quadratics."""
    q, offset = program.q, program.offset
    for one in quadratics:
        back = one.operator.adjoint(one.target)
        back, twice = back.real if back.is_complex() else back, 2 * one.weight
        q = q - twice * back if twice.requires_grad else torch.sub(q, back, alpha=float(twice))
        wide = torch.complex128 if one.target.is_complex() else torch.float64
        norm = torch.linalg.vector_norm(one.target.detach(), dtype=wide)
        offset += float(one.weight.detach()) * float(norm) ** 2
    return replace(program, q=q, offset=offset)
