"""A colour photograph from a sensor that sees one colour at every pixel."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import torch
from scipy import ndimage
from show import Image, arguments, draw, photograph, psnr

import cvxprox

NOISE = 2.55 / 255


def bilinear(y: Image) -> Image:
    """Of every colour the mean of the nearest pixels that have it."""
    rows, columns = np.indices(y.shape) % 2
    weights = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    planes = []
    for seen in ((rows == 0) & (columns == 0), rows != columns, (rows == 1) & (columns == 1)):
        total = ndimage.convolve(seen.astype(float), weights)
        planes.append(ndimage.convolve(seen * y, weights) / total)
    return np.stack(planes, axis=-1)


def demosaicked(y: Image, regulariser: str, noise: float = NOISE) -> tuple[Image, cp.Problem]:
    """With total variation over all channels together, or with the deep prior."""
    x = cp.Variable((*y.shape, 3), name="x")
    fit = cp.sum_squares(cvxprox.mosaic(x, "RGGB") - y)
    if regulariser == "tv":
        # the gradient has the shape (2, H, W, 3): a group is the slopes of all colours at a pixel
        edges = cvxprox.group_norm(cvxprox.grad(x, axes=(0, 1)), axes=(0, 3))
        problem = cp.Problem(cp.Minimize(0.5 * fit + 0.3 * noise * edges))
        problem.solve(solver="NABLA_ADMM", eps_abs=1e-3, eps_rel=1e-3, max_iter=500)
    else:
        prior = cvxprox.deep_prior(x, layout="HWC")
        problem = cp.Problem(cp.Minimize(fit / (2 * noise**2) + prior), [x >= 0, x <= 1])
        problem.solve(solver="NABLA_ADMM")
    return x.value, problem


def main() -> None:
    args = arguments(__doc__, "demosaic")
    torch.set_num_threads(1)
    truth = photograph("chelsea", args.size, colour=True)
    clean = cvxprox.mosaic(cp.Constant(truth), "RGGB").value
    y = clean + NOISE * np.random.default_rng(0).standard_normal(clean.shape)
    images = {"bilinear": bilinear(y)}
    for name, regulariser in (("total variation", "tv"), ("deep prior", "deep")):
        images[name], problem = demosaicked(y, regulariser)
        print(f"{name}: {problem.status}, {problem.solver_stats.solve_time:.1f} s")
    for name, image in images.items():
        print(f"{name:<16} {psnr(image, truth):.2f} dB")
    draw(args.out, truth, images, slice(args.size * 2 // 9, args.size * 3 // 7))


if __name__ == "__main__":
    main()
