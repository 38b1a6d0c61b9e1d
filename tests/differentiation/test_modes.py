"""Gradients of every mode through every algorithm."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from cvxprox.algorithms import refuse
from cvxprox.differentiation import Differentiation, Implicit, JacobianFree, Shine, Unroll, differentiation_of

from .modes import ALGORITHMS, along, cosine, difference, directions, engine, gradients, moved
from .programs import CASES

EXACT = [Implicit("gmres"), Implicit("anderson"), Implicit("broyden", max_iter=400), Implicit("neumann:3000")]
PAIRS = [
    (case, name)
    for case in CASES
    for name in ALGORITHMS
    if CASES[case].single or name not in ("pgd", "fista")
]


@functools.cache
def exact(case: str) -> tuple[Tensor, ...]:
    """The gradient by the optimality conditions, confirmed by finite differences."""
    mode = Implicit("gmres")
    _, grads = gradients(mode, CASES[case], engine())
    for direction in directions(CASES[case]):
        expected = difference(mode, CASES[case], direction, engine(), engine())
        assert float(along(grads, direction)) == pytest.approx(expected, rel=1e-6)
    return grads


def test_the_cases_are_refused_where_they_are_left_out() -> None:
    for case in CASES.values():
        refused = refuse("pgd", case.task(*case.theta).frozen) is not None
        assert refused is not case.single


@pytest.mark.parametrize(("case", "algorithm"), PAIRS)
def test_implicit_gradients_are_those_of_the_solution(case: str, algorithm: str) -> None:
    solved, grads = gradients(Implicit("gmres"), CASES[case], engine(algorithm))
    for own, expected in zip(grads, exact(case), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max()))
    assert solved.info["forward_residual"] < 1e-9
    assert solved.info["backward_residual"] < 1e-9 and solved.info["backward_iterations"] > 0


@pytest.mark.parametrize("algorithm", ["admm", "admm_vxu", "ladmm", "pdhg"])
def test_gradients_of_the_dual(algorithm: str) -> None:
    case, step = CASES["qp"], 1e-6
    theta, mode = case.leaves(), Implicit("gmres")
    grads = torch.autograd.grad(
        mode.solve(engine(algorithm), case.task(*theta)).point.y.square().sum(), theta
    )
    for direction in directions(case):
        ends = [mode.solve(engine(algorithm), case.task(*moved(case, direction, s))) for s in (step, -step)]
        values = [float(end.point.y.square().sum()) for end in ends]
        expected = (values[0] - values[1]) / (2 * step)
        assert float(along(grads, direction)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mode", EXACT, ids=lambda mode: mode.backward)
@pytest.mark.parametrize("algorithm", ["admm", "pdhg"])
def test_backward_solvers_agree(mode: Implicit, algorithm: str) -> None:
    solved, grads = gradients(mode, CASES["lasso"], engine(algorithm))
    torch.testing.assert_close(grads, exact("lasso"), rtol=1e-6, atol=1e-7)
    assert solved.info["backward_residual"] < 1e-9


def test_few_terms_of_the_neumann_series_are_an_approximation() -> None:
    solved, grads = gradients(Implicit("neumann:20"), CASES["lasso"], engine())
    assert solved.info["backward_iterations"] == 20
    assert 1e-9 < solved.info["backward_residual"] < 0.5
    assert cosine(grads, exact("lasso")) > 0.99


@pytest.mark.parametrize(("case", "algorithm"), PAIRS)
def test_unrolled_gradients_are_those_of_the_iterations(case: str, algorithm: str) -> None:
    mode, own = Unroll(iterations=7), engine(algorithm)
    solved, grads = gradients(mode, CASES[case], own)
    assert solved.run.iterations == 7 and solved.info["forward_residual"] > 1e-6
    for direction in directions(CASES[case]):
        expected = difference(mode, CASES[case], direction, own, own)
        assert float(along(grads, direction)) == pytest.approx(expected, rel=1e-6)


def test_penalties_that_grow_are_unrolled_too() -> None:
    mode, own = Unroll(iterations=9), engine("hqs")
    _, grads = gradients(mode, CASES["deblurring"], own)
    for direction in directions(CASES["deblurring"]):
        expected = difference(mode, CASES["deblurring"], direction, own, own)
        assert float(along(grads, direction)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("case", "algorithm"), PAIRS)
@pytest.mark.parametrize("mode", [JacobianFree(), Shine()], ids=["jfb", "shine"])
def test_approximate_gradients_are_directions_of_descent(
    mode: Differentiation, case: str, algorithm: str
) -> None:
    solved, grads = gradients(mode, CASES[case], engine(algorithm))
    assert solved.info["forward_residual"] < 1e-9
    assert cosine(grads, exact(case)) > 0.85


def test_more_steps_and_more_refinement_are_more_accurate() -> None:
    expected = exact("masked fourier")
    for rough, fine in ((JacobianFree(5), JacobianFree(40)), (Shine(), Shine(refine=8))):
        (_, first), (_, second) = (
            gradients(m, CASES["masked fourier"], engine("ladmm")) for m in (rough, fine)
        )
        assert cosine(second, expected) > 0.999 and cosine(second, expected) > cosine(first, expected)


def test_shine_falls_back_where_the_inverse_is_far_off() -> None:
    plain, wild, none = (
        gradients(mode, CASES["masked fourier"], engine("pdhg"))
        for mode in (JacobianFree(20), Shine(), Shine(fallback=False))
    )
    torch.testing.assert_close(wild[1], plain[1], rtol=1e-6, atol=1e-8)
    assert none[0].info["backward_residual"] > 1 > wild[0].info["backward_residual"]


@pytest.mark.parametrize("name", ["kkt", "implicit", "deq"])
def test_exact_modes_by_name(name: str) -> None:
    _, grads = gradients(differentiation_of(name), CASES["qp"], engine())
    torch.testing.assert_close(grads, exact("qp"), rtol=1e-6, atol=1e-7)


def test_modes_by_name() -> None:
    assert differentiation_of("unroll") == Unroll() and differentiation_of("jfb") == JacobianFree()
    assert differentiation_of("shine") == Shine()
    own = Unroll(iterations=3)
    assert differentiation_of(own) is own
    with pytest.raises(ValueError, match='"kkt", "implicit", "deq", "unroll", "jfb", "shine"'):
        differentiation_of("bptt")
    with pytest.raises(ValueError, match='"neumann:k"'):
        Implicit("newton")


def test_a_series_of_given_length_takes_no_tolerance() -> None:
    with pytest.raises(ValueError, match="takes 5 terms; it has neither tol nor max_iter"):
        Implicit("neumann:5", tol=1e-3)
