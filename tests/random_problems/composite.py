r"""Problems  minimize sum_j w_j f_j(x) + c'x  subject to  g_i(x) <= r_i,  Ex = e,  x in X,  status known.

* optimal: x is drawn first; c makes x stationary for chosen multipliers of the constraints that are tight at
  x (a subgradient of every function at x is known), so that x is optimal; or the variables are bounded.
* infeasible: sum_i m_i g_i(x) + a'x has a zero subgradient at some point, and a value there that no feasible
  point can have; a is the normal of a linear constraint.
* unbounded: along d every f_j and g_i is constant or grows at most linearly, and c'd outweighs that.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from numpy.random import Generator

from tests.random_problems.affine import Affine
from tests.random_problems.cases import INFEASIBLE, OPTIMAL, UNBOUNDED, Case, Leaf, flat, joined, leaves
from tests.random_problems.cones import Array, positive
from tests.random_problems.terms import MATRIX, NORMS, SMOOTH, Term

MIXES: dict[str, tuple[Term, ...]] = {
    "norms": NORMS,
    "smooth": SMOOTH,
    "matrix": MATRIX,
    "mixed": NORMS + SMOOTH + MATRIX,
    "constrained": NORMS + SMOOTH + MATRIX,
}


def composite(family: str, seed: int, rng: Generator) -> Case:
    """A problem of one of the families in `MIXES`."""
    status = str(rng.choice([OPTIMAL, INFEASIBLE, UNBOUNDED], p=[0.7, 0.18, 0.12]))
    kinds = ["free", "free", "nonneg", "bounds"] + ["psd", "symmetric"] * (2 if family == "matrix" else 0)
    items = leaves(rng, kinds, largest=24)
    notes = [status, f"n={sum(i.x.size for i in items)}"]
    build = {OPTIMAL: _optimal, INFEASIBLE: _infeasible, UNBOUNDED: _unbounded}[status]
    built = build(rng, family, items, notes)
    if built is None:  # a point outside of a domain, or no direction: draw again
        return composite(family, seed, rng)
    objective, constraints, value = built
    rng.shuffle(constraints)
    for item in items:
        item.variable.value = None
    if rng.random() < 0.12:
        weight = float(10 ** rng.uniform(-3, 3))
        notes.append("objective scale")
        objective, value = weight * objective, None if value is None else weight * value
    if rng.random() < 0.3:
        notes.append("maximize")
        problem = cp.Problem(cp.Maximize(-objective), constraints)
        return Case(family, seed, problem, status, None if value is None else -value, tuple(notes))
    return Case(family, seed, cp.Problem(cp.Minimize(objective), constraints), status, value, tuple(notes))


Built = tuple[cp.Expression, list[cp.Constraint], float | None] | None


def _place(items: list[Leaf], x: Array) -> None:
    """Give the variables their values."""
    cuts = np.cumsum([i.x.size for i in items])[:-1]
    for item, part in zip(items, np.split(x, cuts), strict=True):
        item.variable.save_value(part.reshape(item.variable.shape, order="F"))


def _slope(items: list[Leaf], e: cp.Expression) -> Array | None:
    """A subgradient of `e` where the variables are; None if there is none, or CVXPY knows none."""
    try:
        grad = e.grad
    except (NotImplementedError, ValueError, TypeError, np.linalg.LinAlgError):
        return None
    parts = [grad.get(item.variable, np.zeros((item.x.size, 1))) for item in items]
    if any(part is None for part in parts):
        return None
    slope = np.concatenate([np.asarray(p.todense() if hasattr(p, "todense") else p).ravel() for p in parts])
    return slope if np.all(np.isfinite(slope)) and _supports(items, e, slope) else None


def _supports(items: list[Leaf], e: cp.Expression, slope: Array) -> bool:
    """Whether `slope` obeys the subgradient inequality at some points (CVXPY's does not at every kink)."""
    here, value, rng = [i.variable.value for i in items], float(e.value), np.random.default_rng(0)
    x = np.concatenate([v.ravel(order="F") for v in map(np.asarray, here)])
    descent = slope / (np.linalg.norm(slope) + 1e-9)
    noise = (1.0, -1.0, *7 * (None,))
    good = True
    for step, along in ((s, k) for s in (1e-3, 1e-2, 0.1, 1.0) for k in noise):
        d = _symmetric(items, step * (rng.standard_normal(x.size) if along is None else along * descent))
        _place(items, x + d)
        there = e.value
        if there is not None and np.isfinite(there) and all(np.all(c.violation() == 0) for c in e.domain):
            good = good and bool(there >= value + slope @ d - 1e-9 * (1 + abs(value)))
    _place(items, x)
    return good


def _symmetric(items: list[Leaf], d: Array) -> Array:
    """`d` with the parts that belong to symmetric variables made symmetric."""
    parts = np.split(d, np.cumsum([i.x.size for i in items])[:-1])
    for k, (item, part) in enumerate(zip(items, parts, strict=True)):
        if item.kind in ("psd", "symmetric"):
            D = part.reshape(item.variable.shape)
            parts[k] = ((D + D.T) / 2).ravel()
    return np.concatenate(parts)


def _pick(rng: Generator, family: str, source: Affine, count: int, notes: list[str]) -> list[cp.Expression]:
    """Some functions of the family, each finite where the variables are."""
    terms: list[cp.Expression] = []
    while len(terms) < count:
        term = MIXES[family][rng.integers(len(MIXES[family]))]
        e = term.make(source)
        if e.value is not None and np.isfinite(e.value):
            terms.append(e)
            notes.append(term.name)
    return terms


def _total(rng: Generator, terms: list[cp.Expression]) -> cp.Expression:
    """A positive combination of the terms, in one of several spellings."""
    w = positive(rng, len(terms)) * (10 ** rng.uniform(-1, 1) if rng.random() < 0.3 else 1)
    match rng.integers(4):
        case 0:
            return w @ cp.hstack(terms)
        case 1:
            weights = [cp.Parameter(nonneg=True, value=float(v)) for v in w]
            return sum((p * t for p, t in zip(weights, terms, strict=True)), 0)
        case 2:
            return cp.sum(cp.hstack([t / (1 / float(v)) for v, t in zip(w, terms, strict=True)]))
    return sum((float(v) * t for v, t in zip(w, terms, strict=True)), 0)


def _optimal(rng: Generator, family: str, items: list[Leaf], notes: list[str]) -> Built:
    x, z, inside, _ = joined(items)
    definite = np.concatenate([np.full(i.x.size, i.kind == "psd") for i in items])
    x, z = np.where(definite, inside, x), np.where(definite, 0, z)
    _place(items, x)
    source, n = Affine(rng, items), x.size
    f = _total(rng, _pick(rng, family, source, int(rng.integers(1, 4)), notes))
    slope = _slope(items, f)
    bounded = slope is None or rng.random() < 0.25
    slope = np.zeros(n) if slope is None else slope
    constraints: list[cp.Constraint] = []
    for g in _pick(rng, family, source, int(rng.poisson(1.5 if family == "constrained" else 0.4)), notes):
        v = _slope(items, g)
        tight = v is not None and np.linalg.norm(v) > 0.1 and rng.random() < 0.7
        level = float(g.value)
        if tight and v is not None:
            slope = slope + v * positive(rng, 1)
        else:
            level += float(positive(rng, 1)[0])
        constraints.append(g <= level if rng.random() < 0.7 else -level <= -g)
    if n > 2 and rng.random() < 0.35:
        E = rng.standard_normal((int(rng.integers(1, n // 2 + 1)), n))
        slope = slope + E.T @ rng.standard_normal(E.shape[0])
        constraints.append(E @ flat(items) == E @ x)
        notes.append("equalities")
    if rng.random() < 0.3:
        A = rng.standard_normal((int(rng.integers(1, n + 1)), n))
        multiplier = positive(rng, A.shape[0]) * rng.integers(0, 2, A.shape[0])
        slack = np.where(multiplier > 0, 0, positive(rng, A.shape[0]))
        slope = slope + A.T @ multiplier
        constraints.append(A @ flat(items) <= A @ x + slack)
        notes.append("inequalities")
    if bounded:
        f, more = _bounded(rng, f, items, x, notes)
        return f, constraints + more, None
    objective = f + (z - slope) @ flat(items)
    return objective, constraints, float(objective.value)


def _bounded(
    rng: Generator, f: cp.Expression, items: list[Leaf], x: Array, notes: list[str]
) -> tuple[cp.Expression, list[cp.Constraint]]:
    """An objective and constraints that keep the variables bounded, and `x` strictly feasible."""
    notes.append("bounded")
    y, radius = flat(items), float(positive(rng, 1)[0]) + 0.1
    tilt = rng.standard_normal(x.size) @ y
    match rng.integers(5):
        case 0:
            return f + tilt, [y <= x + radius, x - radius <= y]
        case 1:
            return f + tilt, [cp.norm(y) <= np.linalg.norm(x) + radius]
        case 2:
            return f + tilt, [cp.norm1(y - x) <= radius]
        case 3:
            return f + tilt, [cp.norm(y, "inf") <= np.max(np.abs(x)) + radius]
    return f + radius * cp.sum_squares(y - rng.standard_normal(x.size)), []


def _infeasible(rng: Generator, family: str, items: list[Leaf], notes: list[str]) -> Built:
    inside = joined(items)[2]
    _place(items, inside)
    source = Affine(rng, items)
    f = _total(rng, _pick(rng, family, source, int(rng.integers(1, 3)), notes))
    total, constraints = np.zeros(inside.size), []
    for g in _pick(rng, family, source, int(rng.integers(1, 4)), notes):
        v = _slope(items, g)
        if v is None:
            return None
        multiplier = float(positive(rng, 1)[0])
        total = total - multiplier * v
        margin = float(rng.uniform(0.1, 1)) * (1 + np.linalg.norm(v))
        constraints.append(g <= float(g.value) - margin)
    a = total @ flat(items)
    level = float(total @ inside)
    constraints.append(a == level if rng.random() < 0.3 else a <= level)
    f, more = _bounded(rng, f, items, inside, notes)
    return f, constraints + more, None


def _unbounded(rng: Generator, family: str, items: list[Leaf], notes: list[str]) -> Built:
    _, _, x, d = joined(items)
    if np.linalg.norm(d) < 0.1:
        return None
    _place(items, x)
    free, constant = Affine(rng, items), Affine(rng, items, null=d)
    terms: list[cp.Expression] = []
    for _ in range(rng.integers(1, 4)):
        term = MIXES[family][rng.integers(len(MIXES[family]))]
        terms.append(term.make(free if term.lipschitz and rng.random() < 0.6 else constant))
        notes.append(term.name)
    f = _total(rng, terms)
    constraints = [
        g <= float(g.value) + float(positive(rng, 1)[0])
        for g in _pick(rng, family, constant, int(rng.integers(0, 3)), notes)
    ]
    here, far = float(f.value), 1e6
    _place(items, x + far * d)
    growth = (float(f.value) - here) / far
    if not np.isfinite(growth):
        return None
    c = rng.standard_normal(x.size)
    c -= d * (c @ d + growth + rng.uniform(0.3, 2) * np.linalg.norm(d) * (1 + abs(growth))) / (d @ d)
    return f + c @ flat(items), constraints, None
