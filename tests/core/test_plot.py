"""The picture of a run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from cvxprox.plot import plot_convergence

from .programs import quadratic_program

pytest.importorskip("matplotlib")


def test_the_picture_has_every_residual_of_every_check(tmp_path: Path) -> None:
    problem = quadratic_program()
    problem.solve(solver="NABLA_ADMM", polish=False, check_interval=10)
    history = problem.solver_stats.extra_stats["history"]
    figure = plot_convergence(problem, tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 1000
    whole, terms = figure.axes
    drawn = {line.get_label(): line for line in whole.lines}
    assert set(drawn) == {"primal residual", "dual residual", "gap"}
    assert list(drawn["dual residual"].get_xdata()) == [r["iteration"] for r in history]
    assert list(drawn["dual residual"].get_ydata()) == [r["dual"] for r in history]
    assert len(terms.lines) == len(history[0]["terms"])
    for source in (problem.solver_stats, problem.solver_stats.extra_stats):
        assert len(plot_convergence(source).axes[0].lines) == 3


def test_programs_without_a_gap_are_drawn() -> None:
    record = {"iteration": 0, "primal": 1.0, "dual": 0.0, "gap": math.nan, "terms": {"x": 1.0}}
    assert len(plot_convergence({"history": [record]}).axes) == 2


@pytest.mark.parametrize(
    "source", [{}, {"history": []}, quadratic_program()], ids=["dict", "empty", "unsolved"]
)
def test_without_a_run_there_is_no_picture(source: object) -> None:
    with pytest.raises(ValueError, match="no record of a run"):
        plot_convergence(source)
