"""Synthetic images to train on: dead leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]


def dead_leaves(pictures: Sequence[Picture], rng: np.random.Generator, size: int = 384) -> Picture:
    r"""An image of shapes that fall on one another until they cover it, of shape (size, size, 3) in [0, 1].

    Their radii follow the power law :math:`p(r) \propto r^{-3}` between bounds, which makes the statistics
    of the image invariant under changes of scale, as those of photographs nearly are. Discs and polygons
    take the colours of random points of `pictures`, and a texture: noise with the power spectrum
    :math:`|f|^{-2\alpha}`, a grating, or a piece of a picture. The image is drawn at twice its size and
    then averaged.

    References
    ----------
    Lee, Mumford and Huang, *Occlusion Models for Natural Images* (2001). Achddou, Gousseau and Ladjal,
    *Synthetic Images as a Regularity Prior for Image Restoration Neural Networks* (2021).
    """
    side = 2 * size
    leaf = _leaves(side, rng)
    count = int(leaf.max()) + 1
    colour = _colours(pictures, count, rng)
    textures = np.stack([_texture(kind, pictures, side, rng) for kind in range(6)])
    amount = rng.exponential(0.06, count).astype(np.float32) * (rng.random(count) < 0.7)
    rows, columns = np.indices((side, side), sparse=True)
    image = (
        colour[leaf]
        + amount[leaf][..., None] * textures[rng.integers(len(textures), size=count)[leaf], rows, columns]
    )
    image = image.reshape(size, 2, size, 2, 3).mean((1, 3))
    return np.clip(image, 0, 1).astype(np.float32)


def _leaves(side: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """The number of the leaf that is seen at each pixel."""
    from PIL import Image, ImageDraw

    smallest, largest, count = rng.uniform(4, 16), side / 2, 3000
    canvas = Image.new("I", (side, side))
    draw = ImageDraw.Draw(canvas)
    # The inverse of the distribution function of the density r^-3 on [smallest, largest].
    tail = rng.uniform((smallest / largest) ** 2, 1, count)
    radii, centres = smallest / np.sqrt(tail), rng.uniform(0, side, (count, 2))
    for number, (radius, (x, y)) in enumerate(zip(radii, centres, strict=True)):
        if rng.random() < 0.4:
            draw.ellipse((x - radius, y - radius * rng.uniform(0.4, 1), x + radius, y + radius), fill=number)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
            reach = radius * rng.uniform(0.6, 1.2, len(angles))
            corners = np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)
            draw.polygon([tuple(corner) for corner in corners], fill=number)
    return np.asarray(canvas)


def _colours(pictures: Sequence[Picture], count: int, rng: np.random.Generator) -> Picture:
    """The colours at `count` random points of a few pictures."""
    chosen = [pictures[i].reshape(-1, 3) for i in rng.integers(len(pictures), size=3)]
    samples = np.stack([points[rng.integers(len(points), size=count)] for points in chosen])
    return samples[rng.integers(len(chosen), size=count), np.arange(count)]


def _texture(kind: int, pictures: Sequence[Picture], side: int, rng: np.random.Generator) -> Picture:
    """A field of shape (side, side, 3), with mean near 0 and deviation near 1."""
    field: NDArray[np.floating]
    if kind < 2:
        frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
        frequency[0, 0] = 1
        spectrum = np.fft.rfft2(rng.standard_normal((side, side))) / frequency ** rng.uniform(0.3, 1.4)
        field = np.fft.irfft2(spectrum, (side, side))[..., None] * rng.uniform(0.5, 1, 3)
    elif kind == 2:
        angle, period, (y, x) = rng.uniform(0, np.pi), 2 * rng.uniform(2.5, 16), np.indices((side, side))
        phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period
        field = np.tanh(rng.uniform(1, 4) * np.sin(phase))[..., None] * rng.uniform(0.5, 1, 3)
    else:
        picture = pictures[int(rng.integers(len(pictures)))]
        repeats = [-(-side // (2 * length)) for length in picture.shape[:2]]
        field = np.tile(picture.repeat(2, axis=0).repeat(2, axis=1), (*repeats, 1))[:side, :side]
    field = field - field.mean((0, 1))
    return (field / (field.std() + 1e-6)).astype(np.float32)
