"""See without phases: an image from the magnitudes of Fourier transforms alone.

Light is measured as intensity, and its phase is lost. Here a known random pattern of plus and minus ones
changes the light before each of four exposures (coded diffraction). "The magnitude is b" is not a convex
constraint, so that no solver can promise the global optimum: the status is "fixed_point", and magnitudes that
are met tell that the image has been found.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import torch
from show import Image, arguments, draw, photograph, psnr

import cvxprox

EXPOSURES = 4


def patterns(size: int, seed: int = 0) -> list[Image]:
    """The patterns, of plus and minus ones."""
    rng = np.random.default_rng(seed)
    return [rng.choice([-1.0, 1.0], (size, size)) for _ in range(EXPOSURES)]


def transform(x: cp.Expression, pattern: Image) -> cp.Expression:
    """What arrives at the sensor: complex numbers, of which it sees the magnitudes."""
    return cvxprox.fft2(cp.multiply(pattern, x), norm="ortho")


def retrieval(masks: list[Image], magnitudes: list[Image]) -> tuple[cp.Problem, cp.Variable]:
    """An image between 0 and 1 with these magnitudes."""
    x = cp.Variable(masks[0].shape, name="x")
    pairs = zip(masks, magnitudes, strict=True)
    terms = [cvxprox.phase_retrieval(transform(x, mask), b) for mask, b in pairs]
    return cp.Problem(cp.Minimize(sum(terms)), [x >= 0, x <= 1]), x


def main() -> None:
    args = arguments(__doc__, "phase_retrieval", size=128)
    torch.set_num_threads(1)
    truth, masks = photograph("camera", args.size), patterns(args.size)
    magnitudes = [np.abs(transform(cp.Constant(truth), mask).value) for mask in masks]
    problem, x = retrieval(masks, magnitudes)
    problem.solve(solver="NABLA_ADMM", eps_abs=1e-3, eps_rel=1e-3, max_iter=1000)
    stats = problem.solver_stats
    print(f"{problem.status} after {stats.num_iters} iterations, {stats.solve_time:.1f} s")
    found = [np.abs(transform(x, mask).value) for mask in masks]
    miss = np.linalg.norm(np.subtract(found, magnitudes)) / np.linalg.norm(magnitudes)
    print(f"magnitudes are met up to {miss:.1e}; PSNR {psnr(x.value, truth):.2f} dB")
    seen = magnitudes[0][: args.size // 2, : args.size // 2]
    draw(args.out, truth, {"a corner of an exposure": seen / seen.mean() / 4, "from magnitudes": x.value})


if __name__ == "__main__":
    main()
