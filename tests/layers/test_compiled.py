"""Compiled solvers: data, learnable parts, schedules, copies."""

from __future__ import annotations

import copy
import pickle

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cvxprox

from .problems import DOUBLE, normal


class Smoother(nn.Module):
    """A denoiser with a parameter: the weighted mean of the image and of its blurred self."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.3, dtype=DOUBLE))

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        blurred = nn.functional.avg_pool2d(nn.functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return x + self.share * (blurred - x)


def shrink() -> tuple[cvxprox.layers.CompiledSolver, cp.Variable, cp.Parameter, cp.Parameter]:
    """Soft thresholding."""
    x, y, weight = (
        cp.Variable(3, name="x"),
        cp.Parameter(3, name="y"),
        cp.Parameter(nonneg=True, name="weight"),
    )
    weight.value = 1.0
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y) + weight * cp.norm1(x)))
    return cvxprox.compile(problem), x, y, weight


def restoration(**options: object) -> tuple[cvxprox.layers.CompiledSolver, cp.Parameter, Smoother]:
    """An image with a denoiser as its prior."""
    x, y, network = cp.Variable((6, 6)), cp.Parameter((6, 6)), Smoother()
    prior = cvxprox.deep_prior(x, network, sigma=0.1, trainable=True)
    return cvxprox.compile(cp.Problem(cp.Minimize(cp.sum_squares(x - y) + prior)), **options), y, network


def test_solves_for_data_by_parameter_or_name() -> None:
    solver, _, y, weight = shrink()
    data = normal(2, 4, 3)
    expected = data.sign() * (data.abs() - 1).clamp_min(0)
    torch.testing.assert_close(solver.solve({y: data}), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(solver.solve({"y": data, weight: 0.0}), data, atol=1e-6, rtol=0)
    torch.testing.assert_close(solver({"y": data[0, 0].numpy()}), expected[0, 0], atol=1e-6, rtol=0)
    assert solver.info["iterations"] > 0 and not bool(solver.failed)


def test_several_variables_come_as_a_dict() -> None:
    x, u, y = cp.Variable(2), cp.Variable(), cp.Parameter(2)
    solver = cvxprox.compile(cp.Problem(cp.Minimize(cp.sum_squares(x - y) + cp.square(u - 1))))
    found = solver.solve({y: torch.ones(5, 2)})
    assert found[x].shape == (5, 2) and found[u].shape == (5,) and found[u].dtype == torch.float32


@pytest.mark.parametrize("method", ["admm", "pdhg", "ladmm", "fista"])
def test_methods_agree(method: str) -> None:
    _, x, y, weight = shrink()
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y) + weight * cp.norm1(x)))
    data = torch.tensor([2.0, -0.5, -3.0], dtype=DOUBLE, requires_grad=True)
    found = cvxprox.compile(problem, method=method).solve({y: data})
    torch.testing.assert_close(found.detach(), torch.tensor([1.0, 0, -2], dtype=DOUBLE), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(found.sum(), data)
    torch.testing.assert_close(gradient, torch.tensor([1.0, 0, 1], dtype=DOUBLE), atol=1e-5, rtol=0)


def test_a_good_start_takes_fewer_iterations() -> None:
    x, A, b = cp.Variable(4, name="x"), normal(8, 4), cp.Parameter(8, name="b")
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A.numpy() @ x - b)), [x >= 0, cp.sum(x) <= 1])
    solver = cvxprox.compile(problem, polish=False, lane="assembled")
    best = solver.solve({b: normal(8, seed=1)})
    cold = solver.info["iterations"]
    solver.solve({b: normal(8, seed=1)}, x0={x: best})
    assert solver.info["iterations"] <= cold
    stopped = []
    solver.solve(
        {b: normal(8, seed=1)}, callback=lambda iteration, residuals, x: stopped.append(iteration) or True
    )
    assert len(stopped) == 1


def test_learned_parts_are_parameters_of_the_module() -> None:
    x, y, network = cp.Variable((6, 6)), cp.Parameter((6, 6)), Smoother()
    kernel, frozen = nn.Linear(6, 6, bias=False).double(), Smoother()
    strength = cvxprox.Parameter(value=nn.Parameter(torch.tensor(0.5)), name="net.strength", nonneg=True)
    fit = strength * cp.sum_squares(cvxprox.learned_linop(kernel, x) - y)
    priors = cvxprox.deep_prior(x, network, sigma=0.1, trainable=True) + cvxprox.deep_prior(
        x, frozen, sigma=0.1
    )
    solver = cvxprox.compile(cp.Problem(cp.Minimize(fit + priors)))
    assert {id(p) for p in solver.parameters()} == {id(network.share), id(kernel.weight), id(strength.tensor)}
    assert set(solver.state_dict()) == {"networks.0.weight", "networks.1.share", "tensors.net_strength"}
    solver.load_state_dict({name: torch.zeros_like(t) for name, t in solver.state_dict().items()})
    assert float(network.share.detach()) == 0 and float(strength.value) == 0


@pytest.mark.parametrize("mode", ["unroll", "deq", "jfb", "shine"])
def test_gradients_reach_data_and_denoisers(mode: str) -> None:
    solver, y, network = restoration()
    solver = cvxprox.specialize(solver, mode, max_iter=60)
    data = normal(2, 6, 6).requires_grad_(True)
    weight = normal(2, 6, 6, seed=3)

    def loss() -> Tensor:
        return (solver.solve({y: data}) * weight).sum()

    value, step = loss(), 1e-5
    value.backward()
    with torch.no_grad():
        network.share += step
        above = loss()
        network.share -= 2 * step
        slope = (above - loss()) / (2 * step)
    found = network.share.grad
    assert found is not None and data.grad is not None and data.grad.any()
    if mode in ("unroll", "deq"):
        torch.testing.assert_close(found, slope, rtol=1e-3, atol=1e-5)
    else:
        assert float(found * slope) > 0


def test_penalties_and_noise_levels_are_learnable() -> None:
    solver, _, y, _ = shrink()
    unrolled = cvxprox.specialize(solver, "unroll", max_iter=3, shared=False)
    assert [name for name, _ in unrolled.named_parameters()] == ["schedule.log_rho"]
    data = torch.tensor([2.0, -0.5, -3.0], dtype=DOUBLE)
    value = unrolled.solve({y: data})
    value.sum().backward()
    gradient = unrolled.schedule.log_rho.grad
    step = 1e-3
    for k in range(3):
        found = []
        for sign in (1, -1):
            shifted = unrolled.schedule.log_rho.detach().clone()
            shifted[k] += sign * step
            found.append(float(unrolled.solve({y: data}, rhos=shifted.exp()).sum()))
        assert abs(float(gradient[k]) - (found[0] - found[1]) / (2 * step)) < 1e-3 * (
            1 + abs(float(gradient[k]))
        )
    x, image = cp.Variable((6, 6)), cp.Parameter((6, 6))
    free = cp.Problem(
        cp.Minimize(cp.sum_squares(x - image) + cvxprox.deep_prior(x, Smoother(), trainable=True))
    )
    learned = cvxprox.specialize(cvxprox.compile(free), "unroll", max_iter=4, shared=False)
    assert learned.schedule.log_noise.shape == (4,)
    learned.solve({image: normal(6, 6)}).sum().backward()
    assert learned.schedule.log_noise.grad.abs().sum() > 0


def test_tensors_of_penalties_and_noise_levels_have_gradients() -> None:
    solver, _, y, _ = shrink()
    unrolled = cvxprox.specialize(solver, "unroll", max_iter=4)
    data = torch.tensor([2.0, -0.5, -3.0], dtype=DOUBLE)
    rhos = torch.tensor([1.0, 2.0, 1.0, 3.0], dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda rhos: unrolled.solve({y: data}, rhos=rhos), (rhos,), atol=1e-6)


def test_copies_learn_by_themselves() -> None:
    solver, y, network = restoration()
    data = normal(6, 6)
    before = solver.solve({y: data})
    for clone in (copy.deepcopy(solver), pickle.loads(pickle.dumps(solver))):
        (share,) = clone.parameters()
        assert share is not network.share
        name = clone.problem.parameters()[0].name()
        torch.testing.assert_close(clone.solve({name: data}), before)
        with torch.no_grad():
            share.fill_(0.9)
        assert not torch.allclose(clone.solve({name: data}), before)
        torch.testing.assert_close(solver.solve({y: data}), before)


def test_training_lowers_the_loss() -> None:
    x, y = cp.Variable(8), cp.Parameter(8)
    weight = nn.Parameter(torch.tensor(0.01))
    smooth = cvxprox.Parameter(value=weight, nonneg=True)
    solver = cvxprox.compile(
        cp.Problem(cp.Minimize(cp.sum_squares(x - y) + smooth * cp.sum_squares(cp.diff(x))))
    )
    clean = torch.linspace(0, 1, 8).expand(4, 8)
    noisy = clean + 0.3 * normal(4, 8).float()
    optimiser = torch.optim.Adam(solver.parameters(), lr=0.3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = (solver.solve({y: noisy}) - clean).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0] and float(weight.detach()) > 0.5
    np.testing.assert_allclose(smooth.value, float(weight.detach()))
