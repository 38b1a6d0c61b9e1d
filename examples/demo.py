"""Deblur a photograph with a learned prior, and with total variation.

    minimize  sum of squares of (k * x - y) / (2 noise^2)  +  deep_prior(x)    subject to  x >= 0

is written in plain CVXPY: `conv` is the blur, and `deep_prior` stands for the denoiser that comes with the
library. NABLA_ADMM says how it splits the problem, and solves it in a few calls of the denoiser.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cvxpy as cp
import numpy as np
import torch
from show import Image, draw, photograph, psnr

import cvxprox

KERNEL = np.ones((9, 9)) / 81


def blurred(truth: Image, noise: float, seed: int = 0) -> Image:
    """What the camera saw."""
    sharp = cvxprox.conv(cp.Constant(truth), KERNEL)
    return sharp.value + noise * np.random.default_rng(seed).standard_normal(truth.shape)


def with_prior(y: Image, noise: float) -> tuple[cp.Problem, cp.Variable]:
    """The likelihood of the data and the prior of the denoiser."""
    x = cp.Variable(y.shape, name="x")
    fit = cp.sum_squares(cvxprox.conv(x, KERNEL) - y) / (2 * noise**2)
    return cp.Problem(cp.Minimize(fit + cvxprox.deep_prior(x)), [x >= 0]), x


def with_tv(y: Image, noise: float, weight: float = 0.1) -> tuple[cp.Problem, cp.Variable]:
    """The same with total variation."""
    x = cp.Variable(y.shape, name="x")
    fit = 0.5 * cp.sum_squares(cvxprox.conv(x, KERNEL) - y)
    return cp.Problem(cp.Minimize(fit + weight * noise * cvxprox.tv(x)), [x >= 0]), x


def restored(problem: cp.Problem, x: cp.Variable, **options: float) -> tuple[Image, float]:
    """The solution, and the seconds with CVXPY's compilation."""
    start = time.perf_counter()
    problem.solve(solver="NABLA_ADMM", **options)
    return x.value, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    parser.add_argument("--noise", type=float, default=2.55 / 255, help="standard deviation")
    parser.add_argument("--out", type=Path, default=Path("out/demo.png"))
    args = parser.parse_args()
    torch.set_num_threads(1)

    truth = photograph("camera", args.size)
    y = blurred(truth, args.noise)
    deep, x = with_prior(y, args.noise)
    smooth, z = with_tv(y, args.noise)
    print(cvxprox.explain(deep, measure=False), "\n")

    images, times = {"blurred and noisy": y}, {"blurred and noisy": 0.0}
    for name, problem, variable, options in (
        ("total variation", smooth, z, {"eps_abs": 1e-4, "eps_rel": 1e-4}),
        ("deep prior", deep, x, {}),
    ):
        images[name], times[name] = restored(problem, variable, **options)
    print(f"{'':<20}{'PSNR':>9}{'time':>9}   status")
    statuses = {"total variation": smooth.status, "deep prior": deep.status}
    for name, image in images.items():
        print(f"{name:<20}{psnr(image, truth):6.2f} dB{times[name]:7.2f} s   {statuses.get(name, '')}")
    draw(args.out, truth, images)


if __name__ == "__main__":
    main()
