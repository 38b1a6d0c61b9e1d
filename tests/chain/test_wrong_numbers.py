"""Numbers that no program can be made of: weights of the wrong sign, infinities."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from cvxprox.errors import ReductionError

from .problems import SOLVER


def test_a_weight_of_the_wrong_sign_is_an_error() -> None:
    x, p = cp.Variable(2, name="xyz"), cp.Parameter(2, nonneg=True, value=[1.0, 1.0])
    problem = cp.Problem(cp.Minimize(p @ cp.abs(x - 1)), [x <= 4])
    problem.solve(solver=SOLVER)
    p.value[1] = -1.0
    with pytest.raises(ReductionError, match=r"the term `abs\(xyz.*` has a weight of the wrong sign"):
        problem.solve(solver=SOLVER)


@pytest.mark.parametrize("number", [np.inf, -np.inf])
def test_numbers_that_are_not_finite_name_their_constraint(number: float) -> None:
    x, p = cp.Variable(2, name="xyz"), cp.Parameter(2, value=[1.0, number], name="rate")
    good, bad = x >= -1, p @ x <= 1
    with pytest.raises(ValueError, match=r"NaN or Inf.*rate @ xyz"):
        cp.Problem(cp.Minimize(cp.norm1(x - 3)), [good, bad]).solve(solver=SOLVER)
    with pytest.raises(ValueError, match="They are in the objective"):
        cp.Problem(cp.Minimize(cp.norm1(x - 3) + p @ x), [good]).solve(solver=SOLVER)
    with pytest.raises(ValueError, match=r"xyz"):
        cp.Problem(cp.Minimize(cp.norm1(x - p)), [good]).solve(solver=SOLVER)
