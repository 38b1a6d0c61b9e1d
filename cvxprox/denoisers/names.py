"""Denoisers by name."""

from __future__ import annotations

import torch

from . import classical
from .default import default_denoiser
from .ensemble import DenoisingFunction
from .pretrained import PRETRAINED

CLASSICAL = {
    "tv": classical.tv,
    "nlm": classical.nlm,
    "wavelet": classical.wavelet,
    "bm3d": classical.bm3d,
}

NAMES = ("default", *PRETRAINED, *CLASSICAL)
"""Every name that `named_denoiser` knows."""


def named_denoiser(
    name: str,
    channels: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> DenoisingFunction:
    r"""The denoiser of that name, as a function :math:`f(x, \sigma)`.

    =====================================================  ==================================  ==============
    name                                                   needs the package                   differentiable
    =====================================================  ==================================  ==============
    ``default``                                            nothing: it ships with cvxprox      yes
    ``drunet``, ``ffdnet``                                 deepinv                             yes
    ``dncnn``, ``scunet``, ``swinir``                      deepinv                             yes
    ``tv``, ``nlm``                                        scikit-image                        no
    ``wavelet``                                            scikit-image, PyWavelets            no
    ``bm3d``                                               bm3d                                no
    =====================================================  ==================================  ==============

    Those of deepinv download their weights when they are first asked for. ``dncnn``, ``scunet`` and
    ``swinir`` are blind: each was trained for the noise that `PRETRAINED` says, whatever :math:`\sigma` is.
    The classical ones take any number of channels and go through NumPy on the CPU.

    Parameters
    ----------
    name : str
        One of the above.
    channels : int
        The number of channels of the images.
    dtype, device
        Type and place of the weights; of no consequence for a denoiser that has none.

    Returns
    -------
    callable
        `f(x, sigma)`, for `x` of shape (N, channels, H, W) with values nominally in [0, 1] and `sigma` in
        the units of `x`, a number or one for each image.

    Raises
    ------
    ValueError
        For an unknown name, or a number of channels that there are no weights for.
    ImportError
        Where the package is not installed.
    """
    if name == "default":
        return default_denoiser(channels, dtype, device)
    if name in PRETRAINED:
        return PRETRAINED[name].load(name, channels, dtype, device)
    if name in CLASSICAL:
        return CLASSICAL[name]()
    raise ValueError(f"There is no denoiser {name!r}; the names are {', '.join(NAMES)}.")
