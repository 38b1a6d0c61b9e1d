"""Denoisers as priors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from cvxpy.expressions.expression import Expression
from torch import Tensor, nn

from cvxprox.atoms.axes import check_choice
from cvxprox.atoms.data import as_expression
from cvxprox.atoms.function import FunctionAtom, ProxForm
from cvxprox.denoisers import named_denoiser
from cvxprox.denoisers import self_ensemble as averaged
from cvxprox.prox import Denoiser

ENSEMBLES = (True, False, "in turn")

Network = Callable[[Tensor, float | Tensor], Tensor]

LAYOUTS = {2: ("HW",), 3: ("HWC", "CHW", "NHW"), 4: ("NCHW", "NHWC")}
PROBE = 32
"""The longest side of the image on which a network is tried."""


class Frozen(nn.Module):
    """A module whose parameters take no part in gradients; gradients reach its argument."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        fixed = {name: value.detach() for name, value in self.module.named_parameters()}
        return torch.func.functional_call(self.module, fixed, (x, sigma))


@dataclass(frozen=True, eq=False)
class Settings:
    """What `deep_prior` was given; shared by the copies of an atom.

    Attributes
    ----------
    networks : tuple of callable
        One for each iteration, the last for all later ones.
    label : str
        How they print.
    numbers : mapping of str to float
        `sigma` and `strength`, those that are plain numbers.
    data : tuple of str
        Those that are expressions, the data of the atom.
    layout, value_range, claimed_convex
        See `deep_prior`.
    turns : tuple of int
        See `cvxprox.prox.Denoiser`.
    """

    networks: tuple[Network, ...]
    label: str
    numbers: Mapping[str, float | None]
    data: tuple[str, ...]
    layout: str
    value_range: tuple[float, float]
    claimed_convex: bool
    turns: tuple[int, ...]

    def __str__(self) -> str:
        return self.label

    def __deepcopy__(self, memo: dict) -> Settings:
        return self


class DeepPrior(FunctionAtom):
    """Made by `deep_prior`."""

    options: ClassVar[tuple[str, ...]] = ("settings",)

    def __init__(self, x: Any, *rest: Any) -> None:
        *data, self.settings = rest
        self.data_names = self.settings.data  # type: ignore[misc]
        self.convex = self.settings.claimed_convex
        super().__init__(x, *data)

    @classmethod
    def label(cls) -> str:
        return "deep_prior"

    def sign_from_args(self) -> tuple[bool, bool]:
        """Unknown."""
        return False, False

    def numeric(self, values: Sequence[Any]) -> Any:
        """Not a number: a denoiser has no known function behind it."""
        return np.asarray(np.nan)

    def _grad(self, values: Sequence[Any]) -> list[Any]:
        return [None for _ in self.args]

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        x, settings = self.args[0], self.settings
        given = {name: value.to(device, dtype) for name, value in zip(settings.data, data, strict=True)}
        numbers: dict[str, Any] = {**settings.numbers, **given}
        function = Denoiser(
            tuple(_moved(network, torch.device(device)) for network in settings.networks),
            tuple(x.shape),
            settings.layout,
            sigma=numbers["sigma"],
            strength=numbers["strength"],
            value_range=settings.value_range,
            turns=settings.turns,
        )
        return ProxForm(None, function, (1, x.size))


def deep_prior(
    x: Any,
    denoiser: str | Network | Sequence[str | Network] = "default",
    sigma: Any = None,
    strength: Any = 0.4,
    curvature: str | None = None,
    trainable: bool = False,
    self_ensemble: bool | str = "in turn",
    layout: str | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> DeepPrior:
    r"""The prior of a denoiser: the function whose proximal operator is said to be `denoiser`.

    .. math:: \mathrm{prox}_{tf}(v) = D(v, \sigma), \qquad \sigma = \sqrt{\lambda t}\ \text{ unless given}

    The function is not known, so that its value is ``nan`` (as is that of the objective), its curvature
    unknown, and a problem with it not DCP. NABLA_ADMM looks for a fixed point of its iteration with the
    denoiser in the place of the prox.

    Parameters
    ----------
    x : Expression
        An image or several, real.
    denoiser : str, callable or list of these
        A name of `cvxprox.denoisers.NAMES`, or a torch module or function ``f(x, sigma)`` from images of
        shape (N, C, H, W) with values in [0, 1] to such images. Of a list, every iteration takes the next,
        and the last stays.
    sigma : float or Parameter, optional
        The noise level that the denoiser is told, in units of `x`; from the step of the iteration if omitted.
    strength : float or Parameter
        :math:`\lambda > 0`: how much weight the prior has. 1 would be right if denoisers found the
        most probable image; as they find the mean of the probable ones, less is better, but under about
        0.3 the iteration may become unstable.
    curvature : str, optional
        "convex" is your own claim that the denoiser is the prox of a convex function; the problem is then
        DCP.
    trainable : bool
        Whether gradients through the solution reach the parameters of the modules.
    self_ensemble : bool or str
        "in turn": each iteration turns or reflects the image in another one of the eight ways, where the
        noise level is free; True: average over all eight, which costs eight times as much; False: neither.
    layout : str, optional
        What the dimensions of `x` are: "HW", "HWC", "CHW", "NHW", "NCHW" or "NHWC" (N images, C channels, H
        rows, W columns). Needed unless there are two dimensions.
    value_range : tuple of float
        The values of `x` that the denoiser sees as 0 and 1: (0, 255) for an image of bytes. `sigma` scales
        with them.

    Raises
    ------
    ValueError
        If the layout is not clear or does not fit, or the denoiser fails on an image of this layout or
        changes its shape.

    References
    ----------
    Venkatakrishnan, Bouman and Wohlberg, *Plug-and-Play Priors for Model Based Reconstruction* (2013).
    """
    image = as_expression(x, "the argument of `deep_prior`")
    chosen = _layout(image, layout)
    check_choice("deep_prior", "curvature", curvature, (None, "convex"))
    check_choice("deep_prior", "self_ensemble", self_ensemble, ENSEMBLES)
    low, high = value_range
    if not low < high:
        raise ValueError(
            f"the value_range of `deep_prior` is {value_range}; it is (low, high) with low < high."
        )
    sizes = {"C": 1, "H": 1, "W": 1} | dict(zip(chosen, image.shape, strict=True))
    given = [denoiser] if isinstance(denoiser, str) or callable(denoiser) else list(denoiser)
    if not given:
        raise ValueError("`deep_prior` was given no denoiser.")
    networks = []
    for one in given:
        network = named_denoiser(one, sizes["C"]) if isinstance(one, str) else one
        _try(network, _label(one), sizes)
        if self_ensemble is True:
            network = _as_wide_as(network, averaged(network))
        if isinstance(network, nn.Module) and not trainable:
            network = _as_wide_as(network, Frozen(network))
        networks.append(network)
    label = _label(given[0]) + (f" and {len(given) - 1} more" if len(given) > 1 else "")
    amounts = {"sigma": sigma, "strength": strength}
    data = {
        name: _amount(name, value)
        for name, value in amounts.items()
        if isinstance(value, Expression | Tensor)
    }
    numbers = {name: _number(name, value) for name, value in amounts.items() if name not in data}
    # with a fixed noise level a fixed point is looked for, of one map
    free = sigma is None and curvature is None
    turns = tuple(range(8)) if self_ensemble == "in turn" and free else (0,)
    settings = Settings(
        tuple(networks),
        label,
        numbers,
        tuple(data),
        chosen,
        (float(low), float(high)),
        curvature == "convex",
        turns,
    )
    return DeepPrior(image, *data.values(), settings)


def _moved(network: Network, device: torch.device) -> Network:
    """A fixed network where it is wanted; one that is being trained stays where its owner has put it."""
    if not isinstance(network, Frozen):
        return network
    weight = next(network.parameters(), None)
    if weight is None or weight.device.type == device.type:
        return network
    return copy.deepcopy(network).to(device)


def _as_wide_as(network: Network, wrapped: nn.Module) -> nn.Module:
    """`wrapped`, saying how many channels its images have if `network` does."""
    channels = getattr(network, "channels", None)
    if channels is not None:
        wrapped.channels = channels
    return wrapped


def _layout(x: Expression, layout: str | None) -> str:
    known = LAYOUTS.get(x.ndim, ())
    if layout is None and len(known) == 1:
        return known[0]
    place = f"`deep_prior` of `{x.name()}`, of shape {x.shape}"
    if not known:
        raise ValueError(f"{place}: it acts on images of 2, 3 or 4 dimensions. Reshape the expression.")
    if layout not in known:
        found = "needs to know what the dimensions are" if layout is None else f"has no layout {layout!r}"
        raise ValueError(f"{place}, {found}: say layout={', layout='.join(map(repr, known))}.")
    return layout


def _label(denoiser: str | Network) -> str:
    if isinstance(denoiser, str):
        return denoiser
    return str(getattr(denoiser, "__name__", type(denoiser).__name__))


def _number(name: str, value: Any) -> float | None:
    if value is None and name == "sigma":
        return None
    if not isinstance(value, int | float | np.number) or not value > 0:
        raise ValueError(f"the {name} of `deep_prior` is {value!r}; it is a positive number or a parameter.")
    return float(value)


def _amount(name: str, value: Any) -> Expression:
    expr = as_expression(value, f"the {name} of `deep_prior`")
    if expr.shape != () or not expr.is_nonneg():
        raise ValueError(
            f"the {name} of `deep_prior` is a parameter of shape {expr.shape}, or one that may be "
            f"negative; it is a "
            "number: `cvxpy.Parameter(pos=True)`."
        )
    return expr


def _try(network: Network, label: str, sizes: Mapping[str, int]) -> None:
    """Run the denoiser once on a small black image."""
    shape = (1, sizes["C"], min(sizes["H"], PROBE), min(sizes["W"], PROBE))
    if getattr(network, "channels", None) == 1:
        shape = (shape[1], 1, *shape[2:])
    weight = next(network.parameters(), None) if isinstance(network, nn.Module) else None
    image = torch.zeros(shape, dtype=torch.float64) if weight is None else torch.zeros(shape).to(weight)
    what = f"the denoiser `{label}` of `deep_prior`"
    try:
        with torch.no_grad():
            clean = network(image, 0.1)
    except Exception as error:
        raise ValueError(
            f"{what} fails on images of shape {shape}: {type(error).__name__}: {error}. It is called as "
            f"f(x, sigma) with "
            "x of shape (N, C, H, W)."
        ) from error
    if not isinstance(clean, Tensor) or clean.shape != image.shape or clean.dtype != image.dtype:
        found = f"{tuple(clean.shape)}, {clean.dtype}" if isinstance(clean, Tensor) else type(clean).__name__
        raise ValueError(
            f"{what} maps images of shape {shape} and type {image.dtype} to {found}; it has to keep both."
        )
