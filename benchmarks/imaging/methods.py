"""The solvers, each with its settings from loose to tight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from benchmarks.imaging import by_cvxpy, by_peers, chambolle, reference
from benchmarks.imaging.attempt import Attempt, timed
from benchmarks.imaging.instances import PROBLEMS, Array, Instance
from benchmarks.imaging.prototype import BALANCED, Iterate, admm
from benchmarks.imaging.reference import Reference
from benchmarks.solvers import OURS

TOLERANCES = tuple(float(f"{digit}e-{power}") for power in range(1, 10) for digit in (3, 1))
"""What solvers that stop by themselves are asked for."""
COUNTS = tuple(sorted({float(round(5 * 1.02**k)) for k in range(350)}))
"""Numbers of iterations, in steps of 2 %, for solvers that are told when to stop."""
COARSE_COUNTS = tuple(sorted({float(round(5 * 1.1**k)) for k in range(75)}))
"""The same in steps of 10 %, where every trial is a process."""


@dataclass(frozen=True)
class Standard:
    """What a solver's image is measured by: the objective, and the certified optimum."""

    boundary: str
    objective: Callable[[Instance, Array], float]
    certify: Callable[[Instance], Reference]


CIRCULAR = Standard("circular", Instance.objective, reference.certify)
REFLECTING = Standard("reflecting", chambolle.objective, chambolle.certify)


@dataclass(frozen=True)
class Method:
    """A solver.

    Attributes
    ----------
    name : str
        The name in the tables.
    solve : callable
        From the instance, one of the settings and a time limit in seconds.
    settings : sequence of float
        Tolerances or numbers of iterations, from loose to tight.
    start : float
        The setting to look for the right one from.
    problems : frozenset of str
        The problems that it can solve.
    standard : Standard
        What its accuracy is measured by.
    """

    name: str
    solve: Callable[[Instance, float, float], Attempt]
    settings: Sequence[float] = TOLERANCES
    start: float = 1e-4
    problems: frozenset[str] = frozenset(PROBLEMS)
    standard: Standard = CIRCULAR


def run_prototype(
    penalties: Mapping[str, float], balanced: tuple[int, ...], problem: Instance, count: float, limit: float
) -> Attempt:
    """`count` iterations; `penalties` are over lambda. It knows no time limit."""
    last: list[Iterate] = []

    def call() -> None:
        iterates = admm(problem, penalties[problem.problem] * problem.weight, balanced=balanced)
        last.append(next(islice(iterates, int(count) - 1, None)))

    wall, cpu, failure = timed(call)
    image = last[0].x.numpy() if last else None
    return Attempt(image, wall, cpu, int(count), status=failure or "iterations")


def catalogue(pythons: Mapping[str, str]) -> dict[str, Method]:
    """All solvers by name; `pythons` has the interpreters of those in environments of their own."""
    balanced = partial(run_prototype, dict.fromkeys(PROBLEMS, 30.0), BALANCED)
    fixed = partial(run_prototype, by_peers.PENALTIES, ())
    methods = [
        Method("prototype", balanced, COUNTS, 100.0),
        Method("prototype-fixed", fixed, COUNTS, 100.0),
        *(Method(name, by_cvxpy.solver(name)) for name in (OURS, "SCS", "CLARABEL")),
        *(
            Method(name, partial(by_peers.solve, pythons[name], name), COARSE_COUNTS, 100.0)
            for name in pythons
        ),
        Method("SKIMAGE", chambolle.solve, COUNTS, 100.0, frozenset({"denoise"}), REFLECTING),
    ]
    return {method.name: method for method in methods}


def choose(names: Sequence[str], pythons: Mapping[str, str]) -> list[Method]:
    """The solvers of these names.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    known = catalogue(pythons)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"unknown solvers {', '.join(unknown)}; known are {', '.join(known)}")
    return [known[name] for name in names]
