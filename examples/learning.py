"""A denoiser, blurred photographs and a training: what the examples of learned deblurring have in common."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import cvxpy as cp
import numpy as np
import torch
import torch.nn.functional as F
from show import photograph, psnr
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import cvxprox

NOISE = 2.55 / 255
KERNEL = np.ones((9, 9)) / 81
SIDE, BATCH = 64, 8
SEEN = (
    "brick", "grass", "gravel", "coins", "page", "text", "moon", "rocket", "hubble_deep_field", "retina",
    "immunohistochemistry",
)  # fmt: skip
UNSEEN = ("camera", "chelsea", "coffee", "astronaut")


class Network(nn.Module):
    """A denoiser of images (N, 1, H, W), H and W even: four convolutions at half the resolution."""

    channels = 1

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (5, width, width, width, 4)  # four pixels and the noise level; four corrections
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths))
        nn.init.zeros_(self.layers[-1].weight)

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        h = F.pixel_unshuffle(x, 2)
        level = torch.as_tensor(sigma).to(x).reshape(-1, 1, 1, 1).expand(len(x), 1, *h.shape[-2:])
        h = torch.cat([h, level], dim=1)
        for layer in self.layers[:-1]:
            h = F.relu(layer(h))
        return x - F.pixel_shuffle(self.layers[-1](h), 2)


def photographs(names: tuple[str, ...], size: int) -> Tensor:
    return torch.tensor(np.stack([photograph(name, size) for name in names]), dtype=torch.float32)


def patches(names: tuple[str, ...], batches: int) -> Tensor:
    """Pieces of photographs, in a random order."""
    tiles = photographs(names, 3 * SIDE).unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE).reshape(-1, SIDE, SIDE)
    return tiles[torch.randperm(len(tiles), generator=torch.Generator().manual_seed(0))[: batches * BATCH]]


def camera(sharp: Tensor, seed: int) -> Tensor:
    """The images blurred and with noise."""
    blurred = cvxprox.conv(cp.Constant(sharp.double().numpy()), KERNEL, axes=(1, 2)).value
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(blurred, dtype=torch.float32) + NOISE * noise


def denoising(network: nn.Module, clean: Tensor) -> Tensor:
    """The mean error after white noise of a random level."""
    sigma = torch.rand(len(clean)) * 50 / 255
    noise = torch.randn_like(clean) * sigma[:, None, None]
    return (network((clean + noise)[:, None], sigma)[:, 0] - clean).abs().mean()


def denoiser(clean: Tensor, epochs: int = 60) -> Network:
    """The network as a denoiser; it has not seen any blur."""
    torch.manual_seed(0)
    network = Network()
    cvxprox.train(
        network, denoising, clean, epochs=epochs, batch_size=BATCH, learning_rate=3e-3,
        schedule=partial(CosineAnnealingLR, T_max=epochs),
    )  # fmt: skip
    return network


def squared_error(solver: cvxprox.CompiledSolver, batch: tuple[Tensor, Tensor]) -> Tensor:
    sharp, seen = batch
    return (solver.solve({"y": seen}) - sharp).square().mean()


def train(solver: cvxprox.CompiledSolver, network: nn.Module, sharp: Tensor, epochs: int) -> cvxprox.History:
    """Train from end to end on patches and what the camera makes of them; the last batch validates."""
    seen, rest = camera(sharp, seed=0), [p for n, p in solver.named_parameters() if "networks" not in n]
    groups = [{"params": network.parameters()}, {"params": rest, "lr": 1e-2}]
    return cvxprox.train(
        solver, squared_error, (sharp[:-BATCH], seen[:-BATCH]), validation=(sharp[-BATCH:], seen[-BATCH:]),
        epochs=epochs, batch_size=BATCH, optimizer=torch.optim.Adam(groups, lr=1e-3), clip=0.05,
        schedule=partial(CosineAnnealingLR, T_max=epochs),
    )  # fmt: skip


def mean_psnr(images: Tensor, sharp: Tensor) -> float:
    return float(np.mean([psnr(a.numpy(), b.numpy()) for a, b in zip(images, sharp, strict=True)]))
