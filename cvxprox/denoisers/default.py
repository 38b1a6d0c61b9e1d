"""The denoiser that ships with the package."""

from __future__ import annotations

import copy
from functools import lru_cache
from importlib.resources import files

import torch

from .network import Denoiser

WEIGHTS = {1: "gray.safetensors", 3: "colour.safetensors"}
"""The file of the weights, by number of channels."""


def default_denoiser(
    channels: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    trainable: bool = False,
) -> Denoiser:
    """The network that ships with the package, with its trained weights.

    Without `trainable` the network is in evaluation mode, its weights take no gradients, and every call
    with the same arguments returns the same object: do not change it.

    Parameters
    ----------
    channels : int
        1 for gray images, 3 for colour.
    dtype, device
        Type and place of the weights, and so of the arithmetic. The images that go in and come out may have
        another type; float32 is accurate enough for all of them.
    trainable : bool
        Return a copy of your own instead, whose weights take gradients.

    Raises
    ------
    ValueError
        For another number of channels.
    """
    if channels not in WEIGHTS:
        raise ValueError(
            f"The default denoiser is for images of 1 or 3 channels; found {channels}. "
            "Denoise the channels one by one, as gray images."
        )
    shared = _load(channels, dtype, torch.device(device))
    return copy.deepcopy(shared).requires_grad_(True) if trainable else shared


@lru_cache(maxsize=8)
def _load(channels: int, dtype: torch.dtype, device: torch.device) -> Denoiser:
    from safetensors.torch import load

    network = Denoiser(channels)
    network.load_state_dict(load((files(__package__) / "weights" / WEIGHTS[channels]).read_bytes()))
    return network.to(device=device, dtype=dtype).eval().requires_grad_(False)
