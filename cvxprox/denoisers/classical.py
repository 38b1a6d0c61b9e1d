"""Denoisers that are not networks, from scikit-image and bm3d, as functions of tensors.

Their default settings are the best ones that `benchmarks.denoising` finds for gray images and 25/255.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [0.5, -1, 0.5]]) / np.sqrt([[3.0], [2.0], [1.5]])
"""An orthonormal basis of colours: gray, red against blue, green against both."""


@dataclass(frozen=True)
class Classical:
    r"""A denoiser :math:`f(x, \sigma)` that works image by image on the CPU, through NumPy.

    It takes and returns what `Denoiser` does, with any number of channels, but has no derivative: it raises
    where one would be recorded.

    Attributes
    ----------
    name : str
        What it is called in messages.
    denoise : callable
        The map from an image of shape (H, W, C) and a positive noise level to an image of that shape.
    """

    name: str
    denoise: Callable[[Array, float], Array]

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise RuntimeError(
                f"The denoiser {self.name!r} has no derivative, and `x` requires a gradient: call it under "
                "`torch.no_grad()`, or take the denoiser 'default'."
            )
        levels = torch.as_tensor(sigma, dtype=torch.float64, device="cpu").expand(len(x)).tolist()
        images = x.detach().movedim(1, -1).to("cpu", torch.float64).numpy()
        clean = [self._image(image, level) for image, level in zip(images, levels, strict=True)]
        return torch.from_numpy(np.stack(clean)).movedim(-1, 1).to(x)

    def _image(self, image: Array, level: float) -> Array:
        return self.denoise(image, level).reshape(image.shape) if level > 0 else image


def tv() -> Classical:
    """Total variation (Chambolle 2004), with a weight in proportion to the noise level."""
    _require("tv", "skimage", "scikit-image")
    return Classical("tv", chambolle)


def nlm() -> Classical:
    """Non-local means (Buades, Coll and Morel 2005)."""
    _require("nlm", "skimage", "scikit-image")
    return Classical("nlm", non_local_means)


def wavelet() -> Classical:
    """Soft thresholding of wavelet coefficients by BayesShrink (Chang, Yu and Vetterli 2000)."""
    _require("wavelet", "skimage", "scikit-image")
    _require("wavelet", "pywt", "PyWavelets")
    return Classical("wavelet", bayes_shrink)


def bm3d() -> Classical:
    """BM3D (Dabov, Foi, Katkovnik and Egiazarian 2007); the licence of `bm3d` is non-commercial."""
    _require("bm3d", "bm3d", "bm3d")
    return Classical("bm3d", _bm3d)


def chambolle(image: Array, sigma: float, weight: float = 0.8) -> Array:
    """Total variation, with the weight in units of the noise level."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight=weight * sigma, eps=1e-5, max_num_iter=300, channel_axis=-1)


def non_local_means(
    image: Array, sigma: float, cut_off: float = 0.7, patch: int = 5, distance: int = 6
) -> Array:
    """Non-local means, with the cut-off distance of the patches in units of the noise level."""
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(
        image, patch_size=patch, patch_distance=distance, h=cut_off * sigma, sigma=sigma, channel_axis=-1
    )


def bayes_shrink(image: Array, sigma: float, factor: float = 1.0, wavelet: str = "sym4") -> Array:
    """Soft thresholding of wavelet coefficients for `factor` times the noise level."""
    from skimage.restoration import denoise_wavelet

    # An orthogonal change of colours keeps the noise white, so that one level holds for all channels.
    basis = OPPONENT if image.shape[-1] == 3 else np.eye(image.shape[-1])
    clean = denoise_wavelet(
        image @ basis.T, sigma=factor * sigma, wavelet=wavelet, method="BayesShrink", channel_axis=-1
    )
    return clean @ basis


def _bm3d(image: Array, sigma: float) -> Array:
    import bm3d as package

    if image.shape[-1] == 3:
        return package.bm3d_rgb(image, sigma)
    return np.stack([package.bm3d(image[..., c], sigma) for c in range(image.shape[-1])], axis=-1)


def _require(name: str, module: str, distribution: str) -> None:
    if find_spec(module) is None:
        raise ImportError(
            f"The denoiser {name!r} needs the package {distribution}, which is not installed: "
            f"`pip install {distribution}`."
        )
