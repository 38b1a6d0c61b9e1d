"""The solution of a batch of dense programs: iterations, Newton steps, and who goes on."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.certificates import BatchedSearch
from cvxprox.differentiation.dense.conditions import Conditions
from cvxprox.differentiation.dense.gradient_form import GradientForm, gradient_penalties
from cvxprox.differentiation.dense.outcome import Outcome
from cvxprox.differentiation.dense.penalties import first_penalties, spectral_penalties, typical_penalties
from cvxprox.differentiation.dense.polish import polish
from cvxprox.differentiation.dense.w_form import WForm
from cvxprox.options import Options
from cvxprox.status import Status

FIRST_ROUND = 40
FIRST_GRADIENT_ROUND = 25
GROWTH = 1.25
LONGEST_ROUND = 400
SECANT = 10
"""Iterations between the two points of secants and certificates, the last ones of a round."""

LARGE = 256
"""Variables from which nothing is factored before Newton's method."""

GRADIENT_ROUNDS = 5
SETTLED = 0.01
"""The share of the variables that may still leave zero or return to it before Newton steps pay."""

NEWTON_STEPS = 6
FINISHED = 1e-10
"""Residuals, relative to the larger of 1 and the sizes of their terms, after which a sample leaves."""

EXTRA_ROUNDS = 3
"""Rounds in which a sample within the tolerances may still get better."""

MAX_ITER = 20_000
ALPHA = 1.6
LAST_UPDATE = 15
"""Rounds that end with new penalties: ADMM converges once these stay."""

NOTICEABLE = 0.5
"""Changes of penalties, in powers of ten, that are worth a factorisation."""


def solve(data: DenseBatch, options: Options, start: Point | None = None) -> Outcome:
    r"""Solve all programs of a batch.

    A round is some iterations of `WForm` and then Newton steps (`polish`). Samples with residuals near
    rounding errors leave, and the others go on with penalties by secants: so a few hard samples cost
    little. Whatever happens in one sample does not touch the others.
    """
    limit = options.max_iter or MAX_ITER
    deadline = math.inf if options.time_limit is None else time.perf_counter() + options.time_limit
    defective = data.defects()
    if bool(defective.any()):
        data = data.harmless()
    typical = typical_penalties(data)
    by_gradients = data.variables >= LARGE and GradientForm.suits(data)
    rho = gradient_penalties(data) if by_gradients else first_penalties(data, typical)
    if start is None:
        start = Point(*(torch.zeros_like(t) for t in (data.q, data.b, data.b)))
    start = Point(*(t.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) for t in start))
    outcome = Outcome.begin(Point(*(t.clone() for t in start)), rho, defective)
    everyone = torch.arange(data.samples, device=data.b.device)
    group = Group(data, everyone, typical, rho, start.z + start.y / rho, by_gradients=by_gradients)
    ended = defective
    empty = data.functions.contradictions()
    if empty is not None:
        outcome.end(everyone[empty.expand_as(ended)], Status.INFEASIBLE)
        ended = ended | empty
    group, late = group.without(ended), False
    length = float(FIRST_GRADIENT_ROUND if by_gradients else FIRST_ROUND)
    while len(group.index) and outcome.iterations < limit and not late:
        count = min(int(length), limit - outcome.iterations)
        group = group.after_round(count, outcome, options)
        outcome.iterations += count
        length = min(GROWTH * length, LONGEST_ROUND)
        late = time.perf_counter() > deadline
    outcome.conclude(everyone, late)
    return outcome


@dataclass(frozen=True)
class Group:
    """Samples that are still being solved.

    Attributes
    ----------
    data : DenseBatch
    index : Tensor, shape (B,)
        Their places among all.
    typical, rho : Tensor, shape (m,) or (B, m)
    v : Tensor, shape (B, m)
        The state of the iterations.
    by_gradients : bool
        Whether the iterations are those of `GradientForm`.
    done : int
        Rounds so far.
    rounds : Tensor or None, shape (B,)
        For how many rounds each has been within the tolerances.
    search : BatchedSearch
    form : WForm or None
        The iterations, where they are those of the round before.
    """

    data: DenseBatch
    index: Tensor
    typical: Tensor
    rho: Tensor
    v: Tensor
    by_gradients: bool = False
    done: int = 0
    rounds: Tensor | None = None
    search: BatchedSearch = field(default_factory=BatchedSearch)
    form: WForm | GradientForm | None = None

    def after_round(self, count: int, outcome: Outcome, options: Options) -> Group:
        """Those that go on after `count` iterations and Newton steps; `outcome` keeps what is found."""
        data, index = self.data, self.index
        kind = GradientForm if self.by_gradients else WForm
        form = self.form or kind.of(data, self.rho)
        alpha, last = options.alpha or ALPHA, min(SECANT, count // 2)
        v = form.iterate(self.v.clone(), count - last, alpha)
        old = form.point(v)
        v = form.iterate(v, last, alpha)
        new = form.point(v)
        if self.by_gradients and self.done + 1 < GRADIENT_ROUNDS and not _settled(old, new):
            best, merit = new, Conditions.at(data, new).ratio(1.0, 1.0)
        else:
            best, merit = polish(data, self.rho, self.typical, new, NEWTON_STEPS)
        outcome.record(index, Conditions.at(data, best), merit, self.rho, options)
        within = outcome.ratio[index] <= 1
        rounds = within.long() if self.rounds is None else self.rounds + within
        done = within & (outcome.merit[index] <= FINISHED) | (rounds > EXTRA_ROUNDS)
        outcome.end(index[done], Status.OPTIMAL)
        lost = ~new.y.sum(-1).isfinite()
        if bool((done | lost).all()):
            return self.without(done | lost)
        for found, status in zip(
            self.search(data, self.typical, old, new), (Status.INFEASIBLE, Status.UNBOUNDED), strict=True
        ):
            found = found & ~within
            outcome.end(index[found], status)
            done = done | found
        going = replace(self, v=v, rounds=rounds, form=form, done=self.done + 1)
        if self.by_gradients:
            if going.done < GRADIENT_ROUNDS:
                return going.without(done | lost)
            rho = first_penalties(data, self.typical)
        elif self.done < LAST_UPDATE:
            rho = spectral_penalties(data, self.typical, self.rho, old, new)
        else:
            rho = self.rho
        if self.by_gradients or bool(((rho / self.rho).log10().abs() > NOTICEABLE).any()):
            going = replace(going, rho=rho, v=new.z + new.y / rho, form=None, by_gradients=False)
        return going.without(done | lost)

    def without(self, ended: Tensor) -> Group:
        """The others; all of them, if functions cannot be divided and some are left."""
        left = (~ended).nonzero()[:, 0]
        if len(left) == len(ended) or (len(left) and not self.data.functions.divisible):
            return self
        if not len(left):
            return replace(self, index=left)
        typical, rho = (t if t.dim() == 1 else t[left] for t in (self.typical, self.rho))
        self.search.take(left)
        rounds = None if self.rounds is None else self.rounds[left]
        return replace(
            self, data=self.data.take(left), index=self.index[left], typical=typical, rho=rho, v=self.v[left],
            rounds=rounds, form=None,
        )  # fmt: skip


def _settled(old: Point, new: Point) -> bool:
    """Whether few variables are at another piece of their functions than some iterations before.

    Where a function bends, z stands still and y moves, or the other way round.
    """
    still = (old.z == new.z) ^ (old.y == new.y)
    return bool((~still).double().mean() <= SETTLED)
