"""Models with operators against an interior-point method, and what the compiler made of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import cvxpy as cp
import numpy as np
import pytest
import torch

import cvxprox
from tests.structured.corpus import image, kernel
from tests.structured.models import CLOSED_FORMS, MODELS, SIZE, mask, picture

SOLVER = "NABLA_ADMM"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """CVXPY warns where the stock chain meets three dimensions."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(dimension greater than 2|don't support CPP).*")
        yield


UNIQUE_DUALS = (
    "operator_in_an_inequality", "total_variation_as_a_bound", "operator_in_the_linear_objective",
    "super_resolution", "photons",
)  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_optimum_and_duals(name: str) -> None:
    reference, problem = MODELS[name](), MODELS[name]()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # says Clarabel of its own
        reference.solve(solver=cp.CLARABEL)
    problem.solve(solver=SOLVER)
    assert problem.status == cp.OPTIMAL
    assert problem.value == pytest.approx(reference.value, rel=1e-4)
    for con, other in zip(problem.constraints, reference.constraints, strict=True):
        # bounds beside a total variation can share their forces with it in many ways
        total = np.sum(np.multiply(con.dual_value, con.args[0].value - con.args[1].value))
        assert total == pytest.approx(0, abs=1e-3)
        if name in UNIQUE_DUALS:
            np.testing.assert_allclose(con.dual_value, other.dual_value, atol=2e-3)


@pytest.mark.parametrize("name", MODELS)
def test_the_assembled_lane_agrees(name: str) -> None:
    problem, assembled = MODELS[name](), MODELS[name]()
    problem.solve(solver=SOLVER)
    assembled.solve(solver=SOLVER, lane="assembled")
    assert assembled.value == pytest.approx(problem.value, rel=1e-4)


@pytest.mark.parametrize(("name", "words"), CLOSED_FORMS.items())
def test_closed_forms_are_found(name: str, words: str) -> None:
    assert words in str(cvxprox.explain(MODELS[name](), measure=False))


def test_a_denoising_of_one_megapixel_has_no_matrices() -> None:
    x = cp.Variable((1024, 1024))
    fit = cp.sum_squares(cvxprox.conv(x, kernel()) - np.zeros(x.shape))
    plan = cvxprox.explain(cp.Problem(cp.Minimize(fit + cvxprox.tv(x, boundary="circular"))), measure=False)
    assert plan.lane == "matrix-free"
    assert "Fourier-diagonal" in plan.linear_solve


class TestParameters:
    """Data, kernels and weights change between solves of one problem."""

    def model(self) -> tuple[cp.Problem, dict[str, cp.Parameter]]:
        x, y, k = picture(), cp.Parameter((SIZE, SIZE)), cp.Parameter((3, 3))
        strength = cp.Parameter(nonneg=True, name="weight")
        objective = cp.sum_squares(cvxprox.conv(x, k) - y) + strength * cvxprox.tv(x, boundary="circular")
        return cp.Problem(cp.Minimize(objective), [x >= 0]), {"y": y, "k": k, "weight": strength}

    def test_solves_follow_the_parameters(self) -> None:
        problem, parameters = self.model()
        assert problem.is_dpp()
        for k, weight in ((kernel(), 0.05), (kernel().T, 0.05), (kernel(), 0.2)):
            parameters["y"].value, parameters["k"].value, parameters["weight"].value = image(), k, weight
            problem.solve(solver=SOLVER, eps_abs=1e-7, eps_rel=1e-7)
            x = picture()
            objective = cp.sum_squares(cvxprox.conv(x, k) - image())
            objective += weight * cvxprox.tv(x, boundary="circular")
            fresh = cp.Problem(cp.Minimize(objective), [x >= 0])
            fresh.solve(solver=cp.CLARABEL)
            assert problem.value == pytest.approx(fresh.value, rel=1e-5)

    def test_a_resolve_starts_from_the_last_solution(self) -> None:
        problem, parameters = self.model()
        parameters["y"].value, parameters["k"].value, parameters["weight"].value = image(), kernel(), 0.1
        problem.solve(solver=SOLVER)
        first = problem.solver_stats.num_iters
        problem.solve(solver=SOLVER)
        assert problem.solver_stats.num_iters < first / 2

    def test_a_negative_weight_is_refused(self) -> None:
        x, weight = picture(), cp.Parameter(nonneg=True)
        problem = cp.Problem(cp.Minimize(cp.sum_squares(x - image()) + weight * cvxprox.tv(x)))
        weight.value = 1.0
        problem.solve(solver=SOLVER)
        weight._value = np.array(-1.0)  # past CVXPY's own check
        with pytest.raises(
            cvxprox.ReductionError, match=r"`tv\(x, circular\)` has a weight of the wrong sign"
        ):
            problem.solve(solver=SOLVER)


class TestPlugAndPlay:
    """Priors without a known curvature."""

    def prior(self, x: cp.Expression) -> cp.Expression:
        return cvxprox.deep_prior(x, denoiser=lambda v, sigma: v / (1 + sigma**2), strength=1.0)

    def test_the_fixed_point_of_a_known_denoiser(self) -> None:
        # v / (1 + t) is the prox of t |x|^2 / 2, so the fixed point is the minimum with that term
        x, weight = picture(), 0.7
        problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - image()) + weight * self.prior(x)))
        problem.solve(solver=SOLVER, schedule="constant", max_iter=500, eps_abs=1e-9, eps_rel=1e-9)
        assert problem.status == "fixed_point"
        np.testing.assert_allclose(x.value, image() / (1 + weight), atol=1e-6)

    def test_beside_cones_and_equations(self) -> None:
        x = picture()
        constraints = [cp.sum(x) == 20, cp.norm(x[0]) <= 0.5, x >= 0]
        objective = 20 * cp.sum_squares(cvxprox.conv(x, kernel()) - image()) + self.prior(x)
        problem = cp.Problem(cp.Minimize(objective), constraints)
        problem.solve(solver=SOLVER, schedule="constant", max_iter=5000, eps_abs=1e-8, eps_rel=1e-8)
        assert problem.status == "fixed_point"
        y = picture()
        convex = 20 * cp.sum_squares(cvxprox.conv(y, kernel()) - image()) + 0.5 * cp.sum_squares(y)
        cp.Problem(cp.Minimize(convex), [cp.sum(y) == 20, cp.norm(y[0]) <= 0.5, y >= 0]).solve(cp.CLARABEL)
        np.testing.assert_allclose(x.value, y.value, atol=1e-4)

    def test_a_prior_inside_a_function_is_refused(self) -> None:
        x = picture()
        with pytest.raises(cp.DCPError):
            cp.Problem(cp.Minimize(cp.square(self.prior(x)))).solve(solver=SOLVER)

    def test_a_prior_of_a_convex_expression_is_refused(self) -> None:
        x = picture()
        problem = cp.Problem(cp.Minimize(cp.sum_squares(x) + self.prior(cp.square(x))))
        with pytest.raises(cvxprox.ReductionError, match="is convex, not affine"):
            problem.solve(solver=SOLVER)

    def test_a_prior_in_a_constraint_is_refused(self) -> None:
        x = picture()
        problem = cp.Problem(cp.Minimize(cp.sum_squares(x)), [self.prior(x) <= 1])
        with pytest.raises(cp.DCPError):
            problem.solve(solver=SOLVER)


def test_single_precision_reaches_its_accuracy() -> None:
    problem, exact = MODELS["bounded"](), MODELS["bounded"]()
    exact.solve(solver=cp.CLARABEL)
    problem.solve(solver=SOLVER, dtype="float32", eps_abs=1e-4, eps_rel=1e-4)
    assert problem.status == cp.OPTIMAL
    assert problem.value == pytest.approx(exact.value, rel=1e-3)


def test_wrong_numbers_name_the_place() -> None:
    x, y = picture(), image()
    y[1, 2] = np.nan
    problem = cp.Problem(cp.Minimize(cp.sum_squares(cvxprox.conv(x, kernel()) - y)))
    with pytest.raises(ValueError, match=r"in `sum_squares\(conv\(x.*NaN or Inf"):
        problem.solve(solver=SOLVER)


def test_infeasibility_has_a_certificate() -> None:
    x = picture()
    problem = cp.Problem(cp.Minimize(cvxprox.tv(x)), [x >= 1, cp.sum(x) <= 3])
    problem.solve(solver=SOLVER)
    assert problem.status == cp.INFEASIBLE
    problem = cp.Problem(cp.Minimize(cp.sum(x) + cvxprox.tv(x)))
    problem.solve(solver=SOLVER)
    assert problem.status == cp.UNBOUNDED


def test_a_learned_operator() -> None:
    x, layer = picture(), torch.nn.Linear(8, 4, bias=False).double()
    matrix = layer.weight.detach().numpy()
    problem = cp.Problem(cp.Minimize(cp.sum_squares(cvxprox.learned_linop(layer, x) - image()[:, :4])
                                     + 0.05 * cvxprox.tv(x)))  # fmt: skip
    problem.solve(solver=SOLVER)
    y = picture()
    plain = cp.Problem(cp.Minimize(cp.sum_squares(y @ matrix.T - image()[:, :4]) + 0.05 * cvxprox.tv(y)))
    plain.solve(solver=cp.CLARABEL)
    assert problem.value == pytest.approx(plain.value, rel=1e-4)


def test_names_of_masks_and_weights_in_the_plan() -> None:
    x = picture()
    objective = cp.sum_squares(cp.multiply(mask(), x) - mask()) + cvxprox.tv(x, boundary="circular")
    text = str(cvxprox.explain(cp.Problem(cp.Minimize(objective)), measure=False))
    assert "sum_squares([8×8] ∘ x - [8×8])" in text
    assert "would break the closed form" in text
