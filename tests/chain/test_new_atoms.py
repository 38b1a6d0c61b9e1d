"""Atoms of one's own: an error without a prox, a term with one."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cvxpy.atoms.elementwise.elementwise import Elementwise

from cvxprox.errors import ReductionError
from cvxprox.prox import Logistic
from cvxprox.reductions.prox_of import elementwise, prox_of
from cvxprox.reductions.prox_term import ProxSpec

from .problems import SOLVER, TIGHT, by_clarabel, distance, terms


class Softplus(Elementwise):
    """An atom that CVXPY has no cone form for."""

    def numeric(self, values: list[np.ndarray]) -> np.ndarray:
        return np.log1p(np.exp(values[0]))

    def sign_from_args(self) -> tuple[bool, bool]:
        return True, False

    def is_atom_convex(self) -> bool:
        return True

    def is_atom_concave(self) -> bool:
        return False

    def is_incr(self, idx: int) -> bool:
        return True

    def is_decr(self, idx: int) -> bool:
        return False

    def _grad(self, values: list[np.ndarray]) -> list[Any]:
        raise NotImplementedError


def test_an_atom_without_any_form_is_an_error() -> None:
    x = cp.Variable(2, name="xyz")
    for problem in (
        cp.Problem(cp.Minimize(cp.sum(Softplus(x)))),
        cp.Problem(cp.Minimize(cp.norm1(x)), [Softplus(x) <= 1]),
    ):
        with pytest.raises(
            ReductionError, match=r"`Softplus` in `Softplus\(xyz\)` has no cone form and no prox"
        ):
            problem.solve(solver=SOLVER)


def test_a_new_atom_needs_only_its_prox() -> None:
    @prox_of.register(Softplus)
    def _(atom: Any, arg: cp.Expression) -> ProxSpec:
        return ProxSpec("Logistic", Logistic, elementwise(arg))

    x = cp.Variable(3, name="xyz")
    target = np.array([1.0, -2, 3])
    try:
        problem = cp.Problem(cp.Minimize(2 * cp.sum(Softplus(x - 1)) + distance(x, target)), [x <= 1.5])
        assert terms(problem) == ["Logistic"]
        problem.solve(solver=SOLVER, **TIGHT)
        same = cp.Problem(cp.Minimize(2 * cp.sum(cp.logistic(x - 1)) + distance(x, target)), [x <= 1.5])
        assert problem.value == pytest.approx(by_clarabel(same), rel=1e-6)
        with pytest.raises(ReductionError, match="serves only where it stands in the objective"):
            cp.Problem(cp.Minimize(cp.norm1(x)), [Softplus(x) <= 1]).solve(solver=SOLVER)
    finally:
        forget(Softplus)


def forget(atom: type) -> None:
    """Take an atom out of the registry, which is meant to grow only."""
    table = next(
        cell.cell_contents
        for cell in prox_of.register.__closure__ or ()
        if isinstance(cell.cell_contents, dict) and atom in cell.cell_contents
    )
    del table[atom]
    prox_of._clear_cache()
