"""Convex functions: values, forms for other solvers and for ours, rules, copies."""

from __future__ import annotations

import copy
import math
import pickle

import cvxpy as cp
import numpy as np
import pytest
import torch
from cvxpy.reductions.complex2real.complex2real import Complex2Real
from torch.testing import assert_close

from cvxprox import atoms
from cvxprox.operators import Identity
from tests.atoms.function_cases import CONVEX, Convex, convex_atoms
from tests.atoms.linear_cases import values

pytestmark = [
    pytest.mark.filterwarnings("ignore:The problem has an expression with dimension greater than 2"),
    pytest.mark.filterwarnings("ignore:The problem includes expressions that don't support CPP backend"),
]
every = pytest.mark.parametrize("case", CONVEX, ids=str)


def test_every_convex_atom_has_a_case() -> None:
    assert convex_atoms() == {case.kind for case in CONVEX}


@every
def test_value(case: Convex) -> None:
    x = case.variable()
    x.value = case.point()
    atom = case.of(x)
    assert atom.shape == ()
    np.testing.assert_allclose(atom.value, case.definition(x.value, *case.data))
    np.testing.assert_allclose(case.written_out(x, *case.data).value, case.definition(x.value, *case.data))


@every
def test_prox_form(case: Convex) -> None:
    """The prox function of the points at the operator's values."""
    if case.complex_:
        return
    atom = case.of(case.variable())
    data = [torch.as_tensor(arg.value, dtype=torch.float64) for arg in atom.args[1:]]
    form = atom.prox_form(data, torch.float64, torch.device("cpu"))
    x = torch.from_numpy(case.point())
    assert_close(form.value(x), torch.tensor(case.definition(x.numpy(), *case.data)))
    K = Identity(case.shape) if form.operator is None else form.operator
    assert K.shape_in == case.shape and math.prod(form.shape) == math.prod(K.shape_out)


@every
def test_other_solvers_take_it(case: Convex) -> None:
    x, near = case.variable(), case.point(1)
    distance = cp.sum_squares(x - near)
    problem = cp.Problem(cp.Minimize(0.7 * case.of(x) + distance))
    assert problem.is_dcp() and problem.is_dpp()
    value, found = problem.solve(solver=cp.CLARABEL), x.value
    written = cp.Problem(cp.Minimize(0.7 * case.written_out(x, *case.data) + distance))
    assert abs(written.solve(solver=cp.CLARABEL) - value) < 1e-6
    np.testing.assert_allclose(found, x.value, atol=1e-4)


def test_other_solvers_are_found() -> None:
    """CVXPY's choice of a solver knows which cones the atoms need."""
    x = cp.Variable((3, 4))
    for atom in (atoms.tv(x), atoms.tv(x, isotropic=False), atoms.hinge(x), atoms.poisson(x, 1.0)):
        problem = cp.Problem(cp.Minimize(atom + cp.sum_squares(x - 1)))
        problem.solve()
        assert problem.status == cp.OPTIMAL
    linear = cp.Problem(cp.Minimize(atoms.hinge(x) + atoms.quantile(x, 0.5)), [cp.sum(x) == 1])
    linear.solve(solver=cp.OSQP)
    assert linear.status == cp.OPTIMAL
    bounded = cp.Problem(cp.Minimize(cp.sum_squares(x - values((3, 4)))), [atoms.tv(x) <= 1])
    bounded.solve(solver=cp.CLARABEL)
    assert abs(atoms.tv(x).value - 1) < 1e-5


@every
def test_rules(case: Convex) -> None:
    x = case.variable()
    atom = case.of(x)
    assert atom.is_convex() and not atom.is_concave()
    assert not (-atom).is_convex() and not case.of(cp.square(cp.real(x))).is_dcp()
    if atom.is_nonneg():
        assert cp.square(atom).is_dcp()
    assert case.of(cp.Parameter(case.shape)).is_constant()
    assert case.of(cp.multiply(cp.Parameter(case.shape), x)).is_dpp()


@every
def test_gradient(case: Convex) -> None:
    x = case.variable()
    x.value = case.point()
    atom = case.of(x)
    if case.complex_:
        assert atom.grad[x] is None
        return
    slope, step = atom.grad[x].toarray().ravel(), 1e-6
    for i, e in enumerate(np.eye(x.size)):
        unit = e.reshape(case.shape, order="F")
        ahead, behind = (case.definition(case.point() + s * unit, *case.data) for s in (step, -step))
        assert abs(slope[i] - (ahead - behind) / (2 * step)) < 1e-6


@every
def test_name_and_copies(case: Convex) -> None:
    x = case.variable("x")
    atom = case.of(x)
    assert str(atom).startswith(f"{type(atom).__name__}(x") and len(str(atom)) < 60
    problem = cp.Problem(cp.Minimize(atom + cp.sum_squares(x - case.point())))
    copies = [
        copy.deepcopy(problem),
        pickle.loads(pickle.dumps(problem)),
        cp.Problem(problem.objective.tree_copy()),
    ]
    value = problem.solve(solver=cp.CLARABEL)
    for other in copies:
        assert str(other) == str(problem)
        assert abs(other.solve(solver=cp.CLARABEL) - value) < 1e-6


@pytest.mark.parametrize("case", [case for case in CONVEX if case.data], ids=str)
def test_parameters(case: Convex) -> None:
    x = case.variable()
    ps = [cp.Parameter(np.shape(d), nonneg=True) for d in case.data]
    problem = cp.Problem(cp.Minimize(case.build(x, *ps) + cp.sum_squares(x - case.point())))
    assert problem.is_dpp()
    for factor in (1.0, 0.5):
        for p, d in zip(ps, case.data, strict=True):
            p.value = factor * np.asarray(d)
        fixed = case.build(x, *(factor * np.asarray(d) for d in case.data))
        best = cp.Problem(cp.Minimize(fixed + cp.sum_squares(x - case.point()))).solve(solver=cp.CLARABEL)
        assert abs(problem.solve(solver=cp.CLARABEL) - best) < 1e-6


def test_outside_of_the_domain() -> None:
    x = cp.Variable(2, value=[1.0, -1.0])
    atom = atoms.poisson(x, 1.0)
    assert atom.value == np.inf
    assert atom.grad[x] is None
    x.value = [1.0, -1e-8]
    assert atom.value == np.inf
    assert atoms.poisson(x, np.array([1.0, 0.0])).value == 1.0
    assert atoms.poisson(cp.Constant([0.0, 2.0]), np.array([0.0, 0.0])).value == 2.0
    assert cp.Problem(cp.Minimize(cp.sum(x)), atom.domain).solve(solver=cp.CLARABEL) == pytest.approx(
        0, abs=1e-7
    )


def test_hinge_falls() -> None:
    x = cp.Variable(2)
    problem = cp.Problem(cp.Minimize(atoms.hinge(cp.sqrt(x)) + 0.1 * cp.sum(x)))
    problem.solve(solver=cp.CLARABEL)
    np.testing.assert_allclose(x.value, 1.0, atol=1e-5)


def test_weighted_norm1() -> None:
    x, w = cp.Variable((2, 3), value=values((2, 3))), np.abs(values((2, 3), 1))
    atom = atoms.weighted_norm1(x, w)
    np.testing.assert_allclose(atom.value, (w * np.abs(x.value)).sum())
    assert atoms.weighted_norm1(x, cp.Parameter((2, 3), nonneg=True)).is_dpp()


def distance(v: np.ndarray) -> float:
    return float(np.sqrt((v**2).sum()))


def test_sets() -> None:
    """Projections onto the sets, with the conditions that characterise them."""
    x, v = cp.Variable((3, 4)), 3 * values((3, 4))
    sets = {
        "simplex": (atoms.simplex(x, 2.0), lambda p: (p.min() > -1e-6, abs(p.sum() - 2) < 1e-6)),
        "l1": (atoms.l1_ball(x, 2.0), lambda p: (np.abs(p).sum() < 2 + 1e-6,)),
        "l2": (atoms.l2_ball(x, 2.0), lambda p: (distance(p - 2 * v / distance(v)) < 1e-5,)),
        "linf": (atoms.linf_ball(x, 2.0), lambda p: (distance(p - v.clip(-2, 2)) < 1e-5,)),
        "nuclear": (atoms.nuclear_ball(x, 2.0), lambda p: (np.linalg.norm(p, "nuc") < 2 + 1e-5,)),
        "box": (atoms.box(x, -1.0, np.ones((3, 4))), lambda p: (distance(p - v.clip(-1, 1)) < 1e-5,)),
        "half box": (atoms.box(x, upper=0.5), lambda p: (distance(p - v.clip(max=0.5)) < 1e-5,)),
    }
    for name, (constraints, conditions) in sets.items():
        cp.Problem(cp.Minimize(cp.sum_squares(x - v)), constraints).solve(solver=cp.CLARABEL)
        assert all(conditions(x.value)), name


def test_complex_images_become_pairs() -> None:
    x = cp.Variable((3, 4), complex=True)
    for atom in (atoms.tv(x), atoms.tv(x, isotropic=False), atoms.group_norm(x, 0)):
        reduced, _ = Complex2Real().apply(cp.Problem(cp.Minimize(atom)))
        pair, value = reduced.objective.expr, values((3, 4), complex_=True)
        real, imag = reduced.variables()
        x.value, real.value, imag.value = value, value.real, value.imag
        np.testing.assert_allclose(pair.value, atom.value)
        form = pair.prox_form([], torch.float64, torch.device("cpu"))
        stacked = torch.from_numpy(np.stack([value.real, value.imag]))
        assert_close(form.value(stacked), torch.tensor(float(atom.value), dtype=torch.float64))
