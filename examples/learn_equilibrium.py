"""Train a plug-and-play deblurrer at its fixed point, with the memory of a single iteration.

The iterations of `learn_unrolled.py` now run until they change nothing any more. What they reach does not
depend on the way, and Jacobian-free backpropagation differentiates one iteration at the fixed point, so that
the memory does not grow with their number. Besides the network the weight of the data is learned.
"""

from __future__ import annotations

import cvxpy as cp
import torch
from learn_unrolled import problem, restored, unrolled
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

SIGMA = 20 / 255
"""The noise level that the network is told."""


def equilibrium(
    shape: tuple[int, ...], network: nn.Module, weight: cvxprox.Parameter
) -> cvxprox.CompiledSolver:
    """The fixed point for images of a shape (N, H, W)."""
    x, y = cp.Variable(shape, name="x"), cp.Parameter(shape, name="y")
    fit = weight * cp.sum_squares(cvxprox.conv(x, KERNEL, axes=(1, 2)) - y) / (2 * NOISE**2)
    prior = cvxprox.deep_prior(x, network, trainable=True, layout="NHW", sigma=SIGMA)
    solver = cvxprox.compile(cp.Problem(cp.Minimize(fit + prior)), eps_abs=1e-3, eps_rel=1e-3)
    return cvxprox.specialize(solver, "jfb", refine=0)


def kept(solver: cvxprox.CompiledSolver, y: Tensor) -> float:
    """MB of tensors that a solve keeps for its backward pass."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        solution = solver.solve({"y": y})
    assert solution.requires_grad
    return sum(sizes.values()) / 1e6


def compare(solver: cvxprox.CompiledSolver, mode: str, y: Tensor, **options: float) -> str:
    """The memory for numbers of iterations."""
    sizes = {n: kept(cvxprox.specialize(solver, mode, max_iter=n, **options), y) for n in (5, 10, 20, 40)}
    return ", ".join(f"{size:.1f} MB for {n} iterations" for n, size in sizes.items())


def main() -> None:
    args = arguments(__doc__, "learn_equilibrium", size=128)
    torch.set_num_threads(1)
    clean, sharp = patches(SEEN, 12), photographs(UNSEEN, args.size)
    seen, batch = camera(sharp, seed=1), (BATCH, SIDE, SIDE)
    images = {"blurred and noisy": seen}

    network = denoiser(clean)
    solver = unrolled(network)
    train(solver, network, clean, epochs=12)
    images["unrolled"] = restored(solver, network, seen)

    network = denoiser(clean)
    weight = cvxprox.Parameter(value=nn.Parameter(torch.tensor(1.0)), pos=True, name="weight")
    solver, larger = (equilibrium(shape, network, weight) for shape in (batch, tuple(sharp.shape)))
    with torch.no_grad():
        images["fixed point, untrained"] = larger.solve({"y": seen})
    history = train(solver, network, clean, epochs=12)
    with torch.no_grad():
        images["fixed point, trained"] = larger.solve({"y": seen})
    for title, found in images.items():
        print(f"{title}: {mean_psnr(found, sharp):.2f} dB on average over {len(sharp)} unseen photographs")

    y, six = camera(clean[:BATCH], seed=2), cvxprox.compile(problem(batch, network))
    print("kept by unrolling:", compare(six, "unroll", y))
    print("kept at the fixed point:", compare(solver, "jfb", y, refine=0, eps_abs=1e-9, eps_rel=1e-9))
    draw(args.out, sharp[0].numpy(), {title: found[0].numpy() for title, found in images.items()})
    history.plot(args.out.with_stem(f"{args.out.stem}_curve"))


if __name__ == "__main__":
    main()
