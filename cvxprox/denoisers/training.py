"""Train the default denoiser: `python -m cvxprox.denoisers.training --channels 1 --out gray.safetensors`.

It takes one thread of a CPU, and the packages that `photographs` names.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .network import Denoiser
from .patches import Patches
from .photographs import held_out, photographs

LARGEST_SIGMA = 55 / 255
"""Noise levels to train for go from 0 to this."""

PEAK_RATE = 1e-3
AVERAGING = 0.999
"""The weights that are kept are exponential averages of those of the iterations, with this factor."""

Progress = Callable[[int], float]
"""The fraction of the training that is over at an iteration; the last one is the first with at least 1."""


def train(
    network: Denoiser, patches: Patches, progress: Progress, generator: torch.Generator
) -> tuple[Denoiser, int]:
    r"""The average of the networks along a run of Adam on the mean absolute error, and its iterations.

    .. math:: \min_\theta\; \mathbb E\, \| D_\theta(u + \sigma n, \sigma) - u \|_1, \qquad
        \sigma = \sigma_{\max}\, t^{1.3},\; t \sim \mathcal U(0, 1),\; n \sim \mathcal N(0, I),

    over clean patches `u`. The learning rate rises over the first 3 per cent of the run and falls to zero
    along a cosine. `network` is changed in place. With a `progress` that counts iterations, the run is
    determined by the generators of `patches` and of the noise.
    """
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99))
    started, iteration, losses = time.monotonic(), 0, 0.0
    while (done := progress(iteration)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(done / 0.03 + 0.01, 1) * (1 + math.cos(math.pi * done)) / 2
        clean = patches.batch(16, 64) if done < 0.6 else patches.batch(8, 96)
        sigma = LARGEST_SIGMA * torch.rand(len(clean), generator=generator) ** 1.3
        noise = torch.randn(clean.shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            denoised = network(clean + sigma[:, None, None, None] * noise, sigma)
        loss = (denoised.float() - clean).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        iteration += 1
        factor = min(AVERAGING, iteration / (iteration + 10))
        for average, current in zip(averaged.parameters(), network.parameters(), strict=True):
            average.lerp_(current, 1 - factor)
        if iteration % 40 == 0 and patches.leaves:
            patches.refresh()
        losses += loss.item()
        if iteration % 1000 == 0:
            elapsed = time.monotonic() - started
            print(
                f"{iteration:6d}  {elapsed:6.0f} s  loss {losses / 1000:.5f}  {_scores(averaged)}", flush=True
            )
            losses = 0.0
    return averaged, iteration


def psnr(estimate: Tensor, truth: Tensor) -> float:
    r"""The peak signal-to-noise ratio :math:`-10 \log_{10} \mathrm{mean}((\hat u - u)^2)` in dB."""
    return -10 * math.log10((estimate - truth).square().mean().item())


def _scores(network: Denoiser) -> str:
    """The PSNR on pieces of the photographs that are held out, at 25/255; nothing depends on it."""
    generator, sigma, texts = torch.Generator().manual_seed(0), 25 / 255, []
    for name, picture in held_out(network.channels).items():
        clean = torch.from_numpy(picture)[None, :, 40:296, 100:356]
        noisy = clean + sigma * torch.randn(clean.shape, generator=generator)
        with torch.inference_mode():
            texts.append(f"{name} {psnr(network(noisy, sigma), clean):.2f}")
    return "  ".join(texts)


def save(network: Denoiser, path: Path, notes: Mapping[str, str]) -> None:
    """Write the weights, rounded to half precision, and the notes as the metadata of a safetensors file."""
    from safetensors.torch import save_file

    weights = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, path, metadata=dict(notes))


def timed(minutes: float) -> Progress:
    """The progress of a run that lasts for `minutes` from now."""
    started = time.monotonic()
    return lambda iteration: (time.monotonic() - started) / (60 * minutes)


def counted(iterations: int) -> Progress:
    """The progress of a run of `iterations` steps."""
    return lambda iteration: iteration / iterations


def warm_start(network: Denoiser, path: Path) -> None:
    """Load those weights of a file that have the same shape, and leave the others."""
    from safetensors.torch import load_file

    own = network.state_dict()
    fitting = {name: w.float() for name, w in load_file(path).items() if w.shape == own[name].shape}
    network.load_state_dict(own | fitting)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, choices=(1, 3), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--iterations", type=int, help="run for so many steps, whatever the time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="further pictures to train on")
    parser.add_argument("--warm-start", type=Path, help="weights to begin with")
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    pictures = photographs(options.folder)
    print(f"{len(pictures)} pictures: {', '.join(pictures)}", flush=True)
    network = Denoiser(options.channels)
    if options.warm_start is not None:
        warm_start(network, options.warm_start)
    patches = Patches.of(options.channels, pictures, np.random.default_rng(options.seed))
    progress = timed(options.minutes) if options.iterations is None else counted(options.iterations)
    generator = torch.Generator().manual_seed(options.seed)
    averaged, count = train(network, patches, progress, generator)
    notes = {
        "pictures": ", ".join(pictures),
        "seed": str(options.seed),
        "iterations": str(count),
        "initial weights": "random" if options.warm_start is None else options.warm_start.name,
    }
    save(averaged, options.out, notes)
    print(f"{count} iterations; wrote {options.out}")


if __name__ == "__main__":
    main()
