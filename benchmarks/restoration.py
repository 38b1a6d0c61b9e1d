"""Total variation and the default deep prior side by side: `python -m benchmarks.restoration`.

The photographs are some that the denoiser was never trained on. Every problem is plain CVXPY. The weight of
the total variation is the best of a grid for each task; the deep prior has its defaults everywhere. It
needs scikit-image, and the packages dipy and nilearn, which may be without their dependencies (but for
nibabel), for the brains. Torch takes one thread.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import interpolate, ndimage

import cvxprox
from cvxprox.denoisers.photographs import held_out, resize

Image = NDArray[np.float64]
Measure = Callable[[Any], cp.Expression]

TV_WEIGHTS = (0.015, 0.03, 0.06, 0.12, 0.25, 0.5)
"""To choose from, in units of the noise, for half the sum of squares."""

STRENGTHS = (0.3, 0.4, 0.55, 0.8, 1.2)
"""To choose from where the deep prior is tuned too."""


@dataclass(frozen=True)
class Task:
    """A kind of damage.

    Attributes
    ----------
    pictures : callable
        The undamaged pictures of a size, by name.
    measure : callable
        What is measured of a picture of a shape: a function from expressions to affine expressions.
    noise : float
        Its standard deviation (of the real and the imaginary part each).
    simple : callable
        A restoration from the measurements without any optimisation, given the shape of the picture.
    """

    pictures: Callable[[int], Mapping[str, Image]]
    measure: Callable[[tuple[int, ...]], Measure]
    noise: float
    simple: Callable[[Image, tuple[int, ...]], Image]


def box_blur(shape: tuple[int, ...]) -> Measure:
    """A 9 x 9 square."""
    return lambda x: cvxprox.conv(x, np.full((9, 9), 1 / 81), axes=(0, 1))


def motion_blur(shape: tuple[int, ...]) -> Measure:
    """The track of a shaken camera, 17 x 17."""
    t = np.linspace(-1, 1, 400)
    rows, columns = 8 + 6 * t + 1.5 * np.sin(5 * t), 8 + 5 * t**2 - 3 * t - 2
    kernel, _, _ = np.histogram2d(rows, columns, bins=17, range=[[0, 17], [0, 17]])
    kernel = ndimage.gaussian_filter(kernel, 0.5)
    return lambda x: cvxprox.conv(x, kernel / kernel.sum())


def random_pixels(shape: tuple[int, ...], share: float) -> Measure:
    """So many of the pixels, the others being zero."""
    known = (np.random.default_rng(1).random(shape) < share).astype(float)
    return lambda x: cp.multiply(known, x)


def low_resolution(shape: tuple[int, ...]) -> Measure:
    """Every second pixel after a Gaussian blur."""
    line = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.2**2))
    kernel = np.outer(line, line) / line.sum() ** 2
    return lambda x: cvxprox.subsample(cvxprox.conv(x, kernel), 2)


def bayer(shape: tuple[int, ...]) -> Measure:
    """One colour at every pixel."""
    return lambda x: cvxprox.mosaic(x)


def sampled_frequencies(shape: tuple[int, ...], share: float = 0.25) -> Measure:
    """So many of the Fourier coefficients, the low ones all and of the others fewer the higher they are."""
    rows, columns = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    radius = np.hypot(rows, columns)
    density = np.where(radius < 0.05, 1e3, np.maximum(1 - radius / 0.75, 0.0) ** 4)
    chance = np.random.default_rng(2).random(shape) ** (1 / np.maximum(density, 1e-9))
    mask = (chance >= np.quantile(chance, 1 - share)).astype(float)
    return lambda x: cvxprox.masked_fft(x, mask)


def gray(size: int) -> dict[str, Image]:
    """The gray photographs, at a size of so many pixels along the shorter side, cut to squares."""
    return {name: _square(picture, size)[..., 0] for name, picture in held_out(1).items()}


def colour(size: int) -> dict[str, Image]:
    """The colour photographs, of shape (size, size, 3)."""
    return {name: _square(picture, size) for name, picture in held_out(3).items()}


def brains(size: int) -> dict[str, Image]:
    """Slices of magnetic resonance images: of one head (dipy), and of the average of many (nilearn).

    They have three quarters of the size, for 256 about the pixels that were measured.
    """
    found = {}
    if (folder := _folder("dipy")) is not None:
        picture = np.load(folder / "data/files/t1_coronal_slice.npy")
        found["one person"] = picture[32:224, 32:224]
    if (folder := _folder("nilearn")) is not None:
        nibabel = importlib.import_module("nibabel")
        name = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
        volume = np.asarray(nibabel.load(folder / name).dataobj, dtype=np.float64)
        for place in (70, 90):
            found[f"average, slice {place}"] = np.rot90(volume[:, :, place])
    scaled = {name: (one / one.max()).astype(np.float32)[None] for name, one in found.items()}
    return {name: _square(one, size * 3 // 4)[..., 0] for name, one in scaled.items()}


def as_is(y: Image, shape: tuple[int, ...]) -> Image:
    """The measurements themselves."""
    return y


def interpolated(y: Image, shape: tuple[int, ...]) -> Image:
    """Linear interpolation between the known pixels, and the nearest one outside of them."""
    known = np.nonzero(y)
    grid = tuple(np.indices(shape))
    inside = interpolate.griddata(known, y[known], grid, method="linear")
    return np.where(np.isnan(inside), interpolate.griddata(known, y[known], grid, method="nearest"), inside)


def enlarged(y: Image, shape: tuple[int, ...]) -> Image:
    """Cubic interpolation."""
    rows, columns = np.indices(shape) / 2
    return ndimage.map_coordinates(y, [rows, columns], order=3, mode="nearest")


def bilinear(y: Image, shape: tuple[int, ...]) -> Image:
    """Of every colour the mean of the nearest pixels that have it."""
    weights = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    masks = np.asarray(_adjoint(cvxprox.mosaic, np.ones(shape[:2]), shape))
    values = masks * y[..., None]
    planes = [
        ndimage.convolve(values[..., c], weights) / ndimage.convolve(masks[..., c], weights) for c in range(3)
    ]
    return np.stack(planes, axis=-1)


def zero_filled(y: Image, shape: tuple[int, ...]) -> Image:
    """The inverse Fourier transform, unknown coefficients being zero."""
    return np.fft.ifft2(y, norm="ortho").real


TASKS = {
    "deblurring 9x9, noise 7.65": Task(gray, box_blur, 7.65 / 255, as_is),
    "deblurring 9x9, noise 2.55": Task(gray, box_blur, 2.55 / 255, as_is),
    "deblurring motion, noise 7.65": Task(gray, motion_blur, 7.65 / 255, as_is),
    "deblurring motion, noise 2.55": Task(gray, motion_blur, 2.55 / 255, as_is),
    "inpainting, 60% missing": Task(gray, partial(random_pixels, share=0.4), 2.55 / 255, interpolated),
    "inpainting, 80% missing": Task(gray, partial(random_pixels, share=0.2), 2.55 / 255, interpolated),
    "2x super-resolution": Task(gray, low_resolution, 2.55 / 255, enlarged),
    "4x magnetic resonance": Task(brains, sampled_frequencies, 0.01, zero_filled),
    "deblurring 9x9, colour": Task(colour, box_blur, 7.65 / 255, as_is),
    "demosaicking": Task(colour, bayer, 2.55 / 255, bilinear),
}
"""By name; the noise is in units of 1/255."""


def measurements(task: Task, picture: Image, seed: int = 0) -> Image:
    """What is measured of the picture, with noise."""
    clean = task.measure(picture.shape)(cp.Constant(picture)).value
    return add_noise(np.asarray(clean), task.noise, seed)


def add_noise(clean: Image, noise: float, seed: int = 0) -> Image:
    """Noise in all that is not exactly zero (unknown pixels are), complex in complex numbers."""
    rng = np.random.default_rng(seed)
    n = rng.standard_normal(clean.shape)
    if np.iscomplexobj(clean):
        n = n + 1j * rng.standard_normal(clean.shape)
    return clean + noise * n * (clean != 0)


def fit(task: Task, x: cp.Variable, y: Image) -> cp.Expression:
    """The negative logarithm of the likelihood."""
    return cp.sum_squares(task.measure(x.shape)(x) - y) / (2 * task.noise**2)


def psnr(image: Image, truth: Image) -> float:
    """Of the picture cut off at 0 and 1, in dB."""
    return float(-10 * np.log10(np.mean((np.clip(image, 0, 1) - truth) ** 2)))


@dataclass(frozen=True)
class Outcome:
    """A restored picture with its PSNR in dB and the seconds that it took."""

    image: Image
    score: float
    seconds: float


def total_variation(x: cp.Expression) -> cp.Expression:
    """That of a gray image; of a colour image that which couples the channels."""
    if x.ndim == 2:
        return cvxprox.tv(x, boundary="reflect")
    return cvxprox.group_norm(cvxprox.grad(x, axes=(0, 1)), axes=(0, 3))


def with_tv(task: Task, x: cp.Variable, y: Image, weight: float) -> cp.Problem:
    """Least squares and total variation."""
    return cp.Problem(cp.Minimize(task.noise**2 * fit(task, x, y) + weight * task.noise * total_variation(x)))


def with_prior(task: Task, x: cp.Variable, y: Image, strength: float | None = None) -> cp.Problem:
    """The likelihood and the deep prior."""
    layout = "HW" if x.ndim == 2 else "HWC"
    chosen: dict[str, Any] = {} if strength is None else {"strength": strength}
    return cp.Problem(cp.Minimize(fit(task, x, y) + cvxprox.deep_prior(x, layout=layout, **chosen)))


def with_both(task: Task, x: cp.Variable, y: Image, weight: float) -> cp.Problem:
    """The deep prior, a little total variation, and values that are not negative."""
    deep = with_prior(task, x, y).objective.expr
    extra = 0.03 * weight / task.noise * total_variation(x)
    return cp.Problem(cp.Minimize(deep + extra), [x >= 0])


def restored(problem: cp.Problem, truth: Image, **options: Any) -> Outcome:
    """The solution for the problem's only variable."""
    started = time.perf_counter()
    problem.solve(solver="NABLA_ADMM", **options)
    seconds = time.perf_counter() - started
    (x,) = problem.variables()
    return Outcome(x.value, psnr(x.value, truth), seconds)


def run_task(task: Task, size: int, tuned: bool) -> Iterator[tuple[str, dict[str, Outcome]]]:
    """The outcomes of every method, by the name of the picture."""
    pictures = task.pictures(size)
    data = {name: measurements(task, truth) for name, truth in pictures.items()}

    def best(model: Callable[..., cp.Problem], values: tuple[float, ...], **options: Any) -> float:
        def mean_score(value: float) -> float:
            found = [
                restored(model(task, cp.Variable(truth.shape), data[name], value), truth, **options).score
                for name, truth in pictures.items()
            ]
            return float(np.mean(found))

        return max(values, key=mean_score)

    weight = best(with_tv, TV_WEIGHTS, eps_abs=1e-3, eps_rel=1e-3, max_iter=300)
    strength = best(with_prior, STRENGTHS) if tuned else None
    for name, truth in pictures.items():
        y, shape = data[name], truth.shape
        simple = task.simple(y, shape)
        outcomes = {"without a model": Outcome(simple, psnr(simple, truth), 0.0)}
        outcomes[f"TV, weight {weight:g}"] = restored(
            with_tv(task, cp.Variable(shape), y, weight), truth, eps_abs=1e-4, eps_rel=1e-4, max_iter=1000
        )
        outcomes["deep prior"] = restored(with_prior(task, cp.Variable(shape), y), truth)
        if strength is not None:
            problem = with_prior(task, cp.Variable(shape), y, strength)
            outcomes[f"strength {strength:g}"] = restored(problem, truth)
        outcomes["with TV, x >= 0"] = restored(with_both(task, cp.Variable(shape), y, weight), truth)
        yield name, outcomes


def row(name: str, found: Mapping[str, dict[str, Outcome]]) -> tuple[str, list[float]]:
    """A line of the table, and the mean scores in it."""
    methods = list(zip(*(outcomes.items() for outcomes in found.values()), strict=True))
    means = [float(np.mean([outcome.score for _, outcome in one])) for one in methods]
    seconds = [float(np.mean([outcome.seconds for _, outcome in one])) for one in methods]
    notes = [
        label.split()[-1] if "weight" in label or "strength" in label else "" for (label, _), *_ in methods
    ]
    cells = [f"{mean:.2f}" + f" ({note})" * bool(note) for mean, note in zip(means, notes, strict=True)]
    cells += [f"{means[2] - means[1]:+.2f}", f"{seconds[1]:.1f}", f"{seconds[2]:.1f}"]
    return f"| {name} | {' | '.join(cells)} |", means


def draw(path: Path, rows: Mapping[str, tuple[Image, dict[str, Outcome]]], size: int = 200) -> None:
    """One picture of every task by every method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = 1 + max(len(outcomes) for _, outcomes in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(2.2 * columns, 2.45 * len(rows)), layout="constrained", squeeze=False
    )
    for line, (task, (truth, outcomes)) in zip(axes, rows.items(), strict=True):
        shown = {label: (one.image, f"{label}: {one.score:.2f}") for label, one in outcomes.items()}
        shown["truth"] = (truth, task)
        for axis in line:
            axis.set_axis_off()
        for axis, (image, title) in zip(line, shown.values(), strict=False):
            axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_title(title, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _square(picture: NDArray[np.float32], size: int) -> Image:
    """The middle square of a picture (C, H, W), at another size, as (size, size, C)."""
    height, width = picture.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.moveaxis(picture[:, top : top + side, left : left + side], 0, -1)
    return resize(square, size, size).astype(float)


def _adjoint(atom: Callable[..., cp.Expression], y: Image, shape: tuple[int, ...]) -> Any:
    operator = atom(cp.Variable(shape)).operator((), torch.float64, "cpu")
    return operator.adjoint(torch.from_numpy(y))


def _folder(package: str) -> Path | None:
    """Where a package is, without importing it."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    parser.add_argument("--tuned", action="store_true", help="tune the strength of the deep prior too")
    parser.add_argument("--out", type=Path, default=Path("out/restoration"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = ["without a model", "TV (weight)", "deep prior", *["tuned (strength)"] * options.tuned]
    columns += ["with TV, x >= 0", "gain over TV", "s TV", "s deep prior"]
    lines = ["| task | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    print(*lines, sep="\n", flush=True)
    drawn, gains = {}, []
    for name in options.tasks:
        found = dict(run_task(TASKS[name], options.size, options.tuned))
        if not found:
            continue
        line, means = row(name, found)
        print(line, flush=True)
        lines.append(line)
        gains.append(means[2] - means[1])
        first = next(iter(found))
        drawn[name] = (TASKS[name].pictures(options.size)[first], found[first])
        details = "; ".join(
            f"{p} " + " / ".join(f"{o.score:.2f}" for o in one.values()) for p, one in found.items()
        )
        lines.append(f"<!-- {details} -->")
    print(f"\nmean gain over TV {np.mean(gains):+.2f} dB", flush=True)
    draw(options.out / "restoration.png", drawn)
    (options.out / "restoration.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
