"""The dual values of every constraint, against those of Clarabel."""

from __future__ import annotations

import numpy as np
import pytest

from .constraints import DUALS
from .problems import assert_same_optimum, by_clarabel


@pytest.mark.parametrize("name", DUALS)
def test_duals_of_every_constraint(name: str) -> None:
    expected = DUALS[name]()
    by_clarabel(expected)
    problem = assert_same_optimum(DUALS[name], tol=1e-6)
    np.testing.assert_allclose(problem.variables()[0].value, expected.variables()[0].value, atol=1e-5)
    largest = 0.0
    for ours, theirs in zip(problem.constraints, expected.constraints, strict=True):
        for mine, other in zip(ours.dual_variables, theirs.dual_variables, strict=True):
            assert np.shape(mine.value) == np.shape(other.value)
            np.testing.assert_allclose(mine.value, other.value, atol=1e-4, err_msg=str(ours))
            largest = max(largest, float(np.abs(other.value).max()))
    assert largest > 0.1
