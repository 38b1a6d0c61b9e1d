"""The compiler's passes, each by what it must keep: the value of the objective and the dual points."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from cvxprox.algorithms.form import Form
from cvxprox.operators import (
    Convolution,
    Diagonal,
    FiniteDifference,
    Fourier,
    Identity,
    ImagPart,
    LinearOperator,
    OnSlice,
    RealPart,
    SparseMatrix,
    as_dense,
)
from cvxprox.operators.algebra import compose
from cvxprox.planning import Quadratic, Term, Terms, make_plan
from cvxprox.planning.fuse import (
    absorb_weights,
    fuse_complex,
    merge_bounded,
    merge_intervals,
    split_scale,
    unchanged,
)
from cvxprox.planning.plan import square
from cvxprox.program import ProxProgram
from cvxprox.prox import Abs, Box, Clipped, Huber, NegLog, Norm2
from cvxprox.reductions.arrange import arrange, fortran_positions

SHAPE = (4, 5)
SIZE = math.prod(SHAPE)
SOLVE = Form(quadratic="solve", coupling="composed", penalties="rows")


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def on_x(K: LinearOperator) -> OnSlice:
    return OnSlice(K, 0, SIZE)


def interval(K: LinearOperator, low: float, high: float, shift: float = 0.0, key: int = 0) -> Term:
    rows = K.shape_out[0]
    bounds = Box(torch.full((rows,), low).double(), torch.full((rows,), high).double())
    return Term(K, torch.full((rows,), shift).double(), bounds, (rows,), key=key, label=f"bound {key}")


def nothing() -> ProxProgram:
    empty = SparseMatrix(torch.zeros(0, SIZE, dtype=torch.float64).numpy())
    return ProxProgram(None, randn(SIZE), 1.5, empty, torch.zeros(0, dtype=torch.float64), ())


class TestComplexPairs:
    def pair(self, weight: float = 1.0) -> list[Quadratic]:
        F = Fourier(SHAPE)
        d = torch.complex(randn(SIZE, seed=1), randn(SIZE, seed=2))
        parts = [(RealPart, d.real), (ImagPart, d.imag)]
        return [
            Quadratic(on_x(compose(part(SHAPE, torch.complex128), F)), t, torch.tensor(w).double(), "fit")
            for (part, t), w in zip(parts, (1.0, weight), strict=True)
        ]

    def value(self, quadratics: list[Quadratic], x: torch.Tensor) -> float:
        return float(
            sum(q.weight * (q.operator.forward(x) - q.target).abs().square().sum() for q in quadratics)
        )

    def test_they_become_one_complex_square(self) -> None:
        pair, notes = self.pair(), []
        fused = fuse_complex(pair, notes)
        assert len(fused) == 1 and len(notes) == 1
        assert fused[0].operator.dtype_out.is_complex
        x = randn(SIZE, seed=3)
        assert_close(self.value(fused, x), self.value(pair, x))

    def test_other_weights_stay_apart(self) -> None:
        assert len(fuse_complex(self.pair(weight=2.0), [])) == 2

    def test_one_part_alone_stays(self) -> None:
        assert len(fuse_complex(self.pair()[:1], [])) == 1


class TestBounds:
    def test_intersection_and_the_owners_of_its_multipliers(self) -> None:
        identity = on_x(Identity(SHAPE))
        bounds = [
            interval(identity, 0.0, math.inf, key=3),
            interval(-1.0 * identity, -1.0, math.inf, key=5),  # -x >= -1
            interval(2.0 * identity, -math.inf, 3.0, shift=1.0, key=8),  # 2x + 1 <= 3: the same bound
        ]
        notes: list[str] = []
        (merged,) = merge_intervals([unchanged(b) for b in bounds], notes)
        assert_close(merged.term.function.lower.expand(SIZE), torch.zeros(SIZE).double())
        assert_close(merged.term.function.upper.expand(SIZE), torch.ones(SIZE).double())
        assert notes and "bound 3; bound 5; bound 8" in notes[0]
        y = torch.linspace(-1, 1, SIZE).double()
        duals = {key: recover(y, y) for key, recover in merged.duals}
        # K'y of the parts adds up to the multiplier of x
        assert_close(duals[3] - duals[5] + 2 * duals[8], y)
        assert bool((duals[3] <= 0).all()) and bool((duals[5] <= 0).all()) and bool((duals[8] >= 0).all())

    def test_bounds_of_other_operators_stay_apart(self) -> None:
        terms = [
            interval(on_x(Identity(SHAPE)), 0.0, 1.0),
            interval(on_x(Convolution(randn(3, 3), SHAPE)), 0.0, 1.0),
        ]
        assert len(merge_intervals([unchanged(t) for t in terms], [])) == 2


class TestBoundedFunctions:
    """A function and bounds of the same entries become one term."""

    def terms(self) -> list[Term]:
        identity, weight = on_x(Identity(SHAPE)), torch.linspace(0.5, 2, SIZE).double()
        zero = torch.zeros(SIZE).double()
        function = Term(identity, zero, Abs(), (SIZE,), weight=weight, label="norm1(x)", key=1)
        return [function, interval(identity, 0.0, 0.5, key=2)]

    def test_the_multiplier_is_what_no_subgradient_explains(self) -> None:
        notes: list[str] = []
        (merged,) = merge_bounded([unchanged(t) for t in self.terms()], notes)
        assert isinstance(merged.term.function, Clipped) and notes
        z = torch.linspace(0, 0.5, SIZE).double()
        y = torch.linspace(-3, 3, SIZE).double()
        ((key, recover),) = merged.duals
        weight = merged.term.weight
        assert weight is not None and key == 2
        expected = torch.zeros(SIZE).double()
        expected[0] = y[0] + weight[0]  # at 0 the subgradients of w|x| are [-w, w]
        expected[-1] = y[-1] - weight[-1]
        assert_close(recover(y, z), expected, atol=1e-6, rtol=0)

    def test_functions_that_are_not_finite_everywhere_stay_apart(self) -> None:
        function, bound = self.terms()
        barrier = replace(function, function=NegLog())
        assert len(merge_bounded([unchanged(barrier), unchanged(bound)], [])) == 2

    def test_two_functions_keep_the_bounds_apart(self) -> None:
        function, bound = self.terms()
        other = replace(function, function=Huber(torch.tensor(0.5).double()))
        assert len(merge_bounded([unchanged(t) for t in (function, other, bound)], [])) == 3


def test_weights_are_absorbed_with_their_duals() -> None:
    weights, shift = randn(*SHAPE), randn(SIZE, seed=4)
    K = on_x(compose(Diagonal(weights, SHAPE), Convolution(randn(3, 3, seed=5), SHAPE)))
    term = Term(K, shift, Abs(), (SIZE,), weight=torch.ones(SIZE).double(), key=7)
    notes: list[str] = []
    planned = absorb_weights(unchanged(term), notes)
    new, x = planned.term, randn(SIZE, seed=6)
    assert isinstance(new.operator, OnSlice) and isinstance(new.operator.inner, Convolution) and notes
    before = term.function.value(K.forward(x) + shift).sum()
    assert_close(new.function.value(new.operator.forward(x) + new.shift).sum(), before)
    ((key, recover),) = planned.duals
    y = randn(SIZE, seed=8)
    assert key == 7
    assert_close(K.adjoint(recover(y, y)), new.operator.adjoint(y))


def test_functions_of_vectors_keep_their_weights() -> None:
    K = on_x(Diagonal(randn(*SHAPE), SHAPE))
    term = Term(K, torch.zeros(SIZE).double(), Norm2(), (4, 5), weight=torch.ones(4).double())
    assert absorb_weights(unchanged(term), []).term is term


@pytest.mark.parametrize("scale", [-2.0, 0.5])
def test_scales_are_found_below_other_operators(scale: float) -> None:
    K = on_x(compose(Identity(SHAPE), scale * Convolution(randn(3, 3), SHAPE)))
    c, L = split_scale(-1.0 * K)
    x = randn(SIZE)
    assert float(c) == -scale
    assert_close(c * L.forward(x), -K.forward(x))


SQUARES = {
    "blur": on_x(Convolution(randn(3, 3), SHAPE)),
    "differences": on_x(FiniteDifference(SHAPE)),
    "masked": on_x(compose(Diagonal(randn(*SHAPE), SHAPE), Convolution(randn(3, 3), SHAPE))),
    "spectrum": on_x(compose(Diagonal(randn(*SHAPE), SHAPE), Fourier(SHAPE))),
    "wide": SparseMatrix(randn(3, SIZE).numpy()),
    "tall": SparseMatrix(randn(30, SIZE).numpy()),
}


@pytest.mark.parametrize("name", SQUARES)
def test_squares_of_operators(name: str) -> None:
    F = SQUARES[name]
    dense = as_dense(F)
    assert_close(as_dense(square(F)), (dense.mH @ dense).real)


PARTITIONS = {
    "blur and differences": ("blur", on_x(FiniteDifference(SHAPE, boundary="circular")), 1),
    "mask and differences": ("masked", on_x(FiniteDifference(SHAPE, boundary="circular")), 0),
    "coefficients and differences": ("spectrum", on_x(FiniteDifference(SHAPE, boundary="circular")), 1),
    "wide and identity": ("wide", on_x(Identity(SHAPE)), 1),
}


@pytest.mark.parametrize("name", PARTITIONS)
def test_the_program_has_the_objective_of_the_terms(name: str) -> None:
    square_name, K, inside = PARTITIONS[name]
    F = SQUARES[square_name]
    d = (
        torch.complex(randn(F.shape_out[0]), randn(F.shape_out[0], seed=1))
        if F.dtype_out.is_complex
        else randn(F.shape_out[0])
    )
    quadratic = Quadratic(F, d, torch.tensor(0.7).double(), "fit")
    term = Term(
        K, randn(K.shape_out[0], seed=2), Abs(), (K.shape_out[0],), weight=torch.ones(K.shape_out[0]).double()
    )
    plan = make_plan(Terms(nothing(), (quadratic,), (term,)), SOLVE)
    x = randn(SIZE, seed=9)
    expected = 1.5 + nothing().q @ x + 0.7 * (F.forward(x) - d).abs().square().sum()
    expected = expected + (K.forward(x) + term.shift).abs().sum()
    assert_close(plan.program.objective(x), expected)
    assert sum(choice.place == "quadratic form" for choice in plan.choices) == inside
    assert len(plan.choices) == 2


class TestArrangement:
    def rows(self, index: np.ndarray, size: int) -> np.ndarray:
        """The points that the arrangement reads from rows 0, 1, …."""
        arranged = arrange(index, size)
        rows = np.arange(size) if arranged.gather is None else arranged.gather
        points = (
            rows.reshape(*arranged.shape[1:], arranged.shape[0])
            if arranged.leading
            else rows.reshape(arranged.shape)
        )
        points = np.moveaxis(points, -1, 0) if arranged.leading else points
        order = np.arange(len(index)) if arranged.order is None else arranged.order
        assert (points == index[order]).all()
        return rows

    @pytest.mark.parametrize(
        "index",
        [
            np.arange(6).reshape(3, 2), np.arange(6).reshape(2, 3).T, np.array([4, 2, 0, 1, 3, 5]),
            np.array([[2, 3], [0, 1], [4, 5]]), np.array([[2, 5], [0, 3], [1, 4]]),
        ],
    )  # fmt: skip
    def test_nothing_is_gathered_where_an_order_of_the_points_will_do(self, index: np.ndarray) -> None:
        assert arrange(index, 6).gather is None
        self.rows(index, 6)

    @pytest.mark.parametrize(
        "index", [np.array([[1, 0], [2, 3]]), np.array([0, 0, 1]), np.array([[0, 3], [1, 5]])]
    )
    def test_other_points_are_gathered(self, index: list) -> None:
        assert arrange(np.array(index), 6).gather is not None
        self.rows(np.array(index), 6)

    def test_fortran_positions(self) -> None:
        a, b = np.arange(6).reshape(2, 3), 6 + np.arange(8).reshape(2, 2, 2)
        rows = np.concatenate([a.ravel(order="F"), b.ravel(order="F")])
        assert (fortran_positions([(2, 3), (2, 2, 2)]) == rows).all()
