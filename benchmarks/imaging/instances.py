"""The problems: a photograph, blurred or not, with noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What distinguishes a problem from another.

    Attributes
    ----------
    spread : float or None
        Standard deviation of the Gaussian blur in pixels; None for no blur.
    noise : float
        Standard deviation of the noise; the photograph has values in [0, 1].
    weight : float
        The weight lambda of the total variation.
    """

    spread: float | None
    noise: float
    weight: float


# At these weights the peak signal-to-noise ratio rises by 3 to 5 dB: the edges stay, the texture goes.
PROBLEMS = {
    "denoise": Setting(spread=None, noise=0.05, weight=0.05),
    "deblur": Setting(spread=2.0, noise=0.01, weight=0.002),
}


@dataclass(frozen=True, eq=False)
class Instance:
    r"""One image: minimise :math:`\tfrac12\|k * x - y\|^2 + \lambda \sum_i \|(Dx)_i\|_2` over `x`.

    Attributes
    ----------
    problem : str
        The name in `PROBLEMS`.
    truth, data : ndarray, (size, size)
        The photograph and the observation y.
    kernel : ndarray or None
        The kernel k, its middle element the origin; None where nothing is blurred.
    weight : float
        lambda.
    """

    problem: str
    truth: Array
    data: Array
    kernel: Array | None
    weight: float

    @property
    def size(self) -> int:
        """Pixels along an edge."""
        return len(self.data)

    @cached_property
    def transfer(self) -> NDArray[np.complex128]:
        """The eigenvalues of the blur: its kernel's half transform, (size, size // 2 + 1)."""
        if self.kernel is None:
            return np.ones((self.size, self.size // 2 + 1), dtype=complex)
        return transfer_function(self.kernel, self.size)

    def blurred(self, x: Array) -> Array:
        """k * x."""
        return x if self.kernel is None else np.fft.irfft2(self.transfer * np.fft.rfft2(x), s=x.shape)

    def objective(self, x: Array) -> float:
        """The objective at `x`, in double precision."""
        residual = self.blurred(np.asarray(x, dtype=np.float64)) - self.data
        return float(0.5 * np.sum(residual**2) + self.weight * total_variation(x))

    def psnr(self, x: Array) -> float:
        """Peak signal-to-noise ratio of `x` in dB."""
        return float(-10 * np.log10(np.mean((x - self.truth) ** 2)))


def instance(problem: str, size: int) -> Instance:
    """The problem of that name on a photograph of `size` x `size` pixels; the same at every call."""
    setting = PROBLEMS[problem]
    truth = photograph(size)
    kernel = None if setting.spread is None else gaussian(setting.spread)
    clean = Instance(problem, truth, truth, kernel, setting.weight).blurred(truth)
    noise = setting.noise * np.random.default_rng(size).standard_normal(truth.shape)
    return Instance(problem, truth, clean + noise, kernel, setting.weight)


def photograph(size: int) -> Array:
    """scikit-image's photograph of a cameraman, with values in [0, 1]."""
    from skimage import data, transform

    camera = data.camera() / 255.0
    if camera.shape == (size, size):
        return camera
    return np.clip(transform.resize(camera, (size, size), order=3, anti_aliasing=size < len(camera)), 0, 1)


def gaussian(spread: float, width: int = 9) -> Array:
    """A Gaussian kernel of `width` x `width` pixels with sum 1."""
    profile = np.exp(-0.5 * ((np.arange(width) - width // 2) / spread) ** 2)
    kernel = np.outer(profile, profile)
    return kernel / kernel.sum()


def transfer_function(kernel: Array, size: int) -> NDArray[np.complex128]:
    """The half transform of a kernel with its middle element at the origin; it wraps around small images."""
    padded = np.zeros((size, size))
    rows, columns = (np.arange(width) - width // 2 for width in kernel.shape)
    np.add.at(padded, np.ix_(rows % size, columns % size), kernel)
    return np.fft.rfft2(padded)


def total_variation(x: Array) -> float:
    """The sum of the Euclidean norms of circular forward differences."""
    x = np.asarray(x, dtype=np.float64)
    return float(np.hypot(np.roll(x, -1, 0) - x, np.roll(x, -1, 1) - x).sum())


def blur_matrix(kernel: Array, size: int) -> Any:
    """The circular convolution as a sparse matrix on images in C order."""
    pixels = np.arange(size * size).reshape(size, size)
    shifted = [
        (tap, np.roll(pixels, (a - kernel.shape[0] // 2, b - kernel.shape[1] // 2), (0, 1)).ravel())
        for (a, b), tap in np.ndenumerate(kernel)
    ]
    return sum(tap * sp.csr_array((np.ones(size**2), (pixels.ravel(), at))) for tap, at in shifted)


def difference_matrices(size: int) -> tuple[Any, Any]:
    """The circular forward differences along rows and columns, on images in C order."""
    wrap = sp.diags_array([np.ones(size - 1), np.ones(1)], offsets=[1, 1 - size])
    step = wrap - sp.eye_array(size)
    return sp.kron(step, sp.eye_array(size), "csr"), sp.kron(sp.eye_array(size), step, "csr")
