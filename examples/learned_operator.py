"""Learn the blur of a camera from a few pairs of pictures, then undo it.

The operator is a torch module: a convolution of which only the size is known. Some steps of Adam fit it to
pairs of a sharp picture and what the camera made of it. `learned_linop` puts the module into a CVXPY problem,
where it is one more linear operator: its adjoint comes from automatic differentiation.
"""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import torch
from scipy import ndimage
from show import Image, arguments, draw, photograph, psnr
from torch import nn

import cvxprox

NOISE = 2.55 / 255


def camera(truth: Image, seed: int) -> Image:
    """An astigmatic lens and a noisy sensor; the model does not know how it works inside."""
    rows, columns = np.meshgrid(np.arange(-4, 5), np.arange(-4, 5), indexing="ij")
    u, v = (rows + columns) / np.sqrt(2), (rows - columns) / np.sqrt(2)
    psf = np.exp(-(u**2) / 10 - v**2 / 2)
    seen = ndimage.convolve(truth, psf / psf.sum(), mode="wrap")
    return seen + NOISE * np.random.default_rng(seed).standard_normal(truth.shape)


def learned(pairs: list[tuple[Image, Image]], steps: int = 200) -> nn.Conv2d:
    """The convolution that best explains the pairs."""
    blur = nn.Conv2d(1, 1, 11, padding="same", padding_mode="circular", bias=False)
    nn.init.constant_(blur.weight, 1 / blur.weight.numel())
    sharp, seen = (
        torch.tensor(np.stack(images), dtype=torch.float32)[:, None] for images in zip(*pairs, strict=True)
    )
    optimiser = torch.optim.Adam(blur.parameters(), lr=3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (blur(sharp) - seen).square().mean()
        loss.backward()
        optimiser.step()
    print(
        f"root of the mean squared error of the learned camera: {loss.item() ** 0.5:.4f} (noise {NOISE:.4f})"
    )
    return blur


def deblurred(y: Image, blur: nn.Module) -> tuple[Image, cp.Problem]:
    """The learned operator and the deep prior; the module wants a channel, so x has one."""
    x = cp.Variable((1, *y.shape), name="x")
    fit = cp.sum_squares(cvxprox.learned_linop(blur, x) - y[None]) / (2 * NOISE**2)
    problem = cp.Problem(cp.Minimize(fit + cvxprox.deep_prior(x, layout="CHW")))
    problem.solve(solver="NABLA_ADMM")
    return x.value[0], problem


def main() -> None:
    args = arguments(__doc__, "learned_operator", size=144)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sharp = [photograph(name, 128) for name in ("astronaut", "coffee", "brick", "gravel")]
    blur = learned([(image, camera(image, seed)) for seed, image in enumerate(sharp)])
    truth = photograph("camera", args.size)
    y = camera(truth, seed=99)
    x, problem = deblurred(y, blur)
    print(f"{problem.status}, {problem.solver_stats.solve_time:.1f} s")
    print(f"PSNR {psnr(y, truth):.2f} dB before, {psnr(x, truth):.2f} dB after")
    draw(args.out, truth, {"seen by the camera": y, "with the learned operator": x})


if __name__ == "__main__":
    main()
