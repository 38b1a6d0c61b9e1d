"""Tables of the results and their figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imaging.compare import Result

AGAINST = ("prototype", "SCS", "CLARABEL")
HEADER = (
    "problem", "size", "solver", "setting", "cpu s", "wall s", "setup s", "iterations", "ms/iteration",
    "iteration/FFT", "error", "PSNR", *(f"/ {name}" for name in AGAINST), "status",
)  # fmt: skip
GROWTH_HEADER = ("problem", "solver", "sizes", "time ~ pixels^")
MEMORY_HEADER = ("problem", "size", "solver", "peak MiB", "before MiB", "status")


def ratio(result: Result, results: Iterable[Result], name: str) -> float:
    """CPU time over that of the solver `name` on the same instance; nan unless both reached the target."""
    others = [
        other for other in results
        if (other.problem, other.size, other.solver) == (result.problem, result.size, name) and other.reached
    ]  # fmt: skip
    comparable = bool(others) and result.reached and result.solver != name
    return result.median("cpu") / others[0].median("cpu") if comparable else math.nan


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """One row of the table for every result."""
    return [
        (
            result.problem,
            str(result.size),
            result.solver,
            "" if result.setting is None else f"{result.setting:g}",
            *(number(result.median(name)) for name in ("cpu", "wall", "setup")),
            *_iterations(result),
            f"{result.median('error'):.1e}",
            f"{result.median('psnr'):.2f}",
            *(number(ratio(result, results, name)) for name in AGAINST),
            result.runs[-1].status[:40] + ("" if result.reached else " (target missed)"),
        )
        for result in results
        if result.runs
    ]


def _iterations(result: Result) -> tuple[str, str, str]:
    count, seconds = result.runs[-1].iterations, result.median("per_iteration")
    return "" if count is None else str(count), number(1e3 * seconds), number(seconds / result.fft)


def growth(results: Sequence[Result]) -> list[tuple[str, str, list[int], float]]:
    """For every problem and solver the sizes solved and the slope of log time over log pixels."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.reached:
            groups.setdefault((result.problem, result.solver), []).append(result)
    found = []
    for (problem, solver), members in groups.items():
        sizes = [member.size for member in members]
        if len(set(sizes)) > 1:
            times = [member.median("cpu") for member in members]
            slope = np.polyfit(2 * np.log(sizes), np.log(times), 1)[0]
            found.append((problem, solver, sizes, float(slope)))
    return found


def growth_rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """`growth` as text."""
    return [
        (problem, solver, ", ".join(map(str, sizes)), f"{slope:.2f}")
        for problem, solver, sizes, slope in growth(results)
    ]


def memory_rows(records: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Records of `memory.memory_of` as text."""
    keys = ("problem", "size", "solver", "peak", "before", "status")
    return [tuple(str(record[key]) for key in keys) for record in records if record]


def as_document(result: Result) -> dict[str, Any]:
    """A result with its medians, for JSON."""
    names = ("cpu", "wall", "setup", "per_iteration", "error", "psnr")
    return asdict(result) | {"reached": result.reached} | {name: result.median(name) for name in names}


def figure(results: Sequence[Result], path: Path) -> None:
    """Time over pixels on logarithmic axes, a panel for each problem."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    problems = list(dict.fromkeys(result.problem for result in results))
    drawing, panels = pyplot.subplots(1, len(problems), figsize=(5.5 * len(problems), 4.2), squeeze=False)
    for panel, problem in zip(panels[0], problems, strict=True):
        solved = [result for result in results if result.problem == problem and result.reached]
        for solver in dict.fromkeys(result.solver for result in solved):
            points = [(r.size**2, r.median("cpu")) for r in solved if r.solver == solver]
            panel.loglog(*zip(*points, strict=True), marker="o", label=solver)
        panel.set(title=problem, xlabel="pixels", ylabel="CPU seconds")
        panel.grid(True, which="major", alpha=0.3)
        panel.legend(fontsize="small")
    drawing.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=150)
    pyplot.close(drawing)


def number(value: float) -> str:
    """Three digits, or nothing for nan."""
    return "" if math.isnan(value) else f"{value:.3g}"
