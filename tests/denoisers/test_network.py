"""The network, the weights that ship with it, and the average over symmetries."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from cvxprox.denoisers import Denoiser, default_denoiser, self_ensemble
from cvxprox.denoisers.default import WEIGHTS

MOST_BYTES = 4_000_000

every_channels = pytest.mark.parametrize("channels", WEIGHTS)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@every_channels
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (7, 9), (16, 24), (33, 50)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_the_output_is_like_the_input(
    channels: int, size: tuple[int, int], dtype: torch.dtype, generator: torch.Generator
) -> None:
    x = torch.rand(2, channels, *size, generator=generator).to(dtype)
    clean = default_denoiser(channels)(x, 0.1)
    assert clean.shape == x.shape and clean.dtype == dtype
    assert clean.isfinite().all()


@every_channels
def test_the_padding_does_not_reach_far_images(channels: int, generator: torch.Generator) -> None:
    """The top left corner of an image does not know that the image is cut at the bottom right."""
    x, denoiser = torch.rand(1, channels, 203, 205, generator=generator), default_denoiser(channels)
    whole, part = denoiser(x, 0.1), denoiser(x[..., :163, :173], 0.1)
    assert_close(whole[..., :50, :50], part[..., :50, :50], atol=1e-5, rtol=1e-5)


@every_channels
def test_images_are_padded_by_reflection(channels: int, generator: torch.Generator) -> None:
    x, denoiser = torch.rand(1, channels, 18, 19, generator=generator), default_denoiser(channels)
    padded = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (0, 6), (0, 5)), "reflect"))
    assert_close(denoiser(x, 0.1), denoiser(padded, 0.1)[..., :18, :19], atol=1e-6, rtol=1e-5)


@every_channels
@pytest.mark.parametrize("factor", [0.01, 0.5, 40.0])
def test_it_is_homogeneous(channels: int, factor: float, generator: torch.Generator) -> None:
    x, denoiser = torch.rand(1, channels, 19, 22, generator=generator), default_denoiser(channels)
    assert_close(denoiser(factor * x, factor * 0.1), factor * denoiser(x, 0.1), atol=1e-5 * factor, rtol=1e-4)


@every_channels
def test_every_form_of_the_noise_level(channels: int, generator: torch.Generator) -> None:
    x, denoiser = torch.rand(2, channels, 16, 17, generator=generator), default_denoiser(channels)
    low, high = denoiser(x[:1], 0.05), denoiser(x[1:], 0.2)
    assert_close(denoiser(x, torch.tensor([0.05, 0.2])), torch.cat([low, high]), atol=1e-5, rtol=1e-5)
    assert_close(denoiser(x, torch.tensor([0.05, 0.2], dtype=torch.float64))[:1], low, atol=1e-5, rtol=1e-5)
    assert_close(denoiser(x, torch.tensor(0.05))[:1], low, atol=1e-5, rtol=1e-5)
    assert_close(denoiser(x, torch.tensor([0.2]))[1:], high, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(denoiser(x[:1], 0.2), low, atol=1e-3)


@every_channels
def test_gradients_are_those_of_finite_differences(channels: int, generator: torch.Generator) -> None:
    denoiser = default_denoiser(channels, torch.float64)
    x = torch.rand(1, channels, 9, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor([0.1], dtype=torch.float64, requires_grad=True)
    probe = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)

    def value(step: float) -> Tensor:
        return (probe * denoiser(x + step * direction, sigma + step)).sum()

    value(0.0).backward()
    assert x.grad is not None and sigma.grad is not None
    slope = (x.grad * direction).sum() + sigma.grad.sum()
    step = 1e-7
    with torch.no_grad():
        assert_close(slope, (value(step) - value(-step)) / (2 * step), atol=1e-5, rtol=1e-4)


def test_a_shape_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\); found \(1, 3, 8, 8\)"):
        default_denoiser(1)(torch.zeros(1, 3, 8, 8), 0.1)
    with pytest.raises(ValueError, match=r"one for each of 2 images; found shape \(3,\)"):
        default_denoiser(1)(torch.zeros(2, 1, 8, 8), torch.ones(3))
    with pytest.raises(ValueError, match=r"found shape \(2, 1\)"):
        default_denoiser(1)(torch.zeros(2, 1, 8, 8), torch.ones(2, 1))


@every_channels
def test_the_default_is_shared_and_a_trainable_one_is_not(channels: int) -> None:
    shared, own = default_denoiser(channels), default_denoiser(channels, trainable=True)
    assert default_denoiser(channels) is shared and not shared.training
    assert not any(p.requires_grad for p in shared.parameters())
    assert all(p.requires_grad for p in own.parameters())
    before = shared.tail.weight.clone()
    own.tail.weight.data.zero_()
    assert_close(shared.tail.weight, before)
    assert default_denoiser(channels, dtype=torch.float64).tail.weight.dtype == torch.float64


def test_other_numbers_of_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels; found 4"):
        default_denoiser(4)


def test_the_weights_are_small() -> None:
    folder = Path(str(files("cvxprox.denoisers") / "weights"))
    assert {path.name for path in folder.iterdir()} == set(WEIGHTS.values())
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES


def test_the_self_ensemble_is_the_average_over_symmetries(generator: torch.Generator) -> None:
    network = Denoiser(1, (8, 8, 8)).requires_grad_(False)
    x = torch.rand(2, 1, 14, 21, generator=generator)
    terms = []
    for image in (x, x.transpose(-1, -2)):  # the other six are reflections of these two
        for axes in ((), (-1,), (-2,), (-1, -2)):
            clean = network(image.flip(axes), 0.1).flip(axes)
            terms.append(clean if image is x else clean.transpose(-1, -2))
    ensemble = self_ensemble(network)
    assert_close(ensemble(x, 0.1), torch.stack(terms).mean(0), atol=1e-5, rtol=1e-5)
    assert_close(ensemble(x.flip(-1), 0.1), ensemble(x, 0.1).flip(-1), atol=1e-5, rtol=1e-5)
    assert len(list(ensemble.parameters())) == len(list(network.parameters()))
