"""Tables of the results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.layers.measure import RESIDUALS, Result
from benchmarks.layers.solvers import OURS

HEADER = (
    "instance", "solver", "build s", "first ms", "forward ms", "backward ms", "both ms", "wall ms",
    f"/ {OURS}", "backward / forward", "error, median", "error, 99 %", "residual", "adjoint residual",
    "before MiB", "peak MiB", "status",
)  # fmt: skip


def ratio(result: Result, results: Sequence[Result]) -> float:
    """CPU time of both passes over that of cvxprox on the same instance; nan where one has none."""
    ours = [other for other in results if (other.instance, other.solver) == (result.instance, OURS)]
    return result.median("total") / ours[0].median("total") if ours and result.solver != OURS else math.nan


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """One row of the table for every result."""
    return [
        (
            result.instance,
            result.solver,
            number(result.build),
            number(1e3 * result.first),
            *(number(1e3 * result.median(name)) for name in ("forward", "backward", "total", "wall")),
            number(ratio(result, results)),
            number(result.median("backward") / result.median("forward")),
            *(scientific(result.error(level)) for level in (0.5, 0.99)),
            *(scientific(result.info.get(name, math.nan)) for name in RESIDUALS),
            *("" if size is None else f"{size:.0f}" for size in (result.before, result.peak)),
            result.status,
        )
        for result in results
    ]


def memory_header(records: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The numbers of iterations, after the kind of memory and the mode."""
    return ("memory", "mode", *(f"{count} iterations" for count in _counts(records)))


def memory_rows(records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Peak memory above that before the passes: a row for each mode, a column for each number."""
    cells = {(record["memory"], record["mode"], record["iterations"]): _extra(record) for record in records}
    rows = dict.fromkeys((record["memory"], record["mode"]) for record in records)
    return [(*row, *(cells[*row, count] for count in _counts(records))) for row in rows]


def _counts(records: Sequence[dict[str, Any]]) -> list[int]:
    return sorted({record["iterations"] for record in records})


def _extra(record: dict[str, Any]) -> str:
    return record["error"] if "error" in record else f"{record['peak'] - record['before']:.1f} MiB"


def as_document(result: Result) -> dict[str, Any]:
    """A result with its medians, for JSON."""
    medians = {name: result.median(name) for name in ("forward", "backward", "total", "wall")}
    return (
        asdict(result)
        | medians
        | {"first": result.first, "error_median": result.error(0.5), "error_99": result.error(0.99)}
    )


def number(value: float) -> str:
    """Three digits, or all before the point; nothing for nan."""
    return "" if math.isnan(value) else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def scientific(value: float) -> str:
    """Two digits, or nothing for nan."""
    return "" if math.isnan(value) else f"{value:.1e}"
