"""Photographs, their PSNR and pictures of them: what the examples have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from skimage import data, transform

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Image = NDArray[np.float64]

LUMA = (0.299, 0.587, 0.114)


def arguments(text: str | None, name: str, size: int = 256) -> argparse.Namespace:
    """The options `--size` and `--out`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=size, help=f"pixels along a side ({size})")
    parser.add_argument("--out", type=Path, default=Path(f"out/{name}.png"), help="the picture to write")
    return parser.parse_args()


def photograph(name: str, size: int, colour: bool = False) -> Image:
    """The middle square of a photograph that comes with scikit-image: (size, size) or (size, size, 3)."""
    picture = getattr(data, name)() / 255
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    square = transform.resize(picture[top : top + side, left : left + side], (size, size), anti_aliasing=True)
    return square if colour or square.ndim == 2 else square @ np.array(LUMA)


def psnr(image: Image, truth: Image) -> float:
    """Peak signal-to-noise ratio in decibels, of the image as it is shown: cut off at 0 and 1."""
    return float(-10 * np.log10(np.mean((np.clip(image, 0, 1) - truth) ** 2)))


def draw(path: Path, truth: Image, images: Mapping[str, Image], detail: slice | None = None) -> None:
    """Write the images side by side, and the truth as the last; a detail below them.

    Images of the shape of the truth get their PSNR.
    """
    pictures = {}
    for title, image in images.items():
        score = f"{psnr(image, truth):.2f} dB" if image.shape == truth.shape else ""
        pictures[f"{title}\n{score}"] = image
    pictures["truth\n"] = truth
    rows, columns = (1 if detail is None else 2), len(pictures)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.6 * columns, 2.6 * rows + 0.6), layout="constrained", squeeze=False
    )
    for column, (title, picture) in zip(axes.T, pictures.items(), strict=True):
        column[0].set_title(title, fontsize=10)
        for axis, part in zip(column, (slice(None), detail), strict=False):
            shown = np.clip(picture[part, part], 0, 1)
            axis.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, pad_inches=0.05, bbox_inches="tight")
    plt.close(figure)
    print(f"Picture: {path}")
