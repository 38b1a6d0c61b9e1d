"""Seeds that leave the generators of the user as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def own_randomness(model: nn.Module) -> Iterator[None]:
    """The states of the global generators of torch, NumPy and Python come back at the end."""
    python, array = random.getstate(), np.random.get_state()
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)


def seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed the global generators for an epoch, and return one for the order of the samples.

    What is drawn in an epoch is a function of both numbers, so that a training that is resumed draws what it
    would have drawn.
    """
    order, rest = (int(state) for state in np.random.SeedSequence((seed, epoch)).generate_state(2))
    torch.manual_seed(rest)
    np.random.seed(rest)
    random.seed(rest)
    return torch.Generator().manual_seed(order)
