"""What a plan says, and its picture."""

from __future__ import annotations

from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from cvxpy.error import SolverError

import cvxprox
from cvxprox.reductions.describe import LONGEST, describe
from tests.structured.corpus import CORPUS, image, kernel
from tests.structured.models import MODELS


def test_text_names_terms_places_and_reasons() -> None:
    text = str(cvxprox.explain(CORPUS["inpainting_in_a_box"]()))
    for words in (
        "admm on torch.float64 (cpu), matrix-free", "x 8×8: 64 numbers", "sum_squares([8×8] ∘ x - [8×8])",
        "tv(x, circular)", "Norm2", "intersected the bounds", "Fourier-diagonal", "an iteration takes",
    ):  # fmt: skip
        assert words in text, words


def test_nothing_is_solved() -> None:
    problem = CORPUS["lasso"]()
    cvxprox.explain(problem)
    assert problem.status is None and problem.variables()[0].value is None


def test_lanes() -> None:
    assert cvxprox.explain(CORPUS["lasso"](), measure=False).lane == "assembled"
    assert cvxprox.explain(CORPUS["lasso"](), algorithm="fista", measure=False).lane == "matrix-free"
    assert cvxprox.explain(CORPUS["lasso"](), lane="matrix_free", measure=False).lane == "matrix-free"
    assert cvxprox.explain(CORPUS["tv_deblurring"](), lane="assembled", measure=False).lane == "assembled"


def test_a_problem_follows_the_options_from_solve_to_solve() -> None:
    problem = CORPUS["lasso"]()
    values = []
    for options in ({}, {"algorithm": "fista"}, {"lane": "matrix_free"}, {}):
        problem.solve(solver="NABLA_ADMM", **options)
        values.append(problem.value)
    assert np.ptp(values) < 1e-4 * abs(values[0])


def test_every_term_of_a_problem_is_in_its_plan() -> None:
    for name, build in MODELS.items():
        plan = cvxprox.explain(build(), measure=False)
        labels = " ".join(choice.term for choice in plan.choices)
        assert plan.choices and all(choice.place for choice in plan.choices), name
        if "tv(" in str(build().objective):
            assert "tv(" in labels, name


def test_picture(tmp_path: Path) -> None:
    from matplotlib import pyplot as plt

    path = tmp_path / "plan.png"
    figure = cvxprox.explain(CORPUS["deblurring_with_cones"](), measure=False).plot(path)
    words = {text.get_text() for text in figure.axes[0].texts}
    plt.close(figure)
    assert path.stat().st_size > 5000
    assert any("Norm2Ball" in word for word in words) and any("−Convolution" in word for word in words)


def test_refusals_come_before_iterations() -> None:
    with pytest.raises(SolverError, match=r"`tv\(x, circular\)` is not a selection"):
        cvxprox.explain(CORPUS["tv_deblurring"](), algorithm="pgd")
    with pytest.raises(SolverError, match="algorithm must be one of"):
        cvxprox.explain(CORPUS["lasso"](), algorithm="simplex")


def test_expressions_in_few_words() -> None:
    x, p = cp.Variable((8, 8), name="x"), cp.Parameter(name="p")
    cases = {
        "sum_squares(conv(x, kernel 3x3, circular) - [8×8])": cp.sum_squares(
            cvxprox.conv(x, kernel()) - image()
        ),
        "p * x + 2 * x": p * x + 2 * x,
        "norm(x, 2, axis=0)": cp.norm(x, 2, axis=0),
        "-(x + [8×8])": -(x + image()),
        "[8×8] ∘ x": cp.multiply(image(), x),
        "x[0, 0:8] <= 3": x[0] <= 3,
    }
    for words, expr in cases.items():
        assert describe(expr) == words
    long = sum((x for _ in range(100)), x)
    assert len(describe(long)) <= LONGEST
