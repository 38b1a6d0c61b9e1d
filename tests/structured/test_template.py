"""One model, many shapes."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

import cvxprox
from tests.structured.corpus import kernel


@cvxprox.Template
def deblurred(y: cp.Parameter, k: cp.Parameter) -> cp.Problem:
    """Deblurring with total variation."""
    x = cp.Variable(y.shape, name="x")
    objective = cp.sum_squares(cvxprox.conv(x, k) - y) + 0.05 * cvxprox.tv(x, boundary="circular")
    return cp.Problem(cp.Minimize(objective))


def by_hand(y: np.ndarray, k: np.ndarray) -> float:
    x = cp.Variable(y.shape)
    objective = cp.sum_squares(cvxprox.conv(x, k) - y) + 0.05 * cvxprox.tv(x, boundary="circular")
    return cp.Problem(cp.Minimize(objective)).solve(solver=cp.CLARABEL)


def test_every_shape_is_compiled_once() -> None:
    rng = np.random.default_rng(0)
    deblurred.problems.clear()
    compiled = []
    for shape in ((6, 6), (5, 7), (6, 6)):
        y = rng.random(shape)
        problem = deblurred.solve(y=y, k=kernel())
        assert problem.value == pytest.approx(by_hand(y, kernel()), rel=1e-4)
        compiled.append(problem._cache.param_prog)
    assert len(deblurred.problems) == 2
    assert compiled[0] is compiled[2]


def test_old_shapes_are_forgotten() -> None:
    small = cvxprox.Template(deblurred.build, cached=1)
    small(y=np.ones((4, 4)), k=kernel())
    small(y=np.ones((5, 5)), k=kernel())
    assert [signature[0][1] for signature in small.problems] == [(5, 5)]


def test_options_reach_the_solver() -> None:
    with pytest.warns(UserWarning, match="inaccurate"):
        problem = deblurred.solve(y=np.eye(6), k=kernel(), options={"max_iter": 3})
    assert problem.status == cp.USER_LIMIT


def test_arrays_must_be_those_of_the_model() -> None:
    with pytest.raises(TypeError, match="takes arrays for y, k; it was given y"):
        deblurred(y=np.ones((3, 3)))
    assert deblurred.__doc__ == "Deblurring with total variation."
