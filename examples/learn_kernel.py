"""Learn the blur of a camera by looking at what deblurring makes of its pictures.

    x(k) = argmin  1/2 sum of squares of (k * x - y)  +  weight * tv(x)

is a function of the kernel k. Its derivative comes from the optimality conditions; it says how the restored
pictures change with k. Adam changes k until they are as near as possible to the sharp ones.
"""

from __future__ import annotations

from functools import partial

import cvxpy as cp
import numpy as np
import torch
from scipy import ndimage
from show import Image, arguments, draw, photograph, psnr
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import cvxprox

NOISE = 2.55 / 255
WIDTH = 9
SEEN = ("astronaut", "coffee", "brick", "chelsea", "rocket", "gravel", "coins", "page")


def true_kernel() -> Image:
    """An astigmatic lens."""
    rows, columns = np.meshgrid(np.arange(-4, 5), np.arange(-4, 5), indexing="ij")
    u, v = (rows + columns) / np.sqrt(2), (rows - columns) / np.sqrt(2)
    psf = np.exp(-(u**2) / 10 - v**2 / 2)
    return psf / psf.sum()


def camera(truth: Image, seed: int) -> Image:
    """The lens and a noisy sensor."""
    seen = ndimage.convolve(truth, true_kernel(), mode="wrap")
    return seen + NOISE * np.random.default_rng(seed).standard_normal(truth.shape)


def deconvolution(size: int) -> cvxprox.CompiledSolver:
    """Deblurring by total variation, for images y and kernels k to be given."""
    x = cp.Variable((size, size), name="x")
    y, k = cp.Parameter((size, size), name="y"), cp.Parameter((WIDTH, WIDTH), name="k")
    fit = cp.sum_squares(cvxprox.conv(x, k) - y) / 2
    problem = cp.Problem(cp.Minimize(fit + 0.1 * NOISE * cvxprox.tv(x)))
    return cvxprox.compile(problem, eps_abs=1e-3, eps_rel=1e-3)


class Deblurring(nn.Module):
    """Deblurring with a kernel that is being learned: nonnegative and of sum 1, at first a round blob."""

    def __init__(self, size: int) -> None:
        super().__init__()
        rows, columns = np.meshgrid(np.arange(-4, 5), np.arange(-4, 5), indexing="ij")
        self.logits = nn.Parameter(torch.tensor(-(rows**2 + columns**2) / 8.0))
        self.solver = deconvolution(size)

    def kernel(self) -> Tensor:
        return self.logits.flatten().softmax(0).reshape(WIDTH, WIDTH)

    def forward(self, y: Tensor) -> Tensor:
        return self.solver.solve({"y": y, "k": self.kernel()})


def pairs(names: tuple[str, ...], size: int) -> tuple[Tensor, Tensor]:
    """Sharp photographs, and what the camera makes of them."""
    sharp = np.stack([photograph(name, size) for name in names])
    seen = np.stack([camera(image, seed) for seed, image in enumerate(sharp)])
    return torch.tensor(sharp), torch.tensor(seen)


def squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    sharp, seen = batch
    return (model(seen) - sharp).square().mean()


def learned(data: tuple[Tensor, Tensor], epochs: int = 30) -> tuple[Deblurring, cvxprox.History]:
    """The model after a training on these pairs."""
    model = Deblurring(data[0].shape[-1])
    slower = partial(CosineAnnealingLR, T_max=epochs)
    history = cvxprox.train(
        model, squared_error, data, epochs=epochs, batch_size=2, learning_rate=0.2, schedule=slower
    )
    return model, history


def report(title: str, kernel: Image) -> None:
    """How near a kernel is to the true one."""
    truth = true_kernel()
    correlation = np.corrcoef(kernel.ravel(), truth.ravel())[0, 1]
    error = np.linalg.norm(kernel - truth) / np.linalg.norm(truth)
    print(f"{title}: correlation with the true kernel {correlation:.3f}, relative error {error:.3f}")


def main() -> None:
    args = arguments(__doc__, "learn_kernel", size=128)
    torch.set_num_threads(1)
    model, history = learned(pairs(SEEN, 64))
    first, found = Deblurring(16).kernel().detach(), model.kernel().detach()
    report("before", first.numpy())
    report("after ", found.numpy())

    truth = photograph("camera", args.size)
    y = camera(truth, seed=99)
    images, solver = {"seen by the camera": y}, deconvolution(args.size)
    kernels = {"first kernel": first, "learned kernel": found, "true kernel": torch.tensor(true_kernel())}
    for title, kernel in kernels.items():
        images[f"with the {title}"] = solver.solve({"y": y, "k": kernel}).numpy()
    print(
        f"PSNR of an unseen photograph: {', '.join(f'{k} {psnr(v, truth):.2f}' for k, v in images.items())}"
    )
    draw(args.out, truth, images | {k: (v / v.max()).numpy() for k, v in kernels.items()})
    history.plot(args.out.with_stem(f"{args.out.stem}_curve"))


if __name__ == "__main__":
    main()
