"""Fill in a photograph from three kinds of knowledge, one constraint each.

Some pixels are known exactly (equations), some with noise of a known size (a second-order cone), and of all
together the mean is known (one more equation). Values lie between 0 and 1 (bounds). Of all the images that
agree, the one of least total variation is wanted.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import torch
from show import Image, arguments, draw, photograph, psnr

import cvxprox

NOISE = 0.1


def scene(size: int, seed: int = 0) -> tuple[Image, Image, Image, Image]:
    """The truth, the masks of exact and of noisy pixels, and the measurements (0 where there are none)."""
    rng = np.random.default_rng(seed)
    truth = photograph("coffee", size)
    draws = rng.random(truth.shape)
    exact, noisy = (draws < 0.2).astype(float), ((draws >= 0.2) & (draws < 0.5)).astype(float)
    y = exact * truth + noisy * (truth + NOISE * rng.standard_normal(truth.shape))
    return truth, exact, noisy, y


def inpainting(exact: Image, noisy: Image, y: Image, mean: float) -> tuple[cp.Problem, cp.Variable]:
    """Total variation under everything that is known."""
    x = cp.Variable(y.shape, name="x")
    radius = NOISE * np.sqrt(noisy.sum())
    constraints = [
        cvxprox.subsample(x, mask=exact) == y[exact == 1],
        cp.norm(cvxprox.subsample(x, mask=noisy) - y[noisy == 1]) <= radius,
        cp.mean(x) == mean,
        x >= 0,
        x <= 1,
    ]
    return cp.Problem(cp.Minimize(cvxprox.tv(x, boundary="reflect")), constraints), x


def main() -> None:
    args = arguments(__doc__, "inpaint", size=160)
    torch.set_num_threads(1)
    truth, exact, noisy, y = scene(args.size)
    problem, x = inpainting(exact, noisy, y, truth.mean())
    print(cvxprox.explain(problem, measure=False), "\n")
    problem.solve(solver="NABLA_ADMM", eps_abs=1e-2, eps_rel=1e-2)  # the eye sees no more
    stats = problem.solver_stats
    print(f"{problem.status} after {stats.num_iters} iterations, {stats.solve_time:.1f} s")
    names = ("exact pixels", "noisy pixels", "mean", "x >= 0", "x <= 1")
    for name, constraint in zip(names, problem.constraints, strict=True):
        print(f"  {name:<13} violated by {np.max(constraint.violation()):.1e}")
    print(f"PSNR {psnr(y, truth):.2f} dB before, {psnr(x.value, truth):.2f} dB after")
    draw(args.out, truth, {"20% exact, 30% noisy": y, "least total variation": x.value})


if __name__ == "__main__":
    main()
