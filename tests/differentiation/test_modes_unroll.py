"""Unrolled iterations: memory, truncation, parameters of single iterations."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cvxprox.algorithms import Learned, LogDescent
from cvxprox.differentiation import Implicit, JacobianFree, Unroll

from .modes import along, cosine, engine, gradients, loss
from .programs import CASES

DEBLURRING = CASES["deblurring"]


def kept(run: Callable[[], Tensor]) -> int:
    """The entries of the different tensors that a forward pass saves for the backward pass."""
    sizes: dict[int, int] = {}
    held: list[Tensor] = []  # so that no memory is used again

    def pack(x: Tensor) -> Tensor:
        held.append(x)
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        run()
    return sum(sizes.values())


def saved(mode: Unroll | Implicit | JacobianFree) -> int:
    theta = DEBLURRING.leaves()
    return kept(lambda: loss(mode.solve(engine(), DEBLURRING.task(*theta)).point))


@pytest.mark.parametrize("algorithm", ["admm", "pdhg", "ladmm"])
def test_checkpoints_change_nothing_but_the_memory(algorithm: str) -> None:
    own = engine(algorithm)
    plain, root, seven = (gradients(Unroll(20, checkpoint=c), DEBLURRING, own)[1] for c in (False, True, 7))
    torch.testing.assert_close(plain, root, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(plain, seven, rtol=1e-10, atol=1e-14)


def test_memory_grows_with_the_iterations_and_with_their_root() -> None:
    base = saved(Unroll(1))
    all_of = [saved(Unroll(k)) - base for k in (16, 64)]
    root = [saved(Unroll(k, checkpoint=True)) for k in (16, 64)]
    assert all_of[1] > 3.5 * all_of[0]
    assert root[1] < 2.6 * root[0] and root[1] < all_of[1] / 4


def test_memory_of_fixed_points_does_not_depend_on_the_iterations() -> None:
    for kind in (Implicit("gmres"), JacobianFree()):
        theta = DEBLURRING.leaves()
        sizes = [
            kept(lambda: loss(kind.solve(engine(max_iter=k), DEBLURRING.task(*theta)).point))  # noqa: B023
            for k in (10, 300)
        ]
        assert abs(sizes[1] - sizes[0]) <= 0.1 * sizes[0]


def test_truncation_leaves_the_values_and_approaches_the_gradient() -> None:
    own = engine()
    theta = DEBLURRING.leaves()
    whole = Unroll(60).solve(own, DEBLURRING.task(*theta))
    expected = torch.autograd.grad(loss(whole.point), theta)
    errors = []
    for last in (5, 20, 50):
        solved, grads = gradients(Unroll(60, truncate=last), DEBLURRING, own)
        torch.testing.assert_close(solved.point.x, whole.point.x, rtol=1e-12, atol=1e-14)
        assert solved.info["backward_iterations"] == last
        errors.append(1 - cosine(grads, expected))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-2


@pytest.mark.parametrize("algorithm", ["admm", "admm_vxu", "ladmm", "pdhg", "hqs"])
def test_penalties_of_every_iteration_are_learned(algorithm: str) -> None:
    schedule = Learned(6)
    own = engine(algorithm, schedule=schedule)

    def value(shared: bool) -> Tensor:
        return loss(Unroll(shared=shared).solve(own, DEBLURRING.task(*DEBLURRING.theta)).point)

    (each,) = torch.autograd.grad(value(False), schedule.log_rho)
    (one,) = torch.autograd.grad(value(True), schedule.log_rho)
    assert bool((each != 0).all()) and bool((one[1:] == 0).all())
    torch.testing.assert_close(each.sum(), one[0])  # all are equal as yet
    step = 1e-6
    for k in range(6):
        ends = []
        for s in (step, -step):
            with torch.no_grad():
                schedule.log_rho[k] += s
                ends.append(float(value(False)))
                schedule.log_rho[k] -= s
        assert float(each[k]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


def test_learned_schedules_begin_with_others() -> None:
    start = LogDescent(0.2, 0.01, 5)
    schedule = Learned(5, start)
    with torch.no_grad():
        for k in range(7):
            assert tuple(schedule(k)) == pytest.approx(tuple(start(k)), rel=1e-12)
    assert schedule.iterations == 5 and len(list(schedule.parameters())) == 2
    assert float(schedule.shared()(4).noise.detach()) == pytest.approx(0.2)
    assert schedule.shared().iterations == 5
    recorded = schedule(1).noise
    assert isinstance(recorded, Tensor) and recorded.requires_grad
    with pytest.raises(ValueError, match="at least one iteration"):
        Learned(0)


def test_functions_of_the_iteration_may_give_tensors() -> None:
    factor = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    own = engine(schedule=lambda k: factor / (1 + k))
    solved = Unroll(5).solve(own, DEBLURRING.task(*DEBLURRING.theta))
    (grad,) = torch.autograd.grad(loss(solved.point), factor)
    assert math.isfinite(float(grad)) and float(grad) != 0


def test_solutions_do_not_depend_on_penalties() -> None:
    schedule = Learned(1)
    solved = Implicit("gmres").solve(engine(schedule=schedule), DEBLURRING.task(*DEBLURRING.theta))
    (grad,) = torch.autograd.grad(loss(solved.point), schedule.log_rho)
    assert float(grad.abs().max()) < 1e-8


@pytest.mark.parametrize("arguments", [{"iterations": 0}, {"truncate": 0}])
def test_modes_that_record_nothing_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no gradients"):
        Unroll(**arguments)


def test_the_number_of_iterations_has_a_default() -> None:
    solved = Unroll().solve(engine(), CASES["lasso"].task(*CASES["lasso"].theta))
    assert solved.run.iterations == 100
    assert along(solved.point[:1], (torch.ones(5, dtype=torch.float64),)).isfinite()
