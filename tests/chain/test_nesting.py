"""Atoms inside atoms, and the same atom in two places."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import pytest

from .problems import Build, assert_same_optimum, linear, normal, terms

NESTED: dict[str, tuple[list[str], Build]] = {
    "exp of norm": ([], linear(lambda x: cp.exp(cp.norm(x - 1)))),
    "exp of norms": (["Exp"], linear(lambda x: cp.sum(cp.exp(cp.norm(x - 1, axis=0))), 2, 3)),
    "sum of logs of concave": (["NegLog"], linear(lambda x: -cp.log(cp.min(x) + 3))),
    "max of norms": (["Max"], linear(lambda x: cp.max(cp.norm(x - 1, axis=0)), 2, 3)),
    "norm of exp": (["Norm2"], linear(lambda x: cp.norm(cp.exp(x)))),
    "huber of affine of abs": (["Huber"], linear(lambda x: cp.sum(cp.huber(cp.abs(x - 1) + 1, 2)))),
    "pos of square": (["Positive"], linear(lambda x: cp.sum(cp.pos(cp.square(x - 1) - 1)))),
    "cumsum of abs": ([], linear(lambda x: cp.sum(cp.cumsum(cp.abs(x))))),
    "square of norm": ([], linear(lambda x: cp.square(cp.norm(x - 1)))),
    "maximum of norms": ([], linear(lambda x: cp.maximum(cp.norm1(x), 2 * cp.norm(x)))),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_atoms(name: str) -> None:
    expected, build = NESTED[name]
    if name != "exp of norm":
        assert terms(build()) == expected
    assert_same_optimum(build)


def shared(constraints: Callable[[cp.Expression, cp.Variable], list], objective: Callable) -> Build:
    def build() -> cp.Problem:
        x = cp.Variable(4)
        t = cp.norm1(x - normal(4, seed=3))
        return cp.Problem(cp.Minimize(objective(t, x) + cp.sum_squares(x + 1)), constraints(t, x))

    return build


@pytest.mark.parametrize(
    "build",
    [
        shared(lambda t, x: [t <= 2], lambda t, x: t),
        shared(lambda t, x: [t + x[0] <= 3], lambda t, x: 0.1 * t),
        shared(lambda t, x: [cp.square(t) <= 4, t >= 0 * x[0]][:1], lambda t, x: t),
        shared(lambda t, x: [], lambda t, x: t + cp.exp(t / 4)),
        shared(lambda t, x: [cp.exp(t) + t <= 9], lambda t, x: cp.exp(t / 4) + t),
        shared(lambda t, x: [], lambda t, x: t + cp.maximum(t, 2 * x[0]) + t),
    ],
)
def test_an_atom_in_two_places(build: Build) -> None:
    """The placeholder of the objective must not leak into constraints or other atoms."""
    assert "Abs" in terms(build())
    assert_same_optimum(build)
