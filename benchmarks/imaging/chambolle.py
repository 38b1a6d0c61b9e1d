"""scikit-image's denoiser, whose problem has another boundary, and the optimum of that problem."""

from __future__ import annotations

import numpy as np

from benchmarks.imaging.attempt import Attempt, timed
from benchmarks.imaging.instances import Array, Instance
from benchmarks.imaging.reference import Reference


def solve(problem: Instance, iterations: float, limit: float) -> Attempt:
    """Chambolle's projection by scikit-image, for a number of iterations; it knows no time limit."""
    from skimage.restoration import denoise_tv_chambolle

    found: list[Array] = []

    def call() -> None:
        found.append(
            denoise_tv_chambolle(problem.data, weight=problem.weight, eps=0.0, max_num_iter=int(iterations))
        )

    wall, cpu, failure = timed(call)
    return Attempt(found[0] if found else None, wall, cpu, int(iterations), status=failure or "iterations")


def differences(x: Array) -> Array:
    """Forward differences that are 0 at the end, (2, *x.shape)."""
    return np.stack([np.diff(x, axis=axis, append=np.take(x, [-1], axis)) for axis in (0, 1)])


def differences_adjoint(p: Array) -> Array:
    """The transpose of `differences`."""
    inner = p.copy()
    inner[0, -1], inner[1, :, -1] = 0.0, 0.0
    return -sum(np.diff(inner[axis], axis=axis, prepend=0.0) for axis in (0, 1))


def objective(problem: Instance, x: Array) -> float:
    """``1/2 ||x - y||^2 + lambda TV(x)`` with these differences."""
    x = np.asarray(x, dtype=np.float64)
    return float(0.5 * np.sum((x - problem.data) ** 2) + problem.weight * np.hypot(*differences(x)).sum())


def certify(problem: Instance, gap: float = 1e-6, most: int = 10_000) -> Reference:
    """The optimum by fast gradient projection on the dual problem.

    References
    ----------
    Beck and Teboulle, *Fast Gradient-Based Algorithms for Constrained Total Variation Image Denoising and
    Deblurring Problems* (2009), section 4.
    """
    p = np.zeros((2, *problem.data.shape))
    ahead, t, best, lower = p, 1.0, np.inf, -np.inf
    for k in range(1, most + 1):
        step = ahead + differences(problem.data - differences_adjoint(ahead)) / 8
        last, p = p, step / np.maximum(1.0, np.hypot(*step) / problem.weight)
        t, before = (1 + np.sqrt(1 + 4 * t * t)) / 2, t
        ahead = p + (before - 1) / t * (p - last)
        if k % 100 and k < most:
            continue
        divergence = differences_adjoint(p)
        x = problem.data - divergence
        best = min(best, objective(problem, x))
        lower = max(lower, float(np.vdot(divergence, problem.data) - 0.5 * np.vdot(divergence, divergence)))
        if best - lower <= gap * best:
            break
    return Reference(best, (best - lower) / best, k, problem.psnr(x))
