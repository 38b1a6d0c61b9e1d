"""From CVXPY problems to prox programs and back: terms, weights, norm balls, rows, duals, certificates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
from cvxpy.atoms.elementwise.elementwise import Elementwise
from cvxpy.atoms.elementwise.maximum import maximum
from cvxpy.atoms.elementwise.power import Power
from cvxpy.atoms.max import max as max_atom
from cvxpy.atoms.min import min as min_atom
from cvxpy.atoms.norm1 import norm1
from cvxpy.atoms.norm_inf import norm_inf
from cvxpy.atoms.pnorm import Pnorm
from cvxpy.atoms.quad_form import QuadForm
from cvxpy.atoms.quad_over_lin import quad_over_lin

import cvxprox
from cvxprox.algorithms import Session, solve_admm
from cvxprox.errors import ReductionError
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.prox import Box, Logistic
from cvxprox.reductions.assemble import Assembly, assemble
from cvxprox.reductions.norm_balls import ball_of
from cvxprox.reductions.parametric import ParametricProgram
from cvxprox.reductions.prox_of import elementwise, prox_of
from cvxprox.reductions.prox_term import ProxSpec

SOLVER = "NABLA_ADMM"
TIGHT: dict[str, Any] = {"eps_abs": 1e-9, "eps_rel": 1e-9}
Build = Callable[[], cp.Problem]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal(shape)


def stuffed(problem: cp.Problem, **options: Any) -> tuple[ProxProgram, ParametricProgram]:
    data = problem.get_problem_data(SOLVER, solver_opts=options)[0]
    return assemble(data["numbers"], data["param_prob"].layout).program, data["param_prob"]


def kinds(problem: cp.Problem, **options: Any) -> list[str]:
    """The functions of the program's blocks."""
    return sorted(type(block.function).__name__ for block in stuffed(problem, **options)[0].blocks)


def terms(problem: cp.Problem, **options: Any) -> list[str]:
    """The functions of the blocks that have weights."""
    blocks = stuffed(problem, **options)[0].blocks
    return sorted(type(b.function).__name__ for b in blocks if b.weight is not None)


def weights(problem: cp.Problem) -> np.ndarray:
    """Of the only term."""
    (block,) = (b for b in stuffed(problem)[0].blocks if b.weight is not None)
    assert block.weight is not None
    return block.weight.numpy()


def by_clarabel(problem: cp.Problem) -> float:
    """The optimal value, as accurate as it gets; leaves primal and dual values in the problem."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # tried again
        for tol in (1e-11, 1e-10, 1e-9, 1e-8):
            problem.solve(
                solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol, warm_start=False
            )
            if problem.status == cp.OPTIMAL:
                break
    assert problem.status == cp.OPTIMAL
    return float(problem.value)


def distance(x: cp.Variable, target: np.ndarray) -> cp.Expression:
    """Half the squared distance to a point, less a constant, without auxiliary variables."""
    return 0.5 * cp.sum_squares(x) - cp.sum(cp.multiply(target, x))


def assert_same_optimum(build: Build, tol: float = 1e-5, **options: Any) -> cp.Problem:
    """The same problem, built twice, solved by both."""
    expected = by_clarabel(build())
    problem = build()
    problem.solve(solver=SOLVER, **(TIGHT | options))
    assert problem.status == cp.OPTIMAL
    assert problem.value == pytest.approx(expected, rel=tol, abs=tol)
    assert float(problem.objective.value) == pytest.approx(expected, rel=10 * tol, abs=10 * tol)
    return problem


def minimize(term: Callable[[cp.Variable], cp.Expression], *shape: int, **attributes: Any) -> Build:
    """Minimise the term plus a quadratic that makes the minimiser unique and not trivial."""

    def build() -> cp.Problem:
        x = cp.Variable(shape or (5,), name="x", **attributes)
        target = 2 * normal(*x.shape, seed=11)
        return cp.Problem(cp.Minimize(term(x) + distance(x, target)))

    return build


def linear(term: Callable[[cp.Variable], cp.Expression], *shape: int, **attributes: Any) -> Build:
    """Minimise the term plus a linear function over a box: no quadratic objective."""

    def build() -> cp.Problem:
        x = cp.Variable(shape or (5,), name="x", **attributes)
        slope = normal(*x.shape, seed=12)
        return cp.Problem(cp.Minimize(term(x) + cp.sum(cp.multiply(slope, x))), [x >= -2, x <= 2.5])

    return build


A, a = normal(7, 5, seed=1), normal(7, seed=2)
MATRIX, SYMMETRIC = (4, 3), {"symmetric": True}

Case = tuple["str | None", Build]
ATOMS: dict[type, list[Case]] = {
    cp.abs: [
        ("Abs", minimize(lambda x: cp.sum(cp.abs(A @ x - a)))),
        ("Abs", linear(lambda x: 3 * cp.sum(cp.abs(x - 1)), 3, 2)),
    ],
    norm1: [
        ("Abs", minimize(lambda x: cp.norm1(A @ x + a))),
        ("Abs", minimize(lambda x: cp.sum(cp.norm(x, 1, axis=1)), *MATRIX)),
    ],
    Pnorm: [
        ("Norm2", minimize(lambda x: 2 * cp.norm(A @ x - a))),
        ("Norm2", minimize(lambda x: cp.norm(x, "fro"), *MATRIX)),
        ("Norm2", minimize(lambda x: np.arange(1.0, 4) @ cp.norm(x, axis=0), *MATRIX)),
        ("Norm2", minimize(lambda x: cp.sum(cp.norm(x, axis=1)), *MATRIX)),
        ("Abs", minimize(lambda x: cp.sum(cp.norm(x, axis=1)), 4, 1)),
        ("Norm2", minimize(lambda x: cp.tv(x), *MATRIX)),
        ("Norm2", minimize(lambda x: cp.mixed_norm(x, 2, 1), *MATRIX)),
        (None, minimize(lambda x: cp.pnorm(x, 3))),
        (None, minimize(lambda x: -cp.pnorm(x, 0.5), nonneg=True)),
    ],
    norm_inf: [
        ("NormInf", minimize(lambda x: 3 * cp.norm_inf(A @ x - a))),
        ("NormInf", minimize(lambda x: cp.sum(cp.norm(x, "inf", axis=1)), *MATRIX)),
    ],
    max_atom: [
        ("Max", minimize(lambda x: 3 * cp.max(A @ x - a))),
        ("Max", minimize(lambda x: cp.sum(cp.max(x, axis=0)), *MATRIX)),
    ],
    min_atom: [
        ("Max", minimize(lambda x: -3 * cp.min(A @ x - a))),
        ("Max", minimize(lambda x: -cp.sum(cp.min(x, axis=1)), *MATRIX)),
    ],
    cp.sum_largest: [
        ("SumLargest", minimize(lambda x: cp.sum_largest(A @ x - a, 3))),
        ("SumLargest", minimize(lambda x: -cp.sum_smallest(x, 2), *MATRIX)),
        (None, minimize(lambda x: cp.sum_largest(x, 5))),
    ],
    cp.log_sum_exp: [
        ("LogSumExp", minimize(lambda x: 2 * cp.log_sum_exp(A @ x - a))),
        ("LogSumExp", minimize(lambda x: cp.sum(cp.log_sum_exp(x, axis=1)), *MATRIX)),
    ],
    cp.exp: [("Exp", linear(lambda x: cp.sum(cp.exp(A @ x - a))))],
    cp.logistic: [("Logistic", linear(lambda x: cp.sum(cp.logistic(A @ x - a))))],
    cp.log: [
        ("NegLog", linear(lambda x: -cp.sum(cp.log(x + 1)))),
        ("NegLog", linear(lambda x: -2 * cp.log(cp.sum(x)))),
    ],
    cp.log1p: [("NegLog", linear(lambda x: -cp.sum(cp.log1p(2 * x))))],
    cp.entr: [("NegEntropy", linear(lambda x: -cp.sum(cp.entr(x))))],
    maximum: [
        ("Positive", minimize(lambda x: cp.sum(cp.pos(A @ x - a)))),
        ("Positive", minimize(lambda x: cp.sum(cp.pos(-x)))),
        (None, minimize(lambda x: cp.sum(cp.neg(x)))),
        (None, minimize(lambda x: cp.sum(cp.maximum(x, 1)))),
        (None, minimize(lambda x: cp.sum(cp.maximum(x, 0, -2 * x)))),
    ],
    cp.huber: [
        ("Huber", minimize(lambda x: cp.sum(cp.huber(A @ x - a)))),
        ("Huber", minimize(lambda x: cp.sum(cp.huber(x, cp.Parameter(nonneg=True, value=0.7))))),
    ],
    Power: [
        (None, minimize(lambda x: cp.sum(cp.power(x, 2)))),
        (None, linear(lambda x: cp.sum(cp.power(x, 3)), nonneg=True)),
    ],
    quad_over_lin: [
        (None, minimize(lambda x: cp.sum_squares(A @ x - a))),
        (None, linear(lambda x: cp.quad_over_lin(x[:3], x[4] + 3))),
    ],
    QuadForm: [(None, minimize(lambda x: cp.quad_form(x, A.T @ A)))],
    cp.normNuc: [("NuclearNorm", minimize(lambda x: cp.normNuc(x - 1), *MATRIX))],
    cp.sigma_max: [("SpectralNorm", minimize(lambda x: 2 * cp.sigma_max(x), *MATRIX))],
    cp.lambda_max: [
        ("LambdaMax", minimize(lambda x: 2 * cp.lambda_max(x), 3, 3, **SYMMETRIC)),
        ("LambdaMax", minimize(lambda x: -cp.lambda_min(x), 3, 3, **SYMMETRIC)),
        (None, minimize(lambda x: cp.lambda_max(x + x.T), 3, 3)),
        (None, minimize(lambda x: cp.lambda_sum_largest(x, 2), 3, 3, **SYMMETRIC)),
    ],
    cp.log_det: [("NegLogDet", linear(lambda x: -cp.log_det(x + 2 * np.eye(3)), 3, 3, **SYMMETRIC))],
}
WITHOUT_QUADRATICS: list[Case] = [
    ("Square", minimize(lambda x: cp.sum(cp.power(x - 1, 2)))),
    ("Square", minimize(lambda x: cp.sum_squares(A @ x - a))),
    ("Square", minimize(lambda x: cp.quad_over_lin(A @ x - a, 3.0))),
    ("QuadForm", minimize(lambda x: cp.quad_form(x - 1, A.T @ A))),
]


def cases() -> Iterator[Any]:
    for atom, members in ATOMS.items():
        for k, (kind, build) in enumerate(members):
            yield pytest.param(kind, build, {}, id=f"{atom.__name__}-{k}")
    for k, (kind, build) in enumerate(WITHOUT_QUADRATICS):
        yield pytest.param(kind, build, {"use_quad_obj": False}, id=f"{kind}-{k}")


def subclasses(kind: type) -> Iterator[type]:
    children: list[type] = kind.__subclasses__()
    for child in children:
        yield child
        yield from subclasses(child)


# -- the registry ------------------------------------------------------------------------------


def test_every_registered_atom_has_a_case() -> None:
    assert ATOMS.keys() == prox_of.registry.keys() - {object}
    assert cvxprox.prox_atoms() == sorted(kind.__name__ for kind in ATOMS)


@pytest.mark.parametrize("registry", [prox_of.registry, ball_of.registry], ids=["prox_of", "ball_of"])
def test_no_other_atom_inherits_a_prox(registry: Any) -> None:
    """An unknown subclass, found along the MRO, would be taken for its base."""
    same_function = {"PnormApprox", "PowerApprox"}
    told_apart = {"lambda_sum_largest"}  # by its type, in the entry of its base
    for kind in registry.keys() - {object}:
        unknown = {c for c in subclasses(kind) if c not in registry and c.__module__.startswith("cvxpy.")}
        assert {c.__name__ for c in unknown} <= same_function | told_apart, kind


@pytest.mark.parametrize(("kind", "build", "options"), list(cases()))
def test_atoms_stay_terms_and_reach_the_optimum(kind: str | None, build: Build, options: dict) -> None:
    found = terms(build(), **options)
    if kind is None:
        assert found == []
    else:
        assert kind in found
        assert set(found) - {kind} <= ({"Square"} if options else set())
    problem = assert_same_optimum(build, **options)
    assert not np.allclose(problem.variables()[0].value, 0, atol=1e-2)


@pytest.mark.parametrize(("kind", "build", "options"), list(cases()))
def test_programs_have_the_value_of_the_problem(kind: str | None, build: Build, options: dict) -> None:
    """At random points, where the program has the variables of the problem."""
    problem = build()
    program, parametric = stuffed(problem, **options)
    auxiliary = set(parametric.offsets) - {v.id for v in problem.variables()} - placeholders(parametric)
    if auxiliary or problem.variables()[0].attributes["symmetric"]:
        assert kind in (None, "Square", "QuadForm", "LambdaMax", "NegLogDet")
        return
    for seed in range(5):
        x = 0.4 + rng(seed).uniform(-0.3, 0.3, program.variables)
        for v in problem.variables():
            v.value = parametric.split(x)[v.id]
        value = float(program.objective(torch.from_numpy(x)))
        assert value == pytest.approx(float(problem.objective.value), rel=1e-9)


def placeholders(parametric: ParametricProgram) -> set[int]:
    gone = set(range(parametric.columns)) - set(parametric.kept.tolist())
    return {key for key, start in parametric.offsets.items() if start in gone}


# -- weights -----------------------------------------------------------------------------------

x5, X23 = cp.Variable(5), cp.Variable((2, 3))
p3 = cp.Parameter(nonneg=True, value=3.0)
w5 = cp.Parameter(5, nonneg=True, value=np.arange(5.0))
W23 = np.arange(6.0).reshape(2, 3)
u = cp.abs(x5)
WEIGHTS: dict[str, tuple[cp.Minimize | cp.Maximize, Any]] = {
    "sum": (cp.Minimize(cp.sum(u)), np.ones(5)),
    "mean": (cp.Minimize(cp.mean(u)), np.full(5, 0.2)),
    "scalar": (cp.Minimize(2 * cp.sum(u) / 8), np.full(5, 0.25)),
    "vector @": (cp.Minimize(np.arange(5.0) @ u), np.arange(5)),
    "@ vector": (cp.Minimize(u @ np.arange(5.0)), np.arange(5)),
    "matrix @": (cp.Minimize(cp.sum(np.abs(A) @ u)), np.abs(A).sum(axis=0)),
    "multiply": (cp.Minimize(cp.sum(cp.multiply(np.arange(5.0), u))), np.arange(5)),
    "in Fortran order": (cp.Minimize(cp.sum(cp.multiply(W23, cp.abs(X23)))), W23.ravel(order="F")),
    "item": (cp.Minimize(u[3]), [0, 0, 0, 1, 0]),
    "slice": (cp.Minimize(cp.sum(u[1::2])), [0, 1, 0, 1, 0]),
    "fancy index": (cp.Minimize(cp.sum(u[[0, 0, 4]])), [2, 0, 0, 0, 1]),
    "sum of two": (cp.Minimize(cp.sum(u) + u[0]), [2, 1, 1, 1, 1]),
    "negated": (cp.Minimize(-1 * (-cp.sum(u))), np.ones(5)),
    "Maximize": (cp.Maximize(-3 * cp.sum(u)), np.full(5, 3)),
    "parameter": (cp.Minimize(p3 * cp.sum(u)), np.full(5, 3)),
    "parameter and scalar": (cp.Minimize(p3 / 2 * cp.sum(u)), np.full(5, 1.5)),
    "parameter vector": (cp.Minimize(w5 @ u), np.arange(5)),
    "hstack": (cp.Minimize(cp.sum(cp.hstack([u, 2 * u]))), np.full(5, 3)),
    "reshape": (cp.Minimize(cp.sum(cp.reshape(cp.abs(X23), (3, 2), order="C")[0])), [1, 0, 1, 0, 0, 0]),
    "convolve": (cp.Minimize(cp.sum(cp.convolve([1.0, 2.0], u))), np.full(5, 3)),
    "diagonal": (cp.Minimize(cp.trace(cp.abs(X23)[:, :2])), [1, 0, 0, 1, 0, 0]),
    "norm": (cp.Minimize(4 * cp.norm(x5)), [4]),
    "norms": (cp.Minimize(np.array([1.0, 2, 3]) @ cp.norm(X23, axis=0)), [1, 2, 3]),
    "log": (cp.Maximize(np.arange(5.0) @ cp.log(x5)), np.arange(5)),
    "entropy": (cp.Minimize(-2 * cp.sum(cp.entr(x5))), np.full(5, 2)),
    "min": (cp.Maximize(2 * cp.min(x5)), [2]),
    "zero": (cp.Minimize(0 * cp.norm(x5) + cp.sum(x5)), [0]),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str) -> None:
    objective, expected = WEIGHTS[name]
    np.testing.assert_allclose(weights(cp.Problem(objective, [x5 <= 3])), expected, atol=1e-15)


def test_weights_follow_parameters() -> None:
    problem = cp.Problem(cp.Minimize(p3 * cp.sum(u) + cp.sum_squares(x5 - 2)), [x5[0] == 1])
    for value in (0.0, 1.0, 2.5):
        p3.value = value
        assert problem.solve(solver=SOLVER) == pytest.approx(by_clarabel(problem), abs=1e-5)
        np.testing.assert_allclose(weights(problem), value)
    p3.value = 3.0


def test_a_weight_of_zero_keeps_the_domain() -> None:
    x, p = cp.Variable(3), cp.Parameter(nonneg=True, value=0.0)
    problem = cp.Problem(cp.Maximize(p * cp.sum(cp.log(x)) - cp.sum(x)), [x >= -5])
    assert problem.solve(solver=SOLVER) == pytest.approx(0, abs=1e-5)
    p.value = 2.0
    assert problem.solve(solver=SOLVER) == pytest.approx(3 * (2 * np.log(2) - 2), rel=1e-5)


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


# -- nesting -----------------------------------------------------------------------------------

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


# -- duals -------------------------------------------------------------------------------------


def constrained(make: Callable[[cp.Variable], list], *shape: int, scale: float = 2.0) -> Build:
    """The projection of a point onto the constraints: strongly convex, the duals unique."""

    def build() -> cp.Problem:
        x = cp.Variable(shape or (5,), name="x")
        return cp.Problem(cp.Minimize(2 * distance(x, scale * normal(*x.shape, seed=21))), make(x))

    return build


B, b2 = normal(2, 5, seed=5), normal(2, seed=6)
S33 = normal(3, 3, seed=7) + normal(3, 3, seed=7).T
DUALS: dict[str, Build] = {
    "equality": constrained(lambda x: [B @ x == b2]),
    "scalar equality": constrained(lambda x: [cp.sum(x) == 1]),
    "matrix equality": constrained(lambda X: [X @ [1.0, 2, 3] == [1, 2], X[0, :2] == X[1, 1:]], 2, 3),
    "Zero": constrained(lambda x: [cp.Zero(B @ x - b2)]),
    "less": constrained(lambda x: [B @ x <= b2 - 1]),
    "greater": constrained(lambda x: [b2 + 3 <= B @ x]),
    "two-sided": constrained(lambda x: [x >= -0.5, x <= 0.5]),
    "matrix bounds": constrained(lambda X: [X >= -W23, W23 + 0.1 >= X], 2, 3),
    "NonNeg": constrained(lambda x: [cp.NonNeg(B @ x - b2 - 1)]),
    "SOC": constrained(lambda x: [cp.SOC(x[0] + 1, B @ x)]),
    "SOC axis 0": constrained(lambda X: [cp.SOC(X[0] + 0.5, X[1:], axis=0)], 4, 3),
    "SOC axis 1": constrained(lambda X: [cp.SOC(X[:, 0] + 0.5, X[:, 1:], axis=1)], 3, 4),
    "norm of variables": constrained(lambda x: [cp.norm(x[1:]) <= x[0] + 1]),
    "PSD": constrained(lambda X: [X >> S33, X == X.T], 3, 3),
    "NSD": constrained(lambda X: [X << S33 - np.eye(3), X == X.T], 3, 3),
    "PSD expression": constrained(lambda x: [cp.PSD(cp.bmat([[x[0] + 1, x[1]], [x[1], x[2]]]))]),
    "ExpCone": constrained(lambda X: [cp.ExpCone(X[0], X[1], X[2])], 3, 4),
    "ExpCone n-d": constrained(lambda X: [cp.ExpCone(X[:2], X[2:4], X[4:])], 6, 2),
    "ExpCone scalar": constrained(lambda x: [cp.ExpCone(x[0], x[1], x[2])]),
    "PowCone3D": constrained(lambda X: [cp.PowCone3D(X[0], X[1], X[2] + 2, [0.2, 0.5, 0.9])], 3, 3),
    "PowCone3D n-d": constrained(lambda X: [cp.PowCone3D(X[:2], X[2:4], X[4:] + 2, 0.3)], 6, 2),
    "PowConeND": constrained(lambda x: [cp.PowConeND(x[:3], x[3] + 2, np.array([0.2, 0.3, 0.5]))]),
    "PowConeND axis 0": constrained(
        lambda X: [cp.PowConeND(X[:3], X[3] + 2, np.array([[0.2, 0.5], [0.3, 0.3], [0.5, 0.2]]))], 4, 2
    ),
    "PowConeND axis 1": constrained(
        lambda X: [cp.PowConeND(X[:, :3], X[:, 3] + 2, np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]]), axis=1)],
        2,
        4,
    ),
    "abs ball": constrained(lambda x: [cp.abs(x) <= 0.5]),
    "abs ball of a matrix": constrained(lambda X: [cp.abs(X - 1) <= W23 / 5 + 0.1], 2, 3),
    "inf ball": constrained(lambda x: [cp.norm_inf(A @ x) <= 1.5]),
    "inf balls": constrained(lambda X: [cp.norm(X, "inf", axis=0) <= [0.5, 1, 0.1]], 2, 3),
    "1 ball": constrained(lambda x: [cp.norm1(A @ x) <= 1.5]),
    "1 balls": constrained(lambda X: [cp.norm(X, 1, axis=1) <= 0.4], 2, 3),
    "2 ball": constrained(lambda x: [cp.norm(A @ x - a) <= 3.5]),
    "2 balls": constrained(lambda X: [cp.norm(X, 2, axis=1) <= np.array([0.4, 0.9])], 2, 3),
    "2 ball written backwards": constrained(lambda x: [1.5 >= cp.norm(x)]),
    "2 ball, scaled": constrained(lambda x: [2 * cp.norm(x) + 1 <= 4]),
    "2 ball with a parameter": constrained(lambda x: [cp.norm(x) <= cp.Parameter(nonneg=True, value=1)]),
    "Frobenius ball": constrained(lambda X: [cp.norm(X, "fro") <= 1], 2, 3),
    "nuclear ball": constrained(lambda X: [cp.normNuc(X) <= 1.5], 2, 3),
    "spectral ball": constrained(lambda X: [cp.sigma_max(X - 1) <= 1.0], 2, 3),
    "several": constrained(
        lambda x: [cp.sum(x) == 0.3, cp.norm(x[:3]) <= 0.4, x[3] >= 0.2, cp.exp(x[4]) <= 0.5 + x[3]]
    ),
}
BALLS = {
    "abs ball": "Box", "inf ball": "Box", "inf balls": "Box", "1 ball": "Norm1Ball", "1 balls": "Norm1Ball",
    "2 ball": "Norm2Ball", "2 balls": "Norm2Ball", "2 ball written backwards": "Norm2Ball",
    "2 ball with a parameter": "Norm2Ball", "Frobenius ball": "Norm2Ball", "nuclear ball": "NuclearBall",
    "spectral ball": "SpectralBall",
}  # fmt: skip


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


@pytest.mark.parametrize("name", BALLS)
def test_norm_balls_are_projections(name: str) -> None:
    assert kinds(DUALS[name]()) == [BALLS[name]]


@pytest.mark.parametrize("name", BALLS)
def test_norm_balls_have_shaped_duals(name: str) -> None:
    problem = DUALS[name]()
    problem.solve(solver=SOLVER)
    (con,) = problem.constraints
    assert np.shape(con.dual_value) == con.shape


def test_norms_that_are_no_balls() -> None:
    x, r = cp.Variable(3), cp.Parameter(value=1.0)
    for constraint in (cp.norm(x) <= x[0] + 1, cp.norm(x) <= r, cp.pnorm(x, 3) <= 1):
        problem = cp.Problem(cp.Minimize(cp.sum(x)), [constraint])
        assert not {"Norm2Ball", "Norm1Ball"} & set(kinds(problem))
        assert problem.solve(solver=SOLVER) == pytest.approx(by_clarabel(problem), rel=1e-4)
    r.value = -1.0
    problem = cp.Problem(cp.Minimize(cp.sum(x)), [cp.norm(x) <= r])
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE


def test_radii_follow_parameters() -> None:
    x, r = cp.Variable(4), cp.Parameter(nonneg=True)
    target = np.array([3.0, -1, 2, 0.5])
    balls: list[tuple[Any, float]] = [(1, np.inf), (2, 2), (np.inf, 1)]
    for order, dual_order in balls:
        problem = cp.Problem(cp.Minimize(cp.sum_squares(x - target)), [cp.norm(x, order) <= r])
        for value in (0.5, 1.5, 0.0, 100.0):
            r.value = value
            problem.solve(solver=SOLVER, **TIGHT)
            assert np.linalg.norm(x.value, order) <= value + 1e-7
            slope = np.linalg.norm(2 * (target - x.value), dual_order)
            if value == 100.0:
                np.testing.assert_allclose(x.value, target, atol=1e-6)
            if value == 0.0:
                assert problem.constraints[0].dual_value >= slope - 1e-4
            else:
                assert problem.constraints[0].dual_value == pytest.approx(slope, abs=1e-4)


# -- rows --------------------------------------------------------------------------------------


def interval_rows(problem: cp.Problem) -> int:
    blocks = stuffed(problem)[0].blocks
    return sum(b.shape[0] for b in blocks if isinstance(b.function, Box))


def test_parallel_rows_are_one_row() -> None:
    x = cp.Variable(3)
    row, other = np.array([1.0, -2, 3]), np.array([1.0, -2, 4])
    rows = [row @ x <= 1, row @ x >= -1, -row @ x <= 5, 2 * row @ x <= 3, -0.3 * row @ x >= -9]
    target = cp.sum_squares(x) - 5 * cp.sum(x)
    assert interval_rows(cp.Problem(cp.Minimize(target), rows)) == 1
    assert interval_rows(cp.Problem(cp.Minimize(target), [*rows, other @ x <= 1])) == 2
    assert interval_rows(cp.Problem(cp.Minimize(target), [x >= 0, x <= 1, 3 * x <= 2, x[0] == 0.5])) == 3


def merged_problem(seed: int) -> cp.Problem:
    """Every row comes up several times: flipped, scaled, with other bounds."""
    random = rng(seed)
    x = cp.Variable(6)
    M = random.standard_normal((4, 6))
    low, high = -random.uniform(0.1, 1, 4), random.uniform(0.1, 1, 4)
    return cp.Problem(
        cp.Minimize(distance(x, 3 * random.standard_normal(6)) + 0.1 * cp.norm1(x)),
        [
            M @ x <= high,
            M @ x >= low,
            -4 * (M[:2] @ x) <= 3,
            0.5 * (M[2:] @ x) <= 0.5 * high[2:] + 1,
            x >= -1.5,
            -2 * x >= -3.5,
            x[:2] <= 1,
        ],
    )


@pytest.mark.parametrize("seed", range(3))
def test_merged_rows_have_the_duals_of_separate_rows(seed: int) -> None:
    problem, expected = merged_problem(seed), merged_problem(seed)
    value = by_clarabel(expected)
    assert interval_rows(problem) == 10
    problem.solve(solver=SOLVER, **TIGHT)
    assert problem.value == pytest.approx(value, rel=1e-6)
    for ours, theirs in zip(problem.constraints, expected.constraints, strict=True):
        np.testing.assert_allclose(ours.dual_value, theirs.dual_value, atol=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_merging_changes_nothing(seed: int) -> None:
    problem = merged_problem(seed)
    data = problem.get_problem_data(SOLVER)[0]
    numbers, layout = data["numbers"], data["param_prob"].layout
    options = Options().with_changes(TIGHT)
    answers = []
    for merge in (True, False):
        assembled = Assembly(numbers, layout, merge=merge).assemble(numbers)
        assert assembled is not None
        result = solve_admm(Session.start(assembled.program, options))
        answers.append((result.residuals.objective, assembled.duals(result.dual.numpy())))
    (first, duals), (second, others) = answers
    assert first == pytest.approx(second, rel=1e-7)
    for key in duals:
        np.testing.assert_allclose(duals[key], others[key], atol=1e-4)


def test_equal_rows_share_their_multiplier() -> None:
    x = cp.Variable(2)
    equations = [x[0] + x[1] == 1, x[0] + x[1] == 1, 2 * x[0] + 2 * x[1] == 2]
    bounds = [x[0] <= 0.2, x[0] <= 0.2, x[0] <= 7]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - 3)), equations + bounds)
    problem.solve(solver=SOLVER, **TIGHT)
    np.testing.assert_allclose(x.value, [0.2, 0.8], atol=1e-7)
    total = 2 * (3 - 0.8)
    shares = [con.dual_value for con in equations]
    assert shares[0] == pytest.approx(shares[1], rel=1e-9)
    assert shares[0] + shares[1] + 2 * shares[2] == pytest.approx(total, rel=1e-5)
    loads = [con.dual_value for con in bounds]
    assert loads[0] == pytest.approx(loads[1]) and loads[2] == pytest.approx(0, abs=1e-9)
    assert loads[0] + loads[1] == pytest.approx(2 * (3 - 0.2) - total, rel=1e-5)


def test_bounds_that_meet_are_an_equality() -> None:
    x, low = cp.Variable(3), cp.Parameter(value=1.0)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - [3, 0, 1])), [x[0] >= low, x[0] <= 1, x >= -1])
    problem.solve(solver=SOLVER, **TIGHT)
    np.testing.assert_allclose(x.value, [1, 0, 1], atol=1e-6)
    assert problem.constraints[1].dual_value == pytest.approx(4, rel=1e-5)
    low.value = 1.5
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE
    low.value = 0.5
    problem.solve(solver=SOLVER)
    assert problem.value == pytest.approx(4, rel=1e-5)


# -- points of many sizes ----------------------------------------------------------------------


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


# -- certificates ------------------------------------------------------------------------------


def dual_pairs(problem: cp.Problem) -> Iterator[tuple[Any, np.ndarray, float]]:
    """(argument, dual value, sign in the Lagrangian)."""
    for con in problem.constraints:
        if isinstance(con, cp.constraints.Inequality | cp.constraints.Equality):
            yield con.expr, np.asarray(con.dual_value), 1.0
        else:
            for arg, dual in zip(con.args, con.dual_variables, strict=True):
                yield arg, np.reshape(dual.value, arg.shape, order="F"), -1.0


def lagrangian(problem: cp.Problem) -> float:
    return sum(sign * float(np.sum(np.asarray(arg.value) * dual)) for arg, dual, sign in dual_pairs(problem))


def infeasible(make: Callable[[cp.Variable], list], *shape: int) -> Build:
    def build() -> cp.Problem:
        x = cp.Variable(shape or (4,))
        return cp.Problem(cp.Minimize(cp.norm1(x - 1) + cp.sum(x)), make(x))

    return build


F = normal(3, 4, seed=8)
INFEASIBLE: dict[str, Build] = {
    "bounds": infeasible(lambda x: [x >= 1, cp.sum(x) <= 2]),
    "contradictory rows": infeasible(lambda x: [F @ x >= 1, F[1] @ x <= 0, x <= 9]),
    "contradictory equalities": infeasible(lambda x: [F @ x == 1, 2 * (F[0] @ x) == 3]),
    "dependent rows": infeasible(lambda x: [F @ x <= 0, np.ones(3) @ F @ x >= 0.5]),
    "SOC": infeasible(lambda x: [cp.SOC(x[0], x[1:]), x[0] <= 1, x[1] + x[2] >= 2]),
    "PSD": infeasible(lambda X: [cp.PSD(X), X[0, 1] >= 2, X[0, 0] <= 1, X[1, 1] <= 1, X == X.T], 3, 3),
    "ExpCone": infeasible(lambda x: [cp.ExpCone(x[0], x[1], x[2]), x[0] >= 2, x[1] == 1, x[2] <= 3]),
    "PowCone3D": infeasible(lambda x: [cp.PowCone3D(x[0], x[1], x[2], 0.5), x[:2] <= 1, x[2] >= 1.5]),
    "mixed": infeasible(lambda x: [cp.SOC(x[0] + 1, F @ x), cp.sum(x) == 20, x <= 1, x[3] >= -1]),
}  # fmt: skip


@pytest.mark.parametrize("name", INFEASIBLE)
def test_certificates_of_infeasibility_satisfy_farkas(name: str) -> None:
    """The Lagrangian of the constraints alone is a positive constant, the duals are in the dual cones."""
    problem = INFEASIBLE[name]()
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE and problem.value == np.inf
    x, values = problem.variables()[0], []
    for seed in range(5):
        x.value = normal(*x.shape, seed=seed)
        values.append(lagrangian(problem))
    assert min(values) > 0
    assert np.ptp(values) <= 1e-4 * max(values)
    for con in problem.constraints:
        if isinstance(con, cp.constraints.Inequality):
            assert np.min(con.dual_value) >= 0
        elif isinstance(con, cp.SOC):
            assert np.linalg.norm(con.dual_value[1]) <= con.dual_value[0] + 1e-9
        elif isinstance(con, cp.PSD):
            assert np.linalg.eigvalsh(con.dual_value)[0] >= -1e-9
        elif isinstance(con, cp.ExpCone):
            s, t, w = (float(np.asarray(v).item()) for v in con.dual_value)
            assert s < 0 and w > 0 and -s * np.exp(t / s - 1) <= w * (1 + 1e-6)
        elif isinstance(con, cp.PowCone3D):
            s, t, w = (float(np.asarray(v).item()) for v in con.dual_value)
            assert np.sqrt(2 * s * 2 * t) >= abs(w) - 1e-6


def unbounded(
    make: Callable[[cp.Variable], tuple[cp.Expression, list]], *shape: int
) -> tuple[Callable[[], cp.Problem]]:
    def build() -> cp.Problem:
        x = cp.Variable(shape or (3,))
        objective, constraints = make(x)
        return cp.Problem(cp.Minimize(objective), constraints)

    return (build,)


UNBOUNDED: dict[str, Any] = {
    "LP": (*unbounded(lambda x: (x[0] - x[1], [x >= 0, cp.sum(x) >= 1, x[0] + x[2] <= 4])), [1.0, 1, 1]),
    "QP": (*unbounded(lambda x: (cp.square(x[0] - 1) - x[1], [x[2] == 1, x[1] >= x[0]])), [0.0, 0, 1]),
    "l1": (*unbounded(lambda x: (cp.norm1(x) - 2 * x[0], [x[1] >= 1])), [0.0, 1, 0]),
    "SOC": (*unbounded(lambda x: (-x[0] - x[1] / 2, [cp.norm(x[1:]) <= x[0]])), [1.0, 0, 0]),
    "log": (*unbounded(lambda x: (-cp.sum(cp.log(x)) - x[0], [x >= 0.5])), [1.0, 1, 1]),
    "Maximize": (*unbounded(lambda x: (-cp.min(x), [x[0] >= 1])), [1.0, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNBOUNDED)
def test_directions_of_unbounded_problems(name: str) -> None:
    build, feasible = UNBOUNDED[name]
    problem = build()
    problem.solve(solver=SOLVER)
    assert problem.status == cp.UNBOUNDED and problem.value == -np.inf
    (x,) = problem.variables()
    direction = problem.solver_stats.extra_stats["direction"][x.id]
    assert direction.shape == x.shape
    values = []
    for length in (0.0, 10.0, 1e3, 1e5):
        x.value = np.asarray(feasible) + length * direction
        values.append(float(problem.objective.value))
        assert all(float(np.max(con.violation())) <= 1e-6 * (1 + length) for con in problem.constraints)
    slopes = [(v - values[0]) / s for v, s in zip(values[1:], (10.0, 1e3, 1e5), strict=True)]
    assert slopes[-1] < -0.5 and slopes[-1] == pytest.approx(slopes[-2], rel=0.05)


def test_unbounded_maximisation() -> None:
    x = cp.Variable(2)
    problem = cp.Problem(cp.Maximize(cp.sum(x) - cp.norm(x)), [x >= 0])
    assert problem.solve(solver=SOLVER) == np.inf
    assert problem.status == cp.UNBOUNDED
    direction = problem.solver_stats.extra_stats["direction"][x.id]
    assert direction.sum() - np.linalg.norm(direction) > 0.5


@pytest.mark.parametrize(
    "attributes", [{"symmetric": True}, {"PSD": True}, {"nonneg": True}, {"complex": True}]
)
def test_directions_have_the_shape_of_the_variable(attributes: dict[str, bool]) -> None:
    X = cp.Variable((2, 2), **attributes)
    part = cp.real(X) if X.is_complex() else X
    problem = cp.Problem(cp.Maximize(cp.trace(part) + 2 * part[0, 1]), [part >= -1])
    problem.solve(solver=SOLVER)
    assert problem.status == cp.UNBOUNDED
    direction = problem.solver_stats.extra_stats["direction"][X.id]
    assert direction.shape == (2, 2)
    assert np.real(np.trace(direction) + 2 * direction[0, 1]) > 0.5
