"""The solvers that are compared, with the options that mean one tolerance and one time limit for each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.program import Kind

OURS = "NABLA_ADMM"
MANY = 10**7
"""An iteration limit that is never reached: the time limit is the one that counts."""

Options = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A solver as CVXPY calls it.

    Attributes
    ----------
    name : str
        The name in the tables.
    solver : str
        CVXPY's name.
    kinds : frozenset
        The kinds of programs that it is asked to solve.
    options : callable
        From the tolerance and the time limit in seconds to the keyword arguments of `Problem.solve`.
    """

    name: str
    solver: str
    kinds: frozenset[Kind]
    options: Callable[[float, float], Options]

    def prepare(self) -> None:
        """Import what registers the solver with CVXPY."""
        if self.solver == OURS:
            importlib.import_module("cvxprox")


def _ours(eps: float, limit: float) -> Options:
    return dict(eps_abs=eps, eps_rel=eps, time_limit=limit, max_iter=MANY)


def _scs(eps: float, limit: float) -> Options:
    return dict(eps_abs=eps, eps_rel=eps, time_limit_secs=limit, max_iters=MANY)


def _osqp(eps: float, limit: float) -> Options:
    return dict(eps_abs=eps, eps_rel=eps, time_limit=limit, max_iter=MANY, polishing=False)


def _clarabel(eps: float, limit: float) -> Options:
    return dict(tol_gap_abs=eps, tol_gap_rel=eps, tol_feas=eps, time_limit=limit)


# The option `solver` of HiGHS would be taken for CVXPY's: its options go in the nested form. The simplex
# method ends at a vertex, with no accuracy to choose.
def _simplex(eps: float, limit: float) -> Options:
    return dict(highs_options=dict(solver="simplex", threads=1, time_limit=limit))


# Without crossover the interior point method is quicker on some problems; on others HiGHS then calls its
# point imprecise, and CVXPY takes none.
def _interior_point(crossover: str) -> Callable[[float, float], Options]:
    def options(eps: float, limit: float) -> Options:
        accuracy = dict(ipm_optimality_tolerance=eps / 10, run_crossover=crossover)
        return dict(highs_options=dict(solver="ipm", threads=1, time_limit=limit, **accuracy))

    return options


_EVERY: frozenset[Kind] = frozenset({"lp", "qp", "socp"})
_LINEAR: frozenset[Kind] = frozenset({"lp"})

SOLVERS = {
    peer.name: peer
    for peer in (
        Peer(OURS, OURS, _EVERY, _ours),
        Peer("SCS", "SCS", _EVERY, _scs),
        Peer("OSQP", "OSQP", frozenset({"lp", "qp"}), _osqp),
        Peer("CLARABEL", "CLARABEL", _EVERY, _clarabel),
        Peer("HIGHS-simplex", "HIGHS", _LINEAR, _simplex),
        Peer("HIGHS-ipm", "HIGHS", _LINEAR, _interior_point("off")),
        Peer("HIGHS-crossover", "HIGHS", _LINEAR, _interior_point("on")),
    )
}


def choose(names: list[str] | None, without: tuple[str, ...] = ()) -> list[Peer]:
    """The solvers of these names, all but those in `without` where none is given.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    chosen = names or [name for name in SOLVERS if name not in without]
    unknown = sorted(set(chosen) - set(SOLVERS))
    if unknown:
        raise ValueError(f"unknown solvers {', '.join(unknown)}; known are {', '.join(SOLVERS)}")
    return [SOLVERS[name] for name in chosen]
