"""Cones and terms with points of many sizes: which are padded, and that the optimum stays."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np
import pytest

from .problems import Build, assert_same_optimum, by_clarabel, normal, stuffed


def many_cones(sizes: list[int]) -> Build:
    def build() -> cp.Problem:
        x = cp.Variable(6)
        cones = [
            cp.SOC(x[k % 6] + 1 + 0.2 * k, normal(size, 6, seed=30 + k) @ x) for k, size in enumerate(sizes)
        ]
        return cp.Problem(cp.Minimize(cp.sum_squares(x - 2 * normal(6, seed=29))), cones)

    return build


@pytest.mark.parametrize(
    ("sizes", "points"),
    [
        ([1, 2, 4, 6], [2, 3, 5, 7]),  # few sizes stay
        ([1, 2, 3, 4, 5, 6, 7, 8, 11], [2, 4, 8, 16]),  # with the first entry: 2, 3, ..., 9, 12
    ],
)
def test_cones_of_many_sizes_are_padded(sizes: list[int], points: list[int]) -> None:
    build = many_cones(sizes)
    blocks = [b for b in stuffed(build())[0].blocks if b.function.ndim]
    assert sorted(b.size for b in blocks) == points
    assert sum(b.shape[0] for b in blocks) == len(sizes)
    expected = build()
    by_clarabel(expected)
    problem = assert_same_optimum(build)
    active = 0
    for ours, theirs in zip(problem.constraints, expected.constraints, strict=True):
        for mine, other in zip(ours.dual_value, theirs.dual_value, strict=True):
            np.testing.assert_allclose(np.ravel(mine), np.ravel(other), atol=1e-4)
        active += float(np.max(theirs.dual_value[0])) > 1e-3
    assert active >= 2


def many_terms(atom: Callable[[cp.Expression], cp.Expression], ball: bool) -> Build:
    def build() -> cp.Problem:
        x = cp.Variable(6)
        parts = [atom(normal(size, 6, seed=40 + size) @ x - 1) for size in (2, 3, 4, 5, 6, 9)]
        target = cp.sum_squares(x - 3)
        if ball:
            return cp.Problem(cp.Minimize(target), [part <= 3 + k for k, part in enumerate(parts)])
        return cp.Problem(cp.Minimize(target + sum((k + 1) * part for k, part in enumerate(parts))))

    return build


@pytest.mark.parametrize("ball", [False, True], ids=["term", "ball"])
@pytest.mark.parametrize("atom", [cp.norm, cp.norm1, cp.norm_inf, cp.max, cp.log_sum_exp])
def test_terms_of_many_sizes(atom: Callable[[cp.Expression], cp.Expression], ball: bool) -> None:
    """Max and log-sum-exp must not be padded with zeros."""
    assert_same_optimum(many_terms(atom, ball))
