"""Train a deblurrer of six iterations from end to end.

A small network learns to denoise, is plugged into the problem

    minimize  sum of squares of (k * x - y) / (2 noise^2)  +  deep_prior(x)

and six iterations of ADMM deblur photographs with it. Then the network and the noise level that it is told in
each iteration are trained for what comes out at the end, through all iterations.
"""

from __future__ import annotations

import cvxpy as cp
import torch
from learning import (
    BATCH,
    KERNEL,
    NOISE,
    SEEN,
    SIDE,
    UNSEEN,
    camera,
    denoiser,
    mean_psnr,
    patches,
    photographs,
    train,
)
from show import arguments, draw
from torch import Tensor, nn

import cvxprox

ITERATIONS = 6


def problem(shape: tuple[int, ...], network: nn.Module) -> cp.Problem:
    """For images of a shape (N, H, W)."""
    x, y = cp.Variable(shape, name="x"), cp.Parameter(shape, name="y")
    fit = cp.sum_squares(cvxprox.conv(x, KERNEL, axes=(1, 2)) - y) / (2 * NOISE**2)
    prior = cvxprox.deep_prior(x, network, trainable=True, layout="NHW", strength=1.0, self_ensemble=False)
    return cp.Problem(cp.Minimize(fit + prior))


def unrolled(network: nn.Module) -> cvxprox.CompiledSolver:
    """Six iterations for batches of patches; network and noise levels are parameters of the module."""
    solver = cvxprox.compile(problem((BATCH, SIDE, SIDE), network))
    return cvxprox.specialize(solver, "unroll", max_iter=ITERATIONS, shared=False)


def restored(solver: cvxprox.CompiledSolver, network: nn.Module, seen: Tensor) -> Tensor:
    """Images of any size, by the iterations of the solver."""
    mode = cvxprox.differentiation.Unroll(ITERATIONS, shared=False)
    other = cvxprox.compile(problem(seen.shape, network), differentiation=mode, schedule=solver.schedule)
    with torch.no_grad():
        return other.solve({"y": seen})


def with_tv(seen: Tensor) -> Tensor:
    """The images deblurred by total variation, for comparison."""
    x = cp.Variable(seen.shape, name="x")
    fit = cp.sum_squares(cvxprox.conv(x, KERNEL, axes=(1, 2)) - seen.double().numpy()) / 2
    prior = 0.1 * NOISE * cvxprox.tv(x, axes=(1, 2))
    cp.Problem(cp.Minimize(fit + prior)).solve(solver="NABLA_ADMM", eps_abs=1e-3, eps_rel=1e-3)
    return torch.tensor(x.value)


def main() -> None:
    args = arguments(__doc__, "learn_unrolled", size=128)
    torch.set_num_threads(1)
    clean, sharp = patches(SEEN, 12), photographs(UNSEEN, args.size)
    seen, network = camera(sharp, seed=1), denoiser(clean)
    solver = unrolled(network)
    images = {"blurred and noisy": seen, "total variation": with_tv(seen)}
    images["untrained"] = restored(solver, network, seen)
    history = train(solver, network, clean, epochs=20)
    images["trained"] = restored(solver, network, seen)
    for title, batch in images.items():
        print(f"{title}: {mean_psnr(batch, sharp):.2f} dB on average over {len(sharp)} unseen photographs")
    draw(args.out, sharp[0].numpy(), {title: batch[0].numpy() for title, batch in images.items()})
    history.plot(args.out.with_stem(f"{args.out.stem}_curve"))


if __name__ == "__main__":
    main()
