"""Magnetic resonance imaging from a quarter of the measurements.

The scanner measures Fourier coefficients, and time is what they cost. The slice is that of one person if the
package dipy is installed (``pip install --no-deps dipy``). Otherwise it is from the average of many brains
that comes with nilearn: smoother than any single one, it shows how things work and is no test of how well.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cvxpy as cp
import numpy as np
import torch
from numpy.typing import NDArray
from show import Image, arguments, draw, psnr
from skimage import transform

import cvxprox

NOISE = 0.01

ComplexImage = NDArray[np.complex128]


def brain(size: int) -> Image:
    """A slice of a T1-weighted image of the head, with values in [0, 1]."""
    found = find_spec("dipy")
    if found is not None and found.origin is not None:
        whole = np.load(Path(found.origin).parent / "data/files/t1_coronal_slice.npy")[32:224, 32:224]
    else:
        from nilearn import datasets

        volume = datasets.load_mni152_template(resolution=1).get_fdata()
        whole = np.rot90(volume[:, :, 90])[21:-21, 3:-3]
    return transform.resize(whole / whole.max(), (size, size), anti_aliasing=True)


def sampling(size: int, share: float = 0.25, seed: int = 0) -> Image:
    """Which coefficients are measured: the lowest all, of the others fewer the higher they are."""
    rows, columns = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
    radius = np.hypot(rows, columns)
    density = np.where(radius < 0.05, 1e3, np.maximum(1 - radius / 0.75, 1e-3) ** 4)
    rank = np.random.default_rng(seed).random((size, size)) ** (1 / density)
    return (rank >= np.quantile(rank, 1 - share)).astype(float)


def measured(truth: Image, mask: Image, seed: int = 1) -> ComplexImage:
    """The coefficients with noise in their real and imaginary parts; 0 where there are none."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(truth.shape) + 1j * rng.standard_normal(truth.shape)
    return cvxprox.masked_fft(cp.Constant(truth), mask).value + NOISE * mask * noise


def reconstructed(y: ComplexImage, mask: Image, deep: bool) -> tuple[Image, cp.Problem]:
    """With the deep prior, or with total variation."""
    x = cp.Variable(mask.shape, name="x")
    fit = cp.sum_squares(cvxprox.masked_fft(x, mask) - y)
    if deep:
        problem = cp.Problem(cp.Minimize(fit / (2 * NOISE**2) + cvxprox.deep_prior(x)), [x >= 0])
        problem.solve(solver="NABLA_ADMM")
    else:
        problem = cp.Problem(cp.Minimize(0.5 * fit + 0.25 * NOISE * cvxprox.tv(x)), [x >= 0])
        problem.solve(solver="NABLA_ADMM", eps_abs=1e-4, eps_rel=1e-4)
    return x.value, problem


def main() -> None:
    args = arguments(__doc__, "mri", size=192)
    torch.set_num_threads(1)
    truth, mask = brain(args.size), sampling(args.size)
    y = measured(truth, mask)
    images = {"the rest taken as zero": np.fft.ifft2(y, norm="ortho").real}
    for name, deep in (("total variation", False), ("deep prior", True)):
        images[name], problem = reconstructed(y, mask, deep)
        print(f"{name}: {problem.status}, {problem.solver_stats.solve_time:.1f} s")
    for name, image in images.items():
        print(f"{name:<24} {psnr(image, truth):.2f} dB")
    draw(args.out, truth, images, slice(args.size * 3 // 8, args.size * 5 // 8))


if __name__ == "__main__":
    main()
