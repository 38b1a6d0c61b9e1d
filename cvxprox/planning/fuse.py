"""Passes over terms: join what belongs together, absorb into functions what they can take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvxprox.operators import (
    Composed,
    Diagonal,
    Identity,
    ImagPart,
    LinearOperator,
    OnSlice,
    RealPart,
    Scaled,
)
from cvxprox.operators.algebra import compose
from cvxprox.planning.terms import Quadratic, Term
from cvxprox.prox import Box, Clipped, Precomposed
from cvxprox.prox.clipped import is_finite

Recover = Callable[[Tensor, Tensor], Tensor]
"""From the dual point y of a block, and z there, to the dual point of a term in it."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A term as it stands in the program, and the terms of the user that it holds.

    Attributes
    ----------
    term : Term
    duals : tuple of (int, callable)
        For the key of every original term, its dual from that of `term`.
    """

    term: Term
    duals: tuple[tuple[int, Recover], ...]


def unchanged(term: Term) -> Planned:
    """The term itself."""
    return Planned(term, ((term.key, lambda y, z: y),))


def fuse_complex(quadratics: Sequence[Quadratic], notes: list[str]) -> list[Quadratic]:
    """Join the squares of the real and of the imaginary part of one operator's result."""
    result: list[Quadratic] = []
    waiting: dict[tuple[int, int], Quadratic] = {}
    for term in quadratics:
        part = _part(term.operator)
        if part is None:
            result.append(term)
            continue
        kind, inner, start = part
        other = waiting.pop((id(inner), start), None)
        if other is None:
            waiting[id(inner), start] = term
            continue
        if bool(other.weight != term.weight) or _part(other.operator)[0] is kind:  # type: ignore[index]
            result.extend((other, term))
            continue
        real, imag = (other, term) if kind is ImagPart else (term, other)
        joined = OnSlice(inner, start, term.operator.shape_in[0])
        target = torch.complex(real.target.contiguous(), imag.target.contiguous())
        result.append(Quadratic(joined, target, term.weight, real.label))
        notes.append(f"joined the squares of real and imaginary parts of `{real.label}`")
    return result + list(waiting.values())


def _part(K: LinearOperator) -> tuple[type, LinearOperator, int] | None:
    """RealPart or ImagPart, the operator below it and the slice, if `K` is such a part."""
    if not isinstance(K, OnSlice) or not isinstance(K.inner, Composed):
        return None
    outer, inner = K.inner.outer, K.inner.inner
    if isinstance(outer, Composed):  # (Re F) G: parts of a product stand to the left
        return None
    return (type(outer), inner, K.start) if isinstance(outer, RealPart | ImagPart) else None


def split_scale(K: LinearOperator) -> tuple[Tensor | float, LinearOperator]:
    r"""A number c and L with K = cL, c as large as the structure shows."""
    if isinstance(K, Scaled):
        c, L = split_scale(K.inner)
        return K.scalar * c, L  # type: ignore[return-value]
    if isinstance(K, OnSlice):
        c, L = split_scale(K.inner)
        return c, OnSlice(L, K.start, K.size)
    if isinstance(K, Composed):
        c, outer = split_scale(K.outer)
        d, inner = split_scale(K.inner)
        return c * d, compose(outer, inner)
    return 1.0, K


def absorb_weights(planned: Planned, notes: list[str]) -> Planned:
    """Take elementwise weights at the left end of the operator into a separable function."""
    term = planned.term
    K = term.operator
    if term.function.ndim or not isinstance(K, OnSlice):
        return planned
    weights, inner = left_weights(K.inner)
    if weights is None:
        return planned
    scale = weights.expand(K.inner.shape_out).reshape(-1)
    function = Precomposed(term.function, scale, term.shift)
    absorbed = replace(
        term, operator=OnSlice(inner, K.start, K.size), function=function, shift=torch.zeros_like(term.shift)
    )
    notes.append(f"absorbed elementwise weights into the prox of `{term.label}`")
    # u = scale * z + shift, so y_z = scale * y_u
    recover: Recover = lambda y, z: torch.where(scale == 0, 0.0, y / scale)  # noqa: E731
    return Planned(
        absorbed, tuple((key, functools.partial(_chain, old, recover)) for key, old in planned.duals)
    )


def left_weights(K: LinearOperator) -> tuple[Tensor | None, LinearOperator]:
    """Elementwise weights at the left end of `K`, None if there are none, and the rest."""
    if isinstance(K, Diagonal) and K.shape_in == K.shape_out:
        return K.weight, Identity(K.shape_in, K.dtype_in, K.device)
    if isinstance(K, Scaled):
        weights, inner = left_weights(K.inner)
        return (None, K) if weights is None else (K.scalar * weights, inner)
    if isinstance(K, Composed):
        weights, inner = left_weights(K.outer)
        return (None, K) if weights is None else (weights, compose(inner, K.inner))
    return None, K


def _chain(old: Recover, new: Recover, y: Tensor, z: Tensor) -> Tensor:
    return old(new(y, z), z)


def merge_intervals(terms: Sequence[Planned], notes: list[str]) -> list[Planned]:
    """Intersect the intervals of bounds on the same slice of x."""
    result: list[Planned] = []
    bounds: dict[tuple[int, tuple[int, ...]], list[Planned]] = {}
    for planned in terms:
        scale, K = split_scale(planned.term.operator)
        isotropic = isinstance(K, OnSlice) and isinstance(K.inner, Identity)
        if isinstance(planned.term.function, Box) and isotropic and float(scale) != 0:
            assert isinstance(K, OnSlice)
            key = (K.start, K.inner.shape_in)
            bounds.setdefault(key, []).append(_normalised(planned, scale, K))
        else:
            result.append(planned)
    for group in bounds.values():
        result.append(_intersection(group, notes) if len(group) > 1 else group[0])
    return result


def merge_bounded(terms: Sequence[Planned], notes: list[str]) -> list[Planned]:
    """Take bounds on a slice of x into the separable function of that slice, if there is one."""
    result = list(terms)
    for bound in [p for p in terms if isinstance(p.term.function, Box)]:
        partners = [p for p in result if p is not bound and _same_entries(p.term, bound.term)]
        if len(partners) == 1:
            result = [p for p in result if p not in (bound, partners[0])]
            result.append(_bounded(partners[0], bound, notes))
    return result


def _same_entries(term: Term, bound: Term) -> bool:
    """Whether `term` is a finite separable function of the entries that `bound` bounds."""
    K, L = term.operator, bound.operator
    if not isinstance(K, OnSlice) or not isinstance(L, OnSlice):
        return False
    if not isinstance(K.inner, Identity) or not isinstance(L.inner, Identity):
        return False
    same = (K.start, K.inner.shape_in) == (L.start, L.inner.shape_in)
    separable = term.function.ndim == 0 and term.function.convex and not isinstance(term.function, Box)
    if not same or not separable or term.weight is None or bool(term.shift.any() | bound.shift.any()):
        return False
    return is_finite(term.function, term.shift)


def _bounded(planned: Planned, bound: Planned, notes: list[str]) -> Planned:
    term, box = planned.term, bound.term.function
    assert isinstance(box, Box) and term.weight is not None
    function, weight = Clipped(term.function, box.lower, box.upper), term.weight
    held: Recover = lambda y, z: function.bound_share(z, y, weight)  # noqa: E731
    label = f"{term.label}; {bound.term.label}"
    notes.append(f"merged {term.label} with its bounds {bound.term.label}")
    duals = tuple((key, functools.partial(_chain, old, held)) for key, old in bound.duals)
    return Planned(replace(term, function=function, label=label), duals)


def _normalised(planned: Planned, c: Tensor | float, K: OnSlice) -> Planned:
    """Bounds on cx + b as bounds on x."""
    term = planned.term
    box = term.function
    assert isinstance(box, Box)
    low, high = (box.lower - term.shift) / c, (box.upper - term.shift) / c
    low, high = (low, high) if c > 0 else (high, low)
    shift = torch.zeros((), dtype=term.shift.dtype, device=term.shift.device).expand(term.shift.shape)
    moved = replace(term, operator=K, function=Box(_compact(low), _compact(high)), shift=shift)
    recover: Recover = lambda y, z: y / c  # noqa: E731
    return Planned(moved, tuple((key, functools.partial(_chain, old, recover)) for key, old in planned.duals))


def _compact(bound: Tensor) -> Tensor:
    """The same bounds in the memory of one, where they are equal."""
    if bound.requires_grad:
        return bound
    first = bound.reshape(-1)[0]
    return first.expand(bound.shape) if bool((bound == first).all()) else bound


def _intersection(group: list[Planned], notes: list[str]) -> Planned:
    lowers = torch.stack([p.term.function.lower.expand(p.term.shape) for p in group])  # type: ignore[attr-defined]
    uppers = torch.stack([p.term.function.upper.expand(p.term.shape) for p in group])  # type: ignore[attr-defined]
    (low, low_owner), (high, high_owner) = lowers.max(0), uppers.min(0)
    label = "; ".join(p.term.label for p in group)
    duals: list[tuple[int, Recover]] = []
    for i, planned in enumerate(group):
        share = functools.partial(_share, low_owner == i, high_owner == i)
        duals.extend((key, functools.partial(_chain, old, share)) for key, old in planned.duals)
    notes.append(f"intersected the bounds {label}")
    term = replace(group[0].term, function=Box(_compact(low), _compact(high)), label=label)
    return Planned(term, tuple(duals))


def _share(owns_low: Tensor, owns_high: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """The part of an interval's multiplier that belongs to one of its bounds."""
    return torch.where(owns_high, y.clamp(min=0), 0.0) + torch.where(owns_low, y.clamp(max=0), 0.0)
