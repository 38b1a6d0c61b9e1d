"""Every registered atom stays a term of the program, and every other atom does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
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
from cvxprox.reductions.norm_balls import ball_of
from cvxprox.reductions.parametric import ParametricProgram
from cvxprox.reductions.prox_of import prox_of

from .problems import A, Build, a, assert_same_optimum, linear, minimize, rng, stuffed, terms

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
