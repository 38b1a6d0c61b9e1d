"""Deblur a colour photograph: a shaken camera, a learned prior, and no negative light.

The first example of the paper on the ∇-Prox language,

    data_term = sum_squares(conv(x, psf) - b);  reg_term = deep_prior(x);  reg_term2 = nonneg(x)

is a CVXPY problem here: the terms add up to an objective, and a constraint is a constraint.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import torch
from scipy import ndimage
from show import Image, arguments, draw, photograph, psnr

import cvxprox

NOISE = 2.55 / 255


def shake(size: int = 17) -> Image:
    """The track of a camera that moves while the shutter is open."""
    t = np.linspace(-1, 1, 400)
    rows, columns = 6 * t + 1.5 * np.sin(5 * t), 5 * t**2 - 3 * t - 2
    track, _, _ = np.histogram2d(rows, columns, bins=size, range=2 * [[-size / 2, size / 2]])
    psf = ndimage.gaussian_filter(track, 0.5)
    return psf / psf.sum()


def blur(x: cp.Expression, psf: Image) -> cp.Expression:
    """Rows and columns are the first two axes of x."""
    return cvxprox.conv(x, psf, axes=(0, 1))


def deblurred(b: Image, psf: Image, noise: float = NOISE) -> tuple[Image, cp.Problem]:
    """The photograph, by ADMM with the denoiser of the library."""
    x = cp.Variable(b.shape, name="x")
    data_term = cp.sum_squares(blur(x, psf) - b) / (2 * noise**2)
    reg_term = cvxprox.deep_prior(x, layout="HWC")
    problem = cp.Problem(cp.Minimize(data_term + reg_term), [x >= 0])
    problem.solve(solver="NABLA_ADMM")
    return x.value, problem


def main() -> None:
    args = arguments(__doc__, "deblur")
    torch.set_num_threads(1)
    truth, psf = photograph("astronaut", args.size, colour=True), shake()
    rng = np.random.default_rng(0)
    b = blur(cp.Constant(truth), psf).value + NOISE * rng.standard_normal(truth.shape)
    x, problem = deblurred(b, psf)
    stats = problem.solver_stats
    print(f"{problem.status} after {stats.num_iters} iterations, {stats.solve_time:.1f} s")
    print(f"PSNR {psnr(b, truth):.2f} dB before, {psnr(x, truth):.2f} dB after; least value {x.min():.3f}")
    draw(args.out, truth, {"blurred, noise 2.55/255": b, "deep prior, x ≥ 0": x})


if __name__ == "__main__":
    main()
