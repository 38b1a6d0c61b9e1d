"""Exact modes agree with finite differences of another solver's solutions, for all algorithms."""

from __future__ import annotations

import pytest
import torch

import cvxprox
from cvxprox.differentiation import Implicit, JacobianFree, Shine, Unroll
from tests.gradients.corpus import CORPUS, functional, strongly_convex_lasso, variables
from tests.gradients.measure import cosine, derivatives, error

TOLERANCE = 1e-5
TIGHT = {"eps_abs": 1e-11, "eps_rel": 1e-11}
PAIRS = [(name, algorithm) for name, member in CORPUS.items() for algorithm in member.algorithms]


@pytest.mark.parametrize("name", CORPUS)
def test_optimality_conditions(name: str) -> None:
    assert error(derivatives(name, "kkt")) < TOLERANCE


@pytest.mark.parametrize(("name", "algorithm"), PAIRS)
def test_fixed_points_of_all_algorithms(name: str, algorithm: str) -> None:
    assert error(derivatives(name, Implicit("gmres"), algorithm=algorithm, **TIGHT)) < TOLERANCE


@pytest.mark.parametrize("backward", ["anderson", "broyden", "neumann:2000"])
@pytest.mark.parametrize("name", ["quadratic_form", "lasso", "huber", "deblurring"])
def test_backward_solvers(name: str, backward: str) -> None:
    assert error(derivatives(name, Implicit(backward), **TIGHT)) < TOLERANCE


@pytest.mark.parametrize("algorithm", CORPUS["lasso"].algorithms)
def test_unrolling_long_enough_is_exact(algorithm: str) -> None:
    assert error(derivatives("lasso", Unroll(iterations=600), algorithm=algorithm)) < TOLERANCE


@pytest.mark.parametrize("algorithm", CORPUS["lasso"].algorithms)
def test_unrolling_a_few_steps_is_the_derivative_of_these_steps(algorithm: str) -> None:
    case = strongly_convex_lasso()
    tensors = case.tensors(requires_grad=True)
    layer = cvxprox.ProxLayer(
        case.problem,
        list(tensors),
        variables(case),
        differentiation=Unroll(iterations=7),
        algorithm=algorithm,
    )
    assert torch.autograd.gradcheck(lambda *given: functional(layer(*given)[0]), tuple(tensors.values()))


@pytest.mark.parametrize("mode", [JacobianFree(), Shine()], ids=["jfb", "shine"])
@pytest.mark.parametrize("name", ["qp", "quadratic_form", "lasso", "huber", "socp", "deblurring", "mri"])
def test_approximate_gradients_are_ascent_directions(name: str, mode: object) -> None:
    assert cosine(name, mode) > 0


def test_refined_shine_is_exact() -> None:
    assert error(derivatives("lasso", Shine(refine=60), **TIGHT)) < TOLERANCE


@pytest.mark.parametrize(
    "mode", [Implicit("kkt", order=2), Unroll(iterations=3, order=2)], ids=["kkt", "unroll"]
)
def test_second_derivatives_of_spectral_functions_are_refused(mode: object) -> None:
    with pytest.raises(ValueError, match=r"PsdCone.* has first derivatives only"):
        derivatives("sdp", mode)
