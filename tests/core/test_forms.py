"""What algorithms take, and what they say of programs that they do not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cvxprox import prox
from cvxprox.algorithms import ALGORITHMS, Session, refuse
from cvxprox.algorithms.form import orthogonal_rows
from cvxprox.operators import Identity, OnSlice, Scaled, Stacked
from cvxprox.options import Options
from cvxprox.program import Block, ProxProgram

from .programs import F64, Rows, box, build, vector
from .splittings import CASES, weights, zeros

SINGLE = [name for name, algorithm in ALGORITHMS.items() if algorithm.form.coupling == "single"]


def labelled(program: ProxProgram, *labels: str) -> ProxProgram:
    blocks = (replace(block, label=label) for block, label in zip(program.blocks, labels, strict=True))
    return replace(program, blocks=tuple(blocks))


def test_proximal_gradients_take_one_prox() -> None:
    assert SINGLE == ["pgd", "fista"]


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("case", CASES)
def test_programs_are_taken_or_refused_as_their_form_says(name: str, case: str) -> None:
    taken = name not in SINGLE or CASES[case].single
    assert (refuse(name, CASES[case].program) is None) == taken


def test_orthogonal_rows_have_their_squared_lengths() -> None:
    squares = orthogonal_rows(CASES["two_parts"].program)
    torch.testing.assert_close(squares, vector(1, 4, 0.25, 9, 9, 9, 9))
    rows: list[Rows] = [(prox.Norm2(), (1, 2), weights(1.0, 1))]
    assert orthogonal_rows(build(np.diag([1.0, 2.0]), zeros(2), rows)) is None  # one point, two lengths
    separable: list[Rows] = [(prox.Abs(), (2,), weights(1.0, 2))]
    assert orthogonal_rows(build(np.diag([1.0, 2.0]), zeros(2), separable)) is not None
    assert orthogonal_rows(build([[1.0, 0], [0, 0]], zeros(2), separable)) is None  # a row of zeros
    nearly = np.array([[1.0, 1e-4], [0, 1]])
    assert orthogonal_rows(build(nearly, zeros(2), separable)) is None


def test_orthogonal_rows_of_operators() -> None:
    pieces = (
        OnSlice(Scaled(3.0, Identity((2, 2), F64)), 0, 6),
        OnSlice(Identity((2,), F64), 4, 6),
    )
    blocks = (
        Block(prox.Abs(), 0, 4, (4,), weights(1.0, 4)),
        Block(prox.Box(zeros(2), zeros(2)), 4, 6, (2,)),
    )
    program = ProxProgram(None, zeros(6), 0.0, Stacked(pieces), zeros(6), blocks)
    torch.testing.assert_close(orthogonal_rows(program), vector(9, 9, 9, 9, 1, 1))


@pytest.mark.parametrize("name", SINGLE)
def test_terms_on_the_same_variables_are_named(name: str) -> None:
    rows: list[Rows] = [box([0.0], [math.inf]), (prox.Abs(), (2,), weights(1.0, 2))]
    program = labelled(build([[0.0, 1], [1, 0], [0, 1]], zeros(3), rows), "x >= 0", "norm1(x)")
    text = refuse(name, program)
    assert text is not None and text.startswith(f'algorithm="{name}" cannot solve this problem: ')
    assert "`x >= 0` and `norm1(x)` act on the same variables" in text and '"pdhg"' in text
    with pytest.raises(ValueError, match=r"`x >= 0` and `norm1\(x\)`"):
        Session.start(program, Options().with_changes({"algorithm": name}))


def test_a_general_argument_is_named() -> None:
    rows: list[Rows] = [(prox.Abs(), (1,), weights(1.0, 1)), (prox.Abs(), (2,), weights(1.0, 2))]
    K = [[1.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]]
    text = refuse("fista", labelled(build(K, zeros(3), rows), "abs(x[0])", "norm1(A @ x)"))
    assert text is not None and "the argument of `norm1(A @ x)` is not a selection" in text
    unequal: list[Rows] = [(prox.Norm2(), (1, 2), weights(1.0, 1))]
    text = refuse("pgd", build(np.diag([1.0, 2.0]), zeros(2), unequal))
    assert text is not None and "the argument of Norm2" in text
