"""The network behind the default denoiser: a small bias-free U-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 96, 128)
"""Channels at one half, one quarter and one eighth of the resolution of the image."""

MULTIPLE = 8
"""Height and width are padded to a multiple of this."""


class Denoiser(nn.Module):
    r"""A denoiser :math:`D(x, \sigma)` for white Gaussian noise of standard deviation :math:`\sigma`.

    It estimates :math:`u` from :math:`x = u + \sigma n`, :math:`n \sim \mathcal N(0, I)`, for any
    :math:`\sigma` that it is given: the noise level enters as one more channel of the image. The image is
    first rearranged to half its resolution and four times its channels (as in FFDNet), then passes a U-Net
    with residual blocks (as in DRUNet) whose output is added to `x`.

    No layer has a bias and the only nonlinearity is the ReLU, so that

    .. math:: D(a x, a \sigma) = a\, D(x, \sigma) \qquad \text{for every } a > 0.

    Parameters
    ----------
    channels : int
        1 for gray images, 3 for colour.
    widths : tuple of int
        Channels at 1/2, 1/4 and 1/8 of the resolution.

    References
    ----------
    Zhang, Zuo and Zhang, *FFDNet: Toward a Fast and Flexible Solution for CNN based Image Denoising* (2018).
    Zhang, Li, Zuo, Zhang, Van Gool and Timofte, *Plug-and-Play Image Restoration with Deep Denoiser Prior*
    (2021), section 3. Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, *Robust and Interpretable
    Blind Image Denoising via Bias-Free Convolutional Neural Networks* (2020).
    """

    def __init__(self, channels: int, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.channels = channels
        self.head = _conv3(4 * channels + 1, fine)
        self.fine_in = ResidualBlock(fine)
        self.down_fine = nn.Conv2d(fine, middle, 2, stride=2, bias=False)
        self.middle_in = ResidualBlock(middle)
        self.down_middle = nn.Conv2d(middle, coarse, 2, stride=2, bias=False)
        self.coarse = ResidualBlock(coarse)
        self.up_middle = nn.ConvTranspose2d(coarse, middle, 2, stride=2, bias=False)
        self.middle_out = ResidualBlock(middle)
        self.up_fine = nn.ConvTranspose2d(middle, fine, 2, stride=2, bias=False)
        self.fine_out = ResidualBlock(fine)
        self.tail = _conv3(fine, 4 * channels)
        for parameter in self.parameters():
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        r"""The denoised images, of the shape, type and device of `x`.

        Parameters
        ----------
        x : Tensor
            Images of shape (N, channels, H, W), with values nominally in [0, 1]; any H and W, any floating
            type. The arithmetic is done in the type of the weights.
        sigma : float or Tensor
            Standard deviation of the noise in the units of `x`, nonnegative: a number, or one for each
            image as a tensor of shape (N,).
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f"This denoiser takes images of shape (N, {self.channels}, H, W); found {tuple(x.shape)}."
            )
        weight = self.head.weight
        height, width = x.shape[-2:]
        noisy = _pad(x.to(weight.dtype), -height % MULTIPLE, -width % MULTIPLE)
        level = torch.as_tensor(sigma, dtype=weight.dtype, device=x.device)
        if level.ndim > 1 or level.numel() not in (1, len(x)):
            raise ValueError(
                f"`sigma` is a number or one for each of {len(x)} images; found shape {tuple(level.shape)}."
            )
        packed = F.pixel_unshuffle(noisy, 2)
        level_map = level.reshape(-1, 1, 1, 1).expand(len(x), 1, *packed.shape[-2:])
        packed = torch.cat([packed, level_map], dim=1).contiguous(memory_format=torch.channels_last)
        clean = noisy + F.pixel_shuffle(self._correction(packed), 2)
        return clean[..., :height, :width].to(x.dtype)

    def _correction(self, packed: Tensor) -> Tensor:
        fine = self.fine_in(self.head(packed))
        middle = self.middle_in(self.down_fine(fine))
        coarse = self.coarse(self.down_middle(middle))
        middle = self.middle_out(middle + self.up_middle(coarse))
        fine = self.fine_out(fine + self.up_fine(middle))
        return self.tail(fine)


class ResidualBlock(nn.Module):
    """Two convolutions with a ReLU between them, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv3(width, width)
        self.second = _conv3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _pad(x: Tensor, bottom: int, right: int) -> Tensor:
    """`x` with more rows and columns, by reflection, or by repetition where it is too small to reflect."""
    mode = "reflect" if bottom < x.shape[-2] and right < x.shape[-1] else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)
