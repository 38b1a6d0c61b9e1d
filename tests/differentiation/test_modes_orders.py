"""Forward mode and second derivatives, and the modes that refuse them."""

from __future__ import annotations

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from cvxprox.differentiation import Differentiation, Implicit, JacobianFree, Shine, Unroll

from .modes import along, directions, engine, gradients, loss, moved
from .programs import CASES, Case

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

MODES = [Implicit("gmres", order=2), Implicit("kkt", order=2), Unroll(iterations=8, order=2)]
PAIRS = [("qp", "admm"), ("lasso", "pgd"), ("deblurring", "pdhg")]


def name(mode: Differentiation) -> str:
    return mode.backward if isinstance(mode, Implicit) else type(mode).__name__


def value(mode: Differentiation, case: Case, own: object, *theta: Tensor) -> Tensor:
    return loss(mode.solve(own, case.task(*theta)).point)  # type: ignore[arg-type]


@pytest.mark.parametrize(("case", "algorithm"), PAIRS)
@pytest.mark.parametrize("mode", MODES, ids=name)
def test_forward_mode_agrees_with_reverse_mode(mode: Differentiation, case: str, algorithm: str) -> None:
    problem, own = CASES[case], engine(algorithm)
    direction = directions(problem)[0]
    expected = along(gradients(mode, problem, own)[1], direction)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(t, d) for t, d in zip(problem.theta, direction, strict=True)]
        tangent = forward_ad.unpack_dual(value(mode, problem, own, *duals)).tangent
    torch.testing.assert_close(tangent, expected, rtol=1e-8, atol=0)
    _, tangent = torch.func.jvp(lambda *t: value(mode, problem, own, *t), problem.theta, direction)
    torch.testing.assert_close(tangent, expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize(("case", "algorithm"), PAIRS)
@pytest.mark.parametrize("mode", MODES, ids=name)
def test_second_derivatives(mode: Differentiation, case: str, algorithm: str) -> None:
    problem, own, step = CASES[case], engine(algorithm), 1e-5
    direction = directions(problem)[0]
    theta = problem.leaves()
    first = torch.autograd.grad(value(mode, problem, own, *theta), theta, create_graph=True)
    curvature = along(torch.autograd.grad(along(first, direction), theta), direction)
    ends = []
    for s in (step, -step):
        there = tuple(t.requires_grad_() for t in moved(problem, direction, s))
        own = own if isinstance(mode, Unroll) else engine(algorithm)
        ends.append(along(torch.autograd.grad(value(mode, problem, own, *there), there), direction))
    assert float(curvature) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("mode", [Implicit("gmres"), Implicit("kkt"), JacobianFree(), Shine()], ids=str)
def test_second_derivatives_are_refused(mode: Differentiation) -> None:
    case = CASES["qp"]
    theta = case.leaves()
    with pytest.raises(RuntimeError, match=r"first derivatives only.*order=2"):
        torch.autograd.grad(value(mode, case, engine(), *theta), theta, create_graph=True)


@pytest.mark.parametrize("mode", [JacobianFree(), Shine()], ids=str)
def test_forward_mode_is_refused(mode: Differentiation) -> None:
    case = CASES["qp"]
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match=r"no forward mode.*Implicit"):
        value(mode, case, engine(), *(forward_ad.make_dual(t, t) for t in case.theta))


def test_reverse_mode_as_a_function_transform() -> None:
    case = CASES["lasso"]
    for mode in (Unroll(iterations=5), Implicit("gmres")):
        own = engine("pgd")
        expected = gradients(mode, case, own)[1]
        found = torch.func.grad(lambda *t: value(mode, case, own, *t), argnums=(0, 1, 2, 3))(*case.theta)  # noqa: B023
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_without_anything_to_differentiate_there_is_no_graph() -> None:
    case = CASES["qp"]
    for mode in (*MODES, JacobianFree(), Shine()):
        assert not value(mode, case, engine(), *case.theta).requires_grad
