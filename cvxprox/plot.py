"""Pictures of how a run converged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FLOOR = 1e-17
"""Residuals of exactly zero are drawn here."""


def plot_convergence(problem_or_stats: Any, path: str | Path | None = None) -> Any:
    """Draw the residuals, the gap and the primal residual of every term over the iterations.

    Parameters
    ----------
    problem_or_stats : cvxpy.Problem, cvxpy.problems.problem.SolverStats or dict
        A problem solved by this library, its ``solver_stats``, or their ``extra_stats``.
    path : str or Path, optional
        Where to save the picture, in the format of its suffix.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no record of a run.
    """
    history = _history(problem_or_stats)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot_convergence needs matplotlib: pip install 'cvxprox[plot]'.") from error
    figure = Figure(figsize=(10, 4), layout="constrained")
    whole, terms = figure.subplots(1, 2, sharey=True)
    iterations = [record["iteration"] for record in history]
    for name, label in (("primal", "primal residual"), ("dual", "dual residual"), ("gap", "gap")):
        whole.plot(iterations, [max(record[name], FLOOR) for record in history], label=label)
    for name in history[0]["terms"]:
        terms.plot(iterations, [max(record["terms"][name], FLOOR) for record in history], label=_short(name))
    for axes, title in ((whole, "the program"), (terms, "primal residuals of the terms")):
        axes.set(yscale="log", xlabel="iteration", title=title)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    if path is not None:
        figure.savefig(path)
    return figure


def _history(source: Any) -> list[dict[str, Any]]:
    stats = getattr(source, "solver_stats", source)
    extra = getattr(stats, "extra_stats", stats)
    history = extra.get("history") if isinstance(extra, dict) else None
    if not history:
        raise ValueError(
            "plot_convergence found no record of a run. Give it a problem that was solved by this library, "
            "its solver_stats, or their extra_stats."
        )
    return list(history)


def _short(name: str) -> str:
    text = " ".join(name.split()).replace("$", r"\$")
    return text if len(text) <= 40 else text[:37] + "..."
