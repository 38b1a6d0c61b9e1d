"""A denoiser as a prox: layouts, ranges, noise levels, types, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from cvxprox.prox import Denoiser

from .case import F64

SIZES = {"N": 2, "C": 3, "H": 4, "W": 5}
LAYOUTS = ["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW", "WH", "CWHN"]


def marking(x: Tensor, sigma: float | Tensor) -> Tensor:
    """Another result in every channel, and other shifts of rows and of columns."""
    channel = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
    return x.roll((1, 2), (2, 3)) * channel[:, None, None]


def adding(x: Tensor, sigma: float | Tensor) -> Tensor:
    return x + torch.as_tensor(sigma).reshape(-1, 1, 1, 1)


class Gray(nn.Module):
    """A network for one channel that keeps what it saw."""

    channels = 1

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5, dtype=dtype))
        self.seen: list[tuple[Tensor, float | Tensor]] = []

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append((x, sigma))
        assert x.shape[1] == 1
        return self.weight * x


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_every_layout(layout: str, batch: tuple[int, ...]) -> None:
    shape = tuple(SIZES[axis] for axis in layout)
    x = random(*batch, *shape)
    dims = {axis: layout.index(axis) - len(layout) for axis in layout}
    expected = x.roll((1, 2), (dims["H"], dims["W"]))
    if "C" in layout:
        factor = torch.arange(1.0, 4.0, dtype=F64)
        expected = expected * factor.reshape(-1, *(1,) * (-1 - dims["C"]))
    actual = Denoiser((marking,), shape, layout).prox(x.reshape(*batch, -1), 1.0)
    assert_close(actual.reshape(x.shape), expected)


@pytest.mark.parametrize("layout", ["CHW", "NHWC"])
def test_a_gray_network_sees_channels_as_images(layout: str) -> None:
    network = Gray(F64)
    shape = tuple(SIZES[axis] for axis in layout)
    x = random(*shape)
    actual = Denoiser((network,), shape, layout).prox(x.reshape(-1), 1.0)
    assert_close(actual.detach(), 0.5 * x.reshape(-1))
    assert network.seen[0][0].shape == (3 * (2 if "N" in layout else 1), 1, 4, 5)
    if layout == "NHWC":
        assert_close(network.seen[0][0][4, 0], x[1, :, :, 1])


def test_the_noise_level_of_every_image_goes_to_all_its_channels() -> None:
    network = Gray(F64)
    t = torch.tensor([0.25, 4.0], dtype=F64)
    Denoiser((network,), (3, 4, 5), "CHW", strength=4.0).prox(random(2, 60), t)
    assert_close(network.seen[0][1], torch.tensor([1.0, 1, 1, 4, 4, 4], dtype=F64))


def test_the_range_scales_values_and_noise() -> None:
    """A network that adds its noise level adds it in the units of x."""
    v = random(20)
    seen = []

    def network(x: Tensor, sigma: float | Tensor) -> Tensor:
        seen.append(x)
        return adding(x, sigma)

    denoiser = Denoiser((network,), (4, 5), "HW", sigma=0.7, value_range=(-1.0, 3.0))
    assert_close(denoiser.prox(v, 123.0), v + 0.7)
    assert_close(seen[0].reshape(-1), (v + 1) / 4)


@pytest.mark.parametrize("t", [0.3, torch.tensor(0.3, dtype=F64), torch.tensor([0.3], dtype=F64)])
def test_the_noise_level_is_that_of_the_step(t: float | Tensor) -> None:
    v = random(1, 20)
    denoiser = Denoiser((adding,), (4, 5), "HW", strength=2.0, value_range=(0.0, 255.0))
    assert_close(denoiser.prox(v, t), v + math.sqrt(0.6))


def test_a_network_runs_in_its_own_type() -> None:
    network = Gray()
    v = random(20)
    z = Denoiser((network,), (4, 5), "HW", sigma=torch.tensor(0.1, dtype=F64)).prox(v, 1.0)
    assert z.dtype == F64
    x, sigma = network.seen[0]
    assert x.dtype == torch.float32
    assert isinstance(sigma, Tensor) and sigma.dtype == torch.float32 and sigma.dim() == 0
    moved = Denoiser((network,), (4, 5), "HW").to("cpu", torch.float32)
    assert moved.prox(v.float(), 1.0).dtype == torch.float32


def test_gradients_in_everything() -> None:
    network = Gray(F64)
    nonlinear = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.Softplus(), nn.Conv2d(2, 1, 3, padding=1)
    ).double()

    def both(x: Tensor, sigma: float | Tensor) -> Tensor:
        return nonlinear(network(x, sigma)) * sigma

    def prox(v: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
        denoiser = Denoiser((both,), (4, 5), "HW", sigma=sigma, value_range=(0.0, 2.0))
        return torch.func.functional_call(_Run(network, denoiser), {"network.weight": weight}, (v,))

    sigma = torch.tensor(0.4, dtype=F64, requires_grad=True)
    weight = network.weight.detach().clone().requires_grad_(True)
    assert torch.autograd.gradcheck(prox, (random(20).requires_grad_(True), sigma, weight))

    def by_step(t: Tensor, strength: Tensor) -> Tensor:
        return Denoiser((both,), (4, 5), "HW", strength=strength).prox(random(20), t)

    assert torch.autograd.gradcheck(by_step, (sigma.detach().clone().requires_grad_(True), sigma))


class _Run(nn.Module):
    def __init__(self, network: nn.Module, denoiser: Denoiser) -> None:
        super().__init__()
        self.network, self.denoiser = network, denoiser

    def forward(self, v: Tensor) -> Tensor:
        return self.denoiser.prox(v, 1.0)


def test_every_iteration_has_its_network() -> None:
    denoiser = Denoiser((marking, adding), (4, 5), "HW", sigma=1.0)
    v = random(20)
    assert_close(denoiser.at(0).prox(v, 1.0), denoiser.prox(v, 1.0))
    for iteration in (1, 2, 100):
        assert_close(denoiser.at(iteration).prox(v, 1.0), v + 1)
    single = Denoiser((adding,), (4, 5), "HW")
    assert single.at(7) is single


def test_its_value_is_not_known() -> None:
    denoiser = Denoiser((adding,), (4, 5), "HW")
    assert not denoiser.convex
    assert denoiser.value(random(3, 20)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("shape", "layout", "options", "message"),
    [
        ((4, 5), "HC", {}, "H and W among them; found 'HC'"),
        ((4, 5), "HHW", {}, "letters of NCHW once"),
        ((4, 5, 3), "HW", {}, r"does not fit a tensor of shape \(4, 5, 3\)"),
        ((4, 5), "HW", {"value_range": (1.0, 1.0)}, "low < high"),
    ],
)
def test_errors(shape: tuple[int, ...], layout: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Denoiser((adding,), shape, layout, **options)


def test_a_network_of_other_channels_is_refused() -> None:
    network = Gray()
    network.channels = 3
    with pytest.raises(ValueError, match="takes images of 3 channels; found 1"):
        Denoiser((network,), (4, 5), "HW")


def test_every_iteration_turns_the_image_in_another_way() -> None:
    def ramp(x: Tensor, sigma: float | Tensor) -> Tensor:
        return x * torch.arange(1.0, 1 + x.shape[-1], dtype=x.dtype)

    denoiser = Denoiser((ramp,), (3, 3), "HW", turns=tuple(range(8)))
    x = torch.ones(9, dtype=torch.float64)
    found = [denoiser.at(k).prox(x, 1.0).reshape(3, 3) for k in range(9)]
    line = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).expand(3, 3)
    # along the rows or the columns, forward or backward, each of them twice: after a reflection or not
    for way in (line, line.flip(1), line.T, line.T.flip(0)):
        assert sum(torch.equal(one, way) for one in found[:8]) == 2
    assert torch.equal(found[8], found[0]) and torch.equal(found[0], line)
    asymmetric = Denoiser((lambda x, sigma: x,), (3, 4), "HW", turns=tuple(range(8)))
    v = random(12)
    for k in range(8):
        assert_close(asymmetric.at(k).prox(v, 1.0), v)
