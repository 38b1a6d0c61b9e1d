"""The photographs that the shipped weights were trained on, and those that they were never shown.

All are files of Python packages; a package is looked up without being imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Photograph:
    """A picture inside an installed package.

    Attributes
    ----------
    package : str
        The package to look for, by its import name.
    file : str
        The path inside the package.
    sharp_at : float
        The factor, at most 1, by which to shrink the picture so that it is sharp and free of the noise and
        the artefacts of its compression.
    """

    package: str
    file: str
    sharp_at: float = 1.0

    @property
    def name(self) -> str:
        """The name of the file without its suffix."""
        return Path(self.file).stem

    @property
    def path(self) -> Path | None:
        """Where the file is; None where the package is not installed."""
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin).parent / self.file
        return path if path.exists() else None

    def read(self) -> NDArray[np.float32]:
        """The picture with values in [0, 1], of shape (H, W, 3); a gray picture has three equal channels."""
        if self.path is None:
            raise FileNotFoundError(
                f"The photograph {self.file!r} is part of the package {self.package!r}, which is missing: "
                f"`pip install {_DISTRIBUTIONS.get(self.package, self.package)}`."
            )
        return read_picture(self.path)


_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

TRAINING = (
    Photograph("sklearn", "datasets/images/china.jpg", 0.7),
    Photograph("sklearn", "datasets/images/flower.jpg", 0.8),
    Photograph("sporco", "data/barbara.png", 0.8),
    Photograph("sporco", "data/kodim23.png"),
    Photograph("sporco", "data/monarch.png"),
    Photograph("sporco", "data/sail.png"),
    Photograph("sporco", "data/tulips.png"),
    Photograph("imgaug", "quokka.jpg", 0.6),
    Photograph("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", 0.7),
    Photograph("skimage", "data/motorcycle_left.png"),
    Photograph("skimage", "data/rocket.jpg", 0.7),
    Photograph("skimage", "data/hubble_deep_field.jpg", 0.5),
    Photograph("skimage", "data/retina.jpg", 0.4),
    Photograph("skimage", "data/ihc.png", 0.8),
    Photograph("skimage", "data/brick.png", 0.8),
    Photograph("skimage", "data/grass.png", 0.8),
    Photograph("skimage", "data/gravel.png", 0.8),
    Photograph("skimage", "data/coins.png", 0.7),
    Photograph("skimage", "data/page.png"),
    Photograph("skimage", "data/text.png", 0.7),
    Photograph("skimage", "data/moon.png", 0.7),
)

HELD_OUT = (
    Photograph("skimage", "data/camera.png"),
    Photograph("skimage", "data/astronaut.png"),
    Photograph("skimage", "data/coffee.png"),
    Photograph("skimage", "data/chelsea.png"),
)


def photographs(folder: Path | None = None) -> dict[str, NDArray[np.float32]]:
    """The pictures to train on, by name: those of `TRAINING` and the PNG and JPEG files of a folder.

    Each is shrunk to where it is sharp; those of the folder by 0.7 where they are JPEG files.
    """
    pictures = {photograph.name: _shrink(photograph.read(), photograph.sharp_at) for photograph in TRAINING}
    for path in sorted(folder.iterdir()) if folder is not None else ():
        pictures[path.stem] = _shrink(read_picture(path), 1.0 if path.suffix == ".png" else 0.7)
    return pictures


def held_out(channels: int) -> dict[str, NDArray[np.float32]]:
    """The pictures that are never trained on, of shape (channels, H, W), by name.

    `channels` is 1 or 3; the photograph `camera` is gray and left out of the colour pictures.
    """
    if channels == 1:
        return {photograph.name: (photograph.read() @ LUMA)[None] for photograph in HELD_OUT}
    return {
        photograph.name: np.moveaxis(photograph.read(), -1, 0).copy()
        for photograph in HELD_OUT
        if photograph.name != "camera"
    }


def read_picture(path: Path) -> NDArray[np.float32]:
    """The picture in a file, with values in [0, 1] and shape (H, W, 3)."""
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float32) / np.float32(255)


def resize(picture: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The picture of shape (H, W, C) at another size, by Lanczos interpolation with antialiasing."""
    from PIL import Image

    planes = [Image.fromarray(np.ascontiguousarray(picture[..., c])) for c in range(picture.shape[-1])]
    sized = [np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS)) for plane in planes]
    return np.clip(np.stack(sized, axis=-1), 0, 1).astype(np.float32)


def _shrink(picture: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    if factor == 1:
        return picture
    height, width = (round(size * factor) for size in picture.shape[:2])
    return resize(picture, height, width)
