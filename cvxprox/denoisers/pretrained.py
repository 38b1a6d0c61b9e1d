"""Networks with the weights that their authors published, by way of the package deepinv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Pretrained:
    """A model of `deepinv.models` and what to ask it for.

    Attributes
    ----------
    model : str
        The name of the class.
    options : mapping
        Its arguments, by number of channels; a number that is absent has no weights.
    """

    model: str
    options: Mapping[int, Mapping[str, Any]]

    def load(self, name: str, channels: int, dtype: torch.dtype, device: torch.device | str) -> nn.Module:
        """The network, in evaluation mode; its weights are downloaded once and take no gradients."""
        if channels not in self.options:
            raise ValueError(
                f"The denoiser {name!r} has weights for images of {_either(self.options)} channels; "
                f"found {channels}."
            )
        try:
            models = import_module("deepinv.models")
        except ModuleNotFoundError as error:
            raise ImportError(
                f"The denoiser {name!r} needs the package deepinv: `pip install cvxprox[deepinv]`. To keep "
                f"the torch that is installed, pin it in the same command: `pip install cvxprox[deepinv] "
                f"torch=={torch.__version__}`. (Missing: {error.name}.)"
            ) from error
        network: nn.Module = getattr(models, self.model)(**self.options[channels], pretrained="download")
        return network.to(device=device, dtype=dtype).eval().requires_grad_(False)


def _either(numbers: Mapping[int, object]) -> str:
    return " or ".join(str(number) for number in numbers)


PRETRAINED = {
    # Trained for noise of 2/255; it is not told the noise level.
    "dncnn": Pretrained("DnCNN", {c: {"in_channels": c, "out_channels": c} for c in (1, 3)}),
    "drunet": Pretrained("DRUNet", {c: {"in_channels": c, "out_channels": c} for c in (1, 3)}),
    "ffdnet": Pretrained(
        "FFDNet",
        {
            1: {"n_conv_layers": 15, "nf": 64, "img_channels": 1},
            3: {"n_conv_layers": 12, "nf": 96, "img_channels": 3},
        },
    ),
    # Trained for the noise of real photographs; it is not told the noise level.
    "scunet": Pretrained("SCUNet", {3: {"in_nc": 3}}),
    # Trained for noise of 15/255; it is not told the noise level.
    "swinir": Pretrained("SwinIR", {c: {"in_chans": c} for c in (1, 3)}),
}
"""The networks that `named_denoiser` knows, by name."""
