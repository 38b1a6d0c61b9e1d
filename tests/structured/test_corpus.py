"""Every exact algorithm on the corpus, in both lanes, against an interior-point method."""

from __future__ import annotations

import functools
import warnings

import cvxpy as cp
import numpy as np
import pytest
from cvxpy.error import SolverError

import cvxprox  # noqa: F401  registers the solvers
from cvxprox.algorithms.registry import ALGORITHMS
from tests.structured.corpus import ATOL, CORPUS

EXACT = [name for name in ALGORITHMS if name != "hqs"]
TIGHT = {"eps_abs": 1e-6, "eps_rel": 1e-6, "max_iter": 50_000}


@functools.cache
def reference(name: str) -> tuple[float, dict[str, np.ndarray], list[np.ndarray]]:
    """Optimal value, variables and duals, by an interior-point method."""
    problem = CORPUS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # CVXPY's, about three dimensions
        problem.solve(solver=cp.CLARABEL)
    duals = [np.asarray(con.dual_value) for con in problem.constraints]
    return problem.value, {v.name(): v.value for v in problem.variables()}, duals


ONE_FUNCTION = ("lasso", "group_lasso", "nonnegative_least_squares", "sparse_nonnegative")
"""Problems with one non-quadratic function of every variable, which gradient methods take."""

GRADIENT = ("pgd", "fista")


def solved(name: str, **options: object) -> cp.Problem:
    """The problem, solved."""
    problem = CORPUS[name]()
    problem.solve(solver="NABLA_ADMM", **TIGHT | options)
    return problem


RUNS = [
    (name, algorithm, lane)
    for name in CORPUS
    for algorithm, lane in [*((a, "auto") for a in EXACT), ("admm", "assembled"), ("admm", "matrix_free")]
    if algorithm not in GRADIENT or name in ONE_FUNCTION
]


@pytest.mark.parametrize(("name", "algorithm", "lane"), RUNS)
def test_optimum(name: str, algorithm: str, lane: str) -> None:
    value, variables, _ = reference(name)
    problem = solved(name, algorithm=algorithm, lane=lane)
    assert problem.status == cp.OPTIMAL, problem.status
    assert problem.value == pytest.approx(value, rel=ATOL)
    for variable in problem.variables():
        np.testing.assert_allclose(variable.value, variables[variable.name()], atol=50 * ATOL)


@pytest.mark.parametrize("algorithm", GRADIENT)
@pytest.mark.parametrize("name", [name for name in CORPUS if name not in ONE_FUNCTION])
def test_gradient_methods_refuse_what_they_cannot_take(name: str, algorithm: str) -> None:
    with pytest.raises(SolverError, match=r"cannot solve this problem.*Use an algorithm that splits"):
        solved(name, algorithm=algorithm)


@pytest.mark.parametrize("rho", [0.02, 0.5, 10.0])
@pytest.mark.parametrize("name", CORPUS)
def test_the_answer_does_not_depend_on_rho(name: str, rho: float) -> None:
    assert solved(name, rho=rho).value == pytest.approx(reference(name)[0], rel=ATOL)


@pytest.mark.parametrize("lane", ["auto", "matrix_free"])
@pytest.mark.parametrize(
    "name", ["robust_pca", "nonnegative_least_squares", "sparse_nonnegative", "deblurring_with_cones"]
)
def test_duals(name: str, lane: str) -> None:
    problem = solved(name, lane=lane, eps_abs=1e-8, eps_rel=1e-8)
    for con, dual in zip(problem.constraints, reference(name)[2], strict=True):
        np.testing.assert_allclose(con.dual_value, dual, atol=1e-3)


@pytest.mark.parametrize("name", CORPUS)
def test_the_penalty_method_says_what_it_is(name: str) -> None:
    assert solved(name, algorithm="hqs", max_iter=50).status == "penalty_method"


@pytest.mark.parametrize(
    "name", ["tv_deblurring", "reflected_tv_denoising", "inpainting_in_a_box", "mri_with_tv"]
)
def test_the_penalty_method_comes_close(name: str) -> None:
    assert solved(name, algorithm="hqs", max_iter=1000).value == pytest.approx(reference(name)[0], rel=0.05)
