"""Medians, ratios to the best peer and tables."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Run
from benchmarks.solvers import OURS

ACCURACY = 10.0
"""A solver is compared where its worst relative residual is at most this multiple of the tolerance."""


@dataclass(frozen=True)
class Result:
    """The repetitions of one solver on one instance."""

    instance: str
    task: str
    shape: tuple[int, int]
    nnz: int
    solver: str
    eps: float
    runs: tuple[Run, ...]

    @property
    def wall(self) -> float:
        """Median of the whole call."""
        return median(run.wall for run in self.runs)

    @property
    def solver_time(self) -> float:
        """Median of the time that the solver reports; nan where it reports none."""
        times = [run.solver_time for run in self.runs if not math.isnan(run.solver_time)]
        return median(times) if times else math.nan

    @property
    def last(self) -> Run:
        """The last repetition."""
        return self.runs[-1]

    @property
    def error(self) -> float:
        """The largest error of all repetitions."""
        return max(run.error for run in self.runs)

    @property
    def counts(self) -> bool:
        """Whether the figures are of a solution: accurate enough, or compiled without an error."""
        if self.task == "compile":
            return all(run.status == "compiled" for run in self.runs)
        return self.error <= ACCURACY * self.eps

    def time(self, measure: str) -> float:
        """The median `wall` or `solver_time`."""
        return self.wall if measure == "wall" else self.solver_time


def ratio(result: Result, results: Iterable[Result], measure: str, against: Sequence[str] = ()) -> float:
    """Time of `result` over that of the best other peer on its instance; nan where either has none.

    `against` names the peers that are taken; without it, they are all but cvxprox.
    """
    times = [
        other.time(measure)
        for other in results
        if (other.instance, other.task, other.eps) == (result.instance, result.task, result.eps)
        and other.solver != result.solver
        and (other.solver in against if against else other.solver != OURS)
        and other.counts
        and other.time(measure) > 0
    ]
    return result.time(measure) / min(times) if times and result.counts else math.nan


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean of the numbers among `values`; nan of none."""
    logs = [math.log(value) for value in values if value > 0]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


HEADER = (
    "instance", "rows x cols", "solver", "eps", "wall s", "solver s", "ratio", "solver ratio", "iterations",
    "primal", "dual", "gap", "pinf", "dinf", "status",
)  # fmt: skip


def result_rows(results: Sequence[Result], against: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """One row of the table for every result."""
    rows = []
    for result in results:
        last, found = result.last, result.last.residuals
        errors = (found.primal, found.dual, found.gap, found.primal_inf, found.dual_inf) if found else ()
        rows.append(
            (
                result.instance + ("" if result.task == "solve" else f" ({result.task})"),
                f"{result.shape[0]} x {result.shape[1]}",
                result.solver,
                f"{result.eps:.0e}",
                _number(result.wall),
                _number(result.solver_time),
                _number(ratio(result, results, "wall", against)),
                _number(ratio(result, results, "solver_time", against)),
                "" if last.iterations is None else str(last.iterations),
                *(f"{error:.1e}" for error in errors),
                *("" for _ in range(5 - len(errors))),
                last.status[:40] + ("" if result.counts else " (inaccurate)" if found else " (no solution)"),
            )
        )
    return rows


SUMMARY_TITLE = f"Time over that of the best other peer within {ACCURACY:g} eps, geometric means"
SUMMARY_HEADER = ("task", "solver", "eps", "within accuracy", "ratio of wall", "ratio of solver time")


def summary_rows(results: Sequence[Result], against: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Geometric means of the ratios to the best other peer, for every task, tolerance and solver."""
    groups: dict[tuple[str, str, float], list[Result]] = {}
    for result in results:
        groups.setdefault((result.task, result.solver, result.eps), []).append(result)
    rows = []
    for (task, solver, eps), members in groups.items():
        means = [
            _number(geometric_mean(ratio(member, results, measure, against) for member in members))
            for measure in ("wall", "solver_time")
        ]
        accurate = sum(member.counts for member in members)
        rows.append((task, solver, f"{eps:.0e}", f"{accurate}/{len(members)}", *means))
    return rows


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with aligned columns, so that it reads well as text too; without its empty columns."""
    columns = [column for column in zip(header, *rows, strict=True) if any(column[1:])]
    lines = list(zip(*columns, strict=True))
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    texts = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return "\n".join([texts[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *texts[1:]])


def environment() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    packages = ("cvxprox", "cvxpy", "torch", "numpy", "scipy", "qdldl", "scs", "osqp", "clarabel", "highspy")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "packages": {name: _version(name) for name in packages},
    }


def write(folder: Path, name: str, document: dict[str, Any], text: str) -> None:
    """Write `document` as ``name.json`` and `text` as ``name.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(_finite(document), indent=1) + "\n")
    (folder / f"{name}.md").write_text(text + "\n")


def as_document(result: Result) -> dict[str, Any]:
    """A result with its medians, for JSON."""
    medians = {
        "wall": result.wall,
        "solver_time": result.solver_time,
        "error": result.error,
        "counts": result.counts,
    }
    return asdict(result) | medians


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _finite(value: Any) -> Any:
    """`value` with None for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
