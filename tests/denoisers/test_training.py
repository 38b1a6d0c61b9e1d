"""The pictures to train on, and a few steps of training."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from cvxprox.denoisers import Denoiser
from cvxprox.denoisers.dead_leaves import dead_leaves
from cvxprox.denoisers.patches import Patches
from cvxprox.denoisers.photographs import HELD_OUT, TRAINING, Photograph, held_out, read_picture, resize
from cvxprox.denoisers.training import counted, save, train, warm_start

pytest.importorskip("PIL")
every_channels = pytest.mark.parametrize("channels", [1, 3])


def synthetic(channels: int, seed: int) -> Patches:
    """Patches of two smooth random pictures, and of dead leaves in their colours."""
    rng = np.random.default_rng(seed)
    pictures = {str(k): resize(rng.random((6, 5, 3), dtype=np.float32), 130, 120) for k in range(2)}
    patches = Patches.of(channels, pictures, rng, leaves=0)
    patches.leaves.append(dead_leaves(list(pictures.values()), rng, size=112))
    return patches


def test_no_picture_is_both_trained_on_and_held_out() -> None:
    names = [photograph.name for photograph in (*TRAINING, *HELD_OUT)]
    assert len(names) == len(set(names))
    assert {"camera", "astronaut", "coffee", "chelsea"} <= {photograph.name for photograph in HELD_OUT}


def test_the_photographs_of_scikit_image_are_there() -> None:
    pytest.importorskip("skimage")
    for photograph in (*TRAINING, *HELD_OUT):
        if photograph.package == "skimage":
            picture = photograph.read()
            assert picture.ndim == 3 and picture.shape[-1] == 3 and picture.dtype == np.float32
            assert 0 <= picture.min() and picture.max() <= 1


def test_held_out_pictures_are_gray_or_colour() -> None:
    pytest.importorskip("skimage")
    gray, colour = held_out(1), held_out(3)
    assert set(gray) == set(colour) | {"camera"}
    assert all(picture.shape[0] == 1 for picture in gray.values())
    luma = np.tensordot([0.299, 0.587, 0.114], colour["coffee"], 1)
    np.testing.assert_allclose(gray["coffee"][0], luma, atol=1e-5)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="'no_such_package', which is missing: `pip install"):
        Photograph("no_such_package", "picture.png").read()


@every_channels
def test_patches_are_in_range_and_repeat(channels: int) -> None:
    first, second = (synthetic(channels, 3).batch(12, 24) for _ in range(2))
    assert first.shape == (12, channels, 24, 24) and first.dtype == torch.float32
    assert 0 <= first.min() and first.max() <= 1 and first.std() > 0.05
    assert_close(first, second, atol=0, rtol=0)


def test_dead_leaves_are_replaced() -> None:
    patches = synthetic(3, 4)
    before = patches.leaves[0]
    patches.refresh()
    assert len(patches.leaves) == 1 and not np.array_equal(before, patches.leaves[0])
    assert before.std() > 0.05 and (np.diff(before, axis=0) != 0).mean() < 1


def test_resizing_keeps_a_constant_and_the_mean() -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.3, 0.7, (64, 48, 3)).astype(np.float32)
    small = resize(picture, 32, 24)
    assert small.shape == (32, 24, 3) and abs(small.mean() - picture.mean()) < 1e-2
    np.testing.assert_allclose(resize(np.full_like(picture, 0.4), 31, 20), 0.4, atol=1e-5)


@every_channels
def test_training_lowers_the_error_and_is_determined_by_the_seeds(channels: int) -> None:
    torch.manual_seed(0)
    network = Denoiser(channels, (8, 8, 8))
    start, clean = copy.deepcopy(network), synthetic(channels, 9).batch(16, 32)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))

    def run() -> Denoiser:
        patches, generator = synthetic(channels, 6), torch.Generator().manual_seed(2)
        averaged, iterations = train(copy.deepcopy(start), patches, counted(12), generator)
        assert iterations == 12
        return averaged

    def error(denoiser: Denoiser) -> float:
        with torch.no_grad():
            return (denoiser(noisy, 0.1) - clean).abs().mean().item()

    first, second = run(), run()
    assert error(first) < error(start) - 1e-3
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert_close(a, b, atol=0, rtol=0)


def test_weights_go_to_a_file_and_start_another_network(tmp_path: Path) -> None:
    from safetensors import safe_open

    gray, colour, path = Denoiser(1, (8, 8, 8)), Denoiser(3, (8, 8, 8)), tmp_path / "weights.safetensors"
    head = colour.head.weight.clone()
    save(gray, path, {"seed": "0"})
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"seed": "0"}
    warm_start(colour, path)
    assert_close(colour.coarse.first.weight, gray.coarse.first.weight, atol=1e-3, rtol=1e-3)
    assert_close(colour.head.weight, head)


def test_a_picture_is_read_in_colour(tmp_path: Path) -> None:
    from PIL import Image

    values = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(values).save(tmp_path / "gray.png")
    np.testing.assert_allclose(read_picture(tmp_path / "gray.png"), values[..., None].repeat(3, -1) / 255)
