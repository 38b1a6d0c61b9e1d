"""Denoisers by name, and what they do to a photograph that was held out."""

from __future__ import annotations

import sys
import types
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from cvxprox.denoisers import NAMES, DenoisingFunction, default_denoiser, named_denoiser, self_ensemble
from cvxprox.denoisers.classical import Classical, bayes_shrink
from cvxprox.denoisers.names import CLASSICAL
from cvxprox.denoisers.photographs import held_out
from cvxprox.denoisers.pretrained import PRETRAINED
from cvxprox.denoisers.training import psnr

every_channels = pytest.mark.parametrize("channels", [1, 3])


def classical(name: str) -> DenoisingFunction:
    """The denoiser of that name, where its package is installed."""
    try:
        return named_denoiser(name, 1)
    except ImportError as error:
        pytest.skip(str(error))


def piece(channels: int, sigma: float) -> tuple[Tensor, Tensor]:
    """A piece of a photograph that was held out, and the piece with noise."""
    pytest.importorskip("skimage")
    pictures = held_out(channels)
    clean = torch.from_numpy(pictures["astronaut"])[None, :, 20:148, 150:278]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    return clean, clean + sigma * noise


@pytest.mark.parametrize(
    ("channels", "level", "gain"),
    [
        (1, 5, 2.1),
        (1, 15, 6.0),
        (1, 25, 8.0),
        (1, 50, 11.0),
        (3, 5, 3.3),
        (3, 15, 7.4),
        (3, 25, 9.5),
        (3, 50, 12.4),
    ],
)
def test_the_default_gains_on_an_unseen_photograph(channels: int, level: int, gain: float) -> None:
    """The gains in dB, to half a dB, of the weights that ship."""
    clean, noisy = piece(channels, level / 255)
    denoised = default_denoiser(channels)(noisy, level / 255)
    assert psnr(denoised, clean) - psnr(noisy, clean) > gain


@every_channels
@pytest.mark.parametrize("name", [name for name in CLASSICAL if name != "bm3d"])
def test_the_default_beats_the_classical(channels: int, name: str) -> None:
    clean, noisy = piece(channels, 25 / 255)
    denoised, classically = (f(noisy, 25 / 255) for f in (default_denoiser(channels), classical(name)))
    assert psnr(denoised, clean) > psnr(classically, clean) + 1.0


@every_channels
def test_the_self_ensemble_gains(channels: int) -> None:
    clean, noisy = piece(channels, 25 / 255)
    denoiser = default_denoiser(channels)
    assert psnr(self_ensemble(denoiser)(noisy, 25 / 255), clean) > psnr(denoiser(noisy, 25 / 255), clean)


@every_channels
def test_without_noise_little_changes(channels: int) -> None:
    clean, _ = piece(channels, 0.0)
    assert psnr(default_denoiser(channels)(clean, 0.0), clean) > 45


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_classical_denoisers_take_what_the_default_takes(name: str, channels: int) -> None:
    denoiser, generator = classical(name), torch.Generator().manual_seed(2)
    clean = torch.linspace(0.2, 0.8, 48 * 40).reshape(48, 40).expand(2, channels, 48, 40)
    noisy = clean + torch.tensor([0.05, 0.1])[:, None, None, None] * torch.randn(
        clean.shape, generator=generator
    )
    denoised = denoiser(noisy, torch.tensor([0.05, 0.1]))
    assert denoised.shape == noisy.shape and denoised.dtype == noisy.dtype
    assert_close(denoised[1:], denoiser(noisy[1:], 0.1))
    assert psnr(denoised, clean) > psnr(noisy, clean) + 3
    assert_close(denoiser(noisy, 0.0), noisy)
    with pytest.raises(RuntimeError, match="no derivative"):
        denoiser(noisy.requires_grad_(), 0.1)
    with torch.no_grad():
        denoiser(noisy, 0.1)


def test_the_colours_of_the_wavelet_denoiser_are_orthonormal() -> None:
    pytest.importorskip("pywt")
    noisy = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_close(Classical("wavelet", bayes_shrink)(noisy, 1e-9), noisy, atol=1e-6, rtol=1e-6)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"no denoiser 'blur'.*{', '.join(NAMES)}"):
        named_denoiser("blur", 1)


def test_the_default_has_its_name() -> None:
    assert named_denoiser("default", 3) is default_denoiser(3)


@pytest.mark.parametrize("name", PRETRAINED)
def test_without_deepinv_the_error_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepinv", None)
    with pytest.raises(ImportError, match=r"pip install cvxprox\[deepinv\] torch=="):
        named_denoiser(name, 3)


@pytest.mark.parametrize("name", PRETRAINED)
def test_deepinv_is_asked_for_trained_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Model(nn.Conv2d):
        def __init__(self, **options: object) -> None:
            super().__init__(1, 1, 1)
            calls.append(options)

    models = types.ModuleType("deepinv.models")
    setattr(models, PRETRAINED[name].model, Model)
    monkeypatch.setitem(sys.modules, "deepinv", types.ModuleType("deepinv"))
    monkeypatch.setitem(sys.modules, "deepinv.models", models)
    model = named_denoiser(name, 3, dtype=torch.float64)
    assert isinstance(model, Model) and model.weight.dtype == torch.float64
    assert not model.training and not model.weight.requires_grad
    assert calls == [{**PRETRAINED[name].options[3], "pretrained": "download"}]
    with pytest.raises(ValueError, match=f"{name!r} has weights for images of .*3 channels; found 2"):
        named_denoiser(name, 2)


@pytest.mark.skipif(find_spec("bm3d") is not None, reason="bm3d is installed")
def test_a_missing_package_is_named() -> None:
    with pytest.raises(ImportError, match="needs the package bm3d"):
        named_denoiser("bm3d", 1)
