"""Layers with operators, learned ones among them, and with denoisers."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import pytest
import torch
from torch import Tensor, nn

import cvxprox
from cvxprox.status import Status

from .problems import DOUBLE, normal

SIZE = 8


def slope(function: Callable[[Tensor], Tensor], at: Tensor, direction: Tensor, step: float = 1e-4) -> float:
    """The derivative in a direction by central differences."""
    with torch.no_grad():
        return float((function(at + step * direction) - function(at - step * direction)) / (2 * step))


def test_a_kernel_is_learned_through_total_variation() -> None:
    x, kernel, data = cp.Variable((SIZE, SIZE)), cp.Parameter((3, 3)), cp.Parameter((SIZE, SIZE))
    fit = 10 * cp.sum_squares(cvxprox.conv(x, kernel) - data)
    problem = cp.Problem(cp.Minimize(fit + cvxprox.tv(x) + 0.1 * cp.sum_squares(x)), [x >= 0])
    layer = cvxprox.ProxLayer(problem, [kernel, data], [x], lane="matrix_free", eps_abs=1e-9, eps_rel=1e-9)
    k = torch.full((3, 3), 1 / 9, dtype=DOUBLE).requires_grad_(True)
    y, weight = normal(2, SIZE, SIZE).abs(), normal(2, SIZE, SIZE, seed=1)

    def loss(k: Tensor) -> Tensor:
        return (layer(k, y)[0] * weight).sum()

    value = loss(k)
    value.backward()
    assert k.grad is not None
    direction = normal(3, 3, seed=2)
    expected = slope(loss, k.detach(), direction)
    assert abs(float((k.grad * direction).sum()) - expected) < 1e-3 * abs(expected)


def test_a_learned_operator_has_gradients() -> None:
    x, y = cp.Variable(4), cp.Parameter(4)
    module = nn.Linear(4, 4, bias=False).double()
    with torch.no_grad():
        module.weight.copy_(normal(4, 4))
    problem = cp.Problem(cp.Minimize(cp.sum_squares(cvxprox.learned_linop(module, x) - y) + cp.norm1(x)))
    layer = cvxprox.ProxLayer(problem, [y], [x], eps_abs=1e-9, eps_rel=1e-9)
    assert [name for name, _ in layer.named_parameters()] == ["networks.0.weight"]
    data, direction = 3 * normal(3, 4, seed=1), normal(4, 4, seed=2)

    def loss(weight: Tensor) -> Tensor:
        with torch.no_grad():
            module.weight.copy_(weight)
        return layer(data)[0].square().sum()

    at = module.weight.detach().clone()
    loss(at).backward()
    found = float((module.weight.grad * direction).sum())
    assert abs(found - slope(loss, at, direction)) < 1e-4 * abs(found)


class Mean(nn.Module):
    """A denoiser with a parameter: the weighted mean of the image and of its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(0.5, dtype=DOUBLE))

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return (1 - self.share) * x + self.share * x.mean((-2, -1), keepdim=True)


def with_denoiser(mode: str | None, trainable: bool) -> tuple[cvxprox.ProxLayer, Mean]:
    """An image with that denoiser as its prior."""
    network = Mean()
    x, y = cp.Variable((SIZE, SIZE)), cp.Parameter((SIZE, SIZE))
    prior = cvxprox.deep_prior(x, network, sigma=0.1, trainable=trainable)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y) + prior))
    limits = {"eps_abs": 1e-10, "eps_rel": 1e-10, "schedule": "constant"}
    return cvxprox.ProxLayer(problem, [y], [x], differentiation=mode, **limits), network


@pytest.mark.parametrize("mode", [None, "unroll"])
def test_a_denoiser_inside_a_layer_is_learned(mode: str | None) -> None:
    layer, network = with_denoiser(mode, trainable=True)
    assert [p is network.share for p in layer.parameters()] == [True]
    data = normal(2, SIZE, SIZE)

    def loss(share: Tensor) -> Tensor:
        with torch.no_grad():
            network.share.copy_(share)
        return layer(data)[0].square().sum()

    at = network.share.detach().clone()
    loss(at).backward()
    assert network.share.grad is not None
    found, expected = float(network.share.grad), slope(loss, at, torch.ones_like(at))
    assert abs(found - expected) < 1e-4 * abs(expected)


def test_denoisers_may_stop_at_the_limit() -> None:
    x, y = cp.Variable((SIZE, SIZE)), cp.Parameter((SIZE, SIZE))
    prior = cvxprox.deep_prior(x, lambda image, sigma: -2 * image, sigma=0.1)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y) + prior))
    layer = cvxprox.ProxLayer(problem, [y], [x], schedule="constant", eps_abs=1e-15, eps_rel=0.0)
    (found,) = layer(normal(SIZE, SIZE))
    assert layer.status is Status.ITERATION_LIMIT and bool(found.isfinite().all())


def test_gradients_go_through_a_frozen_denoiser() -> None:
    layer, network = with_denoiser("unroll", trainable=False)
    assert not list(layer.parameters())
    data, direction = normal(SIZE, SIZE).requires_grad_(True), normal(SIZE, SIZE, seed=1)

    def loss(y: Tensor) -> Tensor:
        return layer(y)[0].square().sum()

    loss(data).backward()
    assert data.grad is not None and network.share.grad is None
    expected = slope(loss, data.detach(), direction)
    assert abs(float((data.grad * direction).sum()) - expected) < 1e-4 * abs(expected)
