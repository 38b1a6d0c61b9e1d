"""Restore a photograph of which 40% of the pixels are missing and the others are noisy.

    minimize  lam/2 * sum of squares over the known pixels of (x - y)  +  TV(x)   subject to  0 <= x <= 1

is written in plain CVXPY and solved by NABLA_ADMM, which prints how it splits the problem and how it
converges; then the same model is timed under CVXPY's default solver. Writes out/demo.png.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cvxpy as cp
import matplotlib
import numpy as np
from numpy.typing import NDArray
from skimage import data, transform

import cvxprox  # noqa: F401  registers NABLA_ADMM with CVXPY

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Image = NDArray[np.float64]


def scene(size: int, missing: float, noise: float, seed: int = 0) -> tuple[Image, Image, Image]:
    """The photograph, the mask of known pixels, and what the camera saw of these."""
    rng = np.random.default_rng(seed)
    original = transform.resize(data.camera() / 255, (size, size), anti_aliasing=True)
    known = (rng.random((size, size)) >= missing).astype(float)
    noisy = np.clip(original + noise * rng.standard_normal((size, size)), 0, 1)
    return original, known, known * noisy


def model(known: Image, observed: Image, lam: float) -> tuple[cp.Problem, cp.Variable]:
    """The restoration problem and its unknown image."""
    x = cp.Variable(observed.shape, name="x")
    fit = cp.sum_squares(cp.multiply(known, x) - observed)
    return cp.Problem(cp.Minimize(0.5 * lam * fit + cp.tv(x)), [x >= 0, x <= 1]), x


def psnr(image: Image, original: Image) -> float:
    """Peak signal-to-noise ratio in decibels."""
    return float(-10 * np.log10(np.mean((image - original) ** 2)))


def timed(problem: cp.Problem, **options: object) -> float:
    """Seconds for CVXPY's compilation and the solver together."""
    start = time.perf_counter()
    problem.solve(**options)
    return time.perf_counter() - start


def draw(path: Path, pictures: dict[str, Image], history: list[dict[str, float]]) -> None:
    """Three photographs and the residuals, side by side."""
    figure, axes = plt.subplots(1, 4, figsize=(17, 4.6), width_ratios=[1, 1, 1, 1.15], layout="constrained")
    for axis, (title, picture) in zip(axes, pictures.items(), strict=False):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title, fontsize=12)
        axis.set_axis_off()
    axis = axes[-1]
    iterations = [record["iteration"] for record in history]
    for name, colour in (("primal", "#0b6e99"), ("dual", "#d9730d"), ("gap", "#8a8a8a")):
        residuals = [max(abs(record[name]), 1e-16) for record in history]
        axis.semilogy(iterations, residuals, color=colour, linewidth=1.8, label=name)
    axis.set(title="Residuals", xlabel="iteration")
    axis.grid(alpha=0.25, which="major")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def compare(size: int, missing: float, noise: float, lam: float, eps: float) -> None:
    """Print the model's times on a smaller image: at 256x256 the default solver needs patience."""
    _, known, observed = scene(size, missing, noise)
    print(f"\nThe same model at {size}x{size}, compilation included:")
    for label, options in (
        ("CVXPY's default solver", {}),
        ("NABLA_ADMM, default accuracy", {"solver": "NABLA_ADMM"}),
        (f"NABLA_ADMM, eps {eps:g}", {"solver": "NABLA_ADMM", "eps_abs": eps, "eps_rel": eps}),
    ):
        problem, _ = model(known, observed, lam)
        seconds = timed(problem, **options)
        name = problem.solver_stats.solver_name
        print(f"  {label:<29} ({name:<10}) {seconds:7.2f} s   objective {problem.value:.6f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    parser.add_argument("--compare", type=int, nargs="*", default=[64, 128], help="sizes of the comparison")
    parser.add_argument("--missing", type=float, default=0.4, help="fraction of the pixels")
    parser.add_argument("--noise", type=float, default=0.05, help="standard deviation")
    parser.add_argument("--lam", type=float, default=40.0, help="weight of the known pixels")
    parser.add_argument("--eps", type=float, default=1e-4, help="accuracy: enough for 8-bit pixels")
    parser.add_argument("--out", type=Path, default=Path("out/demo.png"))
    args = parser.parse_args()

    original, known, observed = scene(args.size, args.missing, args.noise)
    problem, x = model(known, observed, args.lam)
    seconds = timed(problem, solver="NABLA_ADMM", eps_abs=args.eps, eps_rel=args.eps, verbose=True)
    restored = x.value

    before, after = psnr(observed, original), psnr(restored, original)
    print(f"\n{args.size}x{args.size}, {args.missing:.0%} missing, noise {args.noise:g}: {problem.status}")
    print(f"PSNR {before:.2f} dB before, {after:.2f} dB after; {seconds:.2f} s with compilation")

    pictures = {
        f"Seen: {args.missing:.0%} missing, noisy ({before:.1f} dB)": observed,
        f"Restored in {seconds:.1f} s ({after:.1f} dB)": restored,
        "Original": original,
    }
    draw(args.out, pictures, problem.solver_stats.extra_stats["history"])
    print(f"Pictures: {args.out}")
    for size in args.compare:
        compare(size, args.missing, args.noise, args.lam, args.eps)


if __name__ == "__main__":
    main()
