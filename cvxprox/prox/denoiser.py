"""A denoiser in the place of a proximal operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor, nn

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.nonconvex import NonConvexFunction

Network = Callable[[Tensor, float | Tensor], Tensor]
"""A map from images of shape (N, C, H, W) with values in [0, 1], and their noise level, to such images."""

AXES = "NCHW"


@dataclass(frozen=True, eq=False)
class Denoiser(NonConvexFunction):
    r"""The unknown function whose prox is taken to be a denoiser ("plug and play").

    .. math:: \mathrm{prox}_{tf}(v) = D(v, \sigma), \qquad \sigma = \sqrt{\lambda t}\ \text{ unless given}

    For :math:`\lambda = 1` that is the denoiser as the estimate of x from :math:`v = x` + noise of
    variance t that maximises the posterior probability, :math:`\exp(-f)` being the prior. No value of f
    is known: `value` is 0.

    Parameters
    ----------
    networks : tuple of callable
        D of every iteration; the last serves all later ones. Each maps images (N, C, H, W) with values
        in [0, 1] and a noise level, a number or a tensor of no dimension or shape (N,), to images. A
        network with an attribute ``channels`` equal to 1 sees the channels of other images as images of
        their own. A module runs in the type and on the device of its parameters.
    shape : tuple of int
        Shape of the tensor that is one image or several; a point is this tensor as a vector, in C order.
    layout : str
        What its dimensions are: letters of ``NCHW``, as ``HW`` or ``NHWC``; H and W among them.
    sigma : Tensor, float or None
        The noise level in units of x; None to take it from the step.
    strength : Tensor or float
        :math:`\lambda > 0`.
    value_range : tuple of float
        The values of x that the network sees as 0 and 1.
    turns : tuple of int
        Which of the eight symmetries of the square the network sees the image under: number k are k
        quarters of a turn, from 4 on after a reflection. Every iteration takes the next of them, round and
        round, so that what a network makes of diagonals, say, in one direction does not add up.

    Raises
    ------
    ValueError
        If `layout` is not a layout of `shape`, or `value_range` is empty, or a network has other channels.

    References
    ----------
    Venkatakrishnan, Bouman and Wohlberg, *Plug-and-Play Priors for Model Based Reconstruction* (2013).
    Zhang et al., *Plug-and-Play Image Restoration with Deep Denoiser Prior* (2021), section 4, for the
    noise level.
    """

    networks: tuple[Network, ...]
    shape: tuple[int, ...]
    layout: str
    sigma: Tensor | float | None = None
    strength: Tensor | float = 1.0
    value_range: tuple[float, float] = (0.0, 1.0)
    turns: tuple[int, ...] = (0,)
    ndim: ClassVar[int] = 1

    def __post_init__(self) -> None:
        letters = set(self.layout)
        if len(letters) != len(self.layout) or not set("HW") <= letters <= set(AXES):
            raise ValueError(f"A layout has letters of NCHW once, H and W among them; found {self.layout!r}.")
        if len(self.layout) != len(self.shape):
            raise ValueError(f"The layout {self.layout!r} does not fit a tensor of shape {self.shape}.")
        if not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"`value_range` is (low, high) with low < high; found {self.value_range}.")
        for network in self.networks:
            wanted = getattr(network, "channels", 1)
            if wanted not in (1, self._sizes["C"]):
                raise ValueError(
                    f"The denoiser takes images of {wanted} channels; found {self._sizes['C']} in the tensor "
                    f"of shape {self.shape} and layout {self.layout!r}."
                )

    def at(self, iteration: int) -> ProxFunction:
        if len(self.networks) == len(self.turns) == 1:
            return self
        network = self.networks[min(iteration, len(self.networks) - 1)]
        return replace(self, networks=(network,), turns=(self.turns[iteration % len(self.turns)],))

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        low, high = self.value_range
        images = self._images(v if (low, high) == (0.0, 1.0) else (v - low) / (high - low))
        clean = self._vectors(self._denoised(images, self._level(v, t)), v)
        return clean if (low, high) == (0.0, 1.0) else low + (high - low) * clean

    def _level(self, v: Tensor, t: Tensor | float) -> Tensor | float:
        """The noise level in units of the network, for all or of the shape of the batch."""
        width = self.value_range[1] - self.value_range[0]
        if self.sigma is not None:
            return self.sigma / width
        variance = self.strength * t
        return (variance.sqrt() if isinstance(variance, Tensor) else math.sqrt(variance)) / width

    def _denoised(self, images: Tensor, level: Tensor | float) -> Tensor:
        network = self.networks[0]
        count, channels = images.shape[:2]
        if channels != 1 and getattr(network, "channels", None) == 1:
            images = images.flatten(0, 1)[:, None]
        weight = _first_parameter(network)
        turn = self.turns[0]
        seen = _turned(images if weight is None else images.to(weight), turn)
        if isinstance(level, Tensor):
            level = level.to(seen).reshape(-1)
            level = level.repeat_interleave(len(seen) // len(level)) if len(level) > 1 else level[0]
        clean = _turned_back(network(seen, level).to(images), turn)
        return clean.reshape(count, channels, *clean.shape[-2:])

    @property
    def _sizes(self) -> dict[str, int]:
        """The length of every axis of the network's images, 1 where `layout` has none."""
        return {axis: 1 for axis in AXES} | dict(zip(self.layout, self.shape, strict=True))

    @property
    def _order(self) -> list[int]:
        """The dimensions of `shape` in the order of NCHW."""
        return [self.layout.index(axis) for axis in AXES if axis in self.layout]

    def _images(self, v: Tensor) -> Tensor:
        """Vectors as a batch of images (N, C, H, W)."""
        sizes = self._sizes
        tensor = v.reshape(-1, *self.shape).permute(0, *(1 + i for i in self._order))
        return tensor.reshape(-1, sizes["C"], sizes["H"], sizes["W"])

    def _vectors(self, images: Tensor, like: Tensor) -> Tensor:
        """The inverse of `_images`, in the shape of `like`."""
        order = self._order
        tensor = images.reshape(-1, *(self.shape[i] for i in order))
        back = [1 + order.index(i) for i in range(len(order))]
        return tensor.permute(0, *back).reshape(like.shape)


def _turned(images: Tensor, turn: int) -> Tensor:
    return (images.flip(-1) if turn >= 4 else images).rot90(turn, (-2, -1)) if turn else images


def _turned_back(images: Tensor, turn: int) -> Tensor:
    straight = images.rot90(-turn, (-2, -1)) if turn else images
    return straight.flip(-1) if turn >= 4 else straight


def _first_parameter(network: Network) -> Tensor | None:
    return next(network.parameters(), None) if isinstance(network, nn.Module) else None
