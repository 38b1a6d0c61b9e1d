"""The examples and the benchmark of restorations, on tiny pictures."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cvxpy as cp
import numpy as np
import pytest
import torch

import cvxprox

for package in ("matplotlib", "skimage"):
    pytest.importorskip(package)

FOLDER = Path(__file__).parents[1] / "examples"
SIZE = 48


@pytest.fixture(scope="module", autouse=True)
def _examples_are_importable() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))
    for name in ("show", "learning", "learn_unrolled"):
        sys.modules.pop(name, None)


def example(name: str) -> ModuleType:
    """The module of an example, by its path."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_demo() -> None:
    demo = example("demo")
    truth = demo.photograph("camera", SIZE)
    y = demo.blurred(truth, 0.01)
    scores = {}
    for model in (demo.with_tv, demo.with_prior):
        image, _ = demo.restored(*model(y, 0.01))
        scores[model] = demo.psnr(image, truth)
    assert scores[demo.with_tv] > demo.psnr(y, truth) + 2
    assert scores[demo.with_prior] > scores[demo.with_tv] + 0.5


def test_deblur() -> None:
    deblur = example("deblur")
    truth, psf = deblur.photograph("astronaut", SIZE, colour=True), deblur.shake()
    rng = np.random.default_rng(0)
    b = deblur.blur(cp.Constant(truth), psf).value + deblur.NOISE * rng.standard_normal(truth.shape)
    x, problem = deblur.deblurred(b, psf)
    assert problem.status == "fixed_point" and x.min() > -0.02
    assert deblur.psnr(x, truth) > deblur.psnr(b, truth) + 6


def test_inpaint() -> None:
    inpaint = example("inpaint")
    truth, exact, noisy, y = inpaint.scene(SIZE)
    problem, x = inpaint.inpainting(exact, noisy, y, truth.mean())
    problem.solve(solver="NABLA_ADMM", eps_abs=1e-2, eps_rel=1e-2)
    assert problem.status == "optimal"
    assert max(float(np.max(constraint.violation())) for constraint in problem.constraints) < 0.01
    assert inpaint.psnr(x.value, truth) > 20


def test_demosaic() -> None:
    demosaic = example("demosaic")
    truth = demosaic.photograph("chelsea", SIZE, colour=True)
    y = cvxprox.mosaic(cp.Constant(truth), "RGGB").value
    y = y + demosaic.NOISE * np.random.default_rng(0).standard_normal(y.shape)
    simple = demosaic.psnr(demosaic.bilinear(y), truth)
    smooth, problem = demosaic.demosaicked(y, "tv")
    assert problem.status == "optimal" and demosaic.psnr(smooth, truth) > simple - 1
    deep, problem = demosaic.demosaicked(y, "deep")
    assert problem.status == "fixed_point" and demosaic.psnr(deep, truth) > simple + 2


def test_mri() -> None:
    if importlib.util.find_spec("dipy") is None:
        pytest.importorskip("nilearn")
    mri = example("mri")
    truth, mask = mri.brain(64), mri.sampling(64)
    assert truth.shape == (64, 64) and 0.23 < mask.mean() < 0.27
    y = mri.measured(truth, mask)
    zero_filled = mri.psnr(np.fft.ifft2(y, norm="ortho").real, truth)
    for deep in (False, True):
        image, _ = mri.reconstructed(y, mask, deep)
        assert mri.psnr(image, truth) > zero_filled + 3


def test_phase_retrieval() -> None:
    phases = example("phase_retrieval")
    truth, masks = phases.photograph("camera", SIZE), phases.patterns(SIZE)
    magnitudes = [np.abs(phases.transform(cp.Constant(truth), mask).value) for mask in masks]
    problem, x = phases.retrieval(masks, magnitudes)
    problem.solve(solver="NABLA_ADMM", eps_abs=1e-3, eps_rel=1e-3, max_iter=1000)
    assert problem.status == "fixed_point" and phases.psnr(x.value, truth) > 40


def test_learned_operator() -> None:
    learning = example("learned_operator")
    torch.manual_seed(0)
    sharp = [learning.photograph(name, 64) for name in ("coffee", "brick")]
    blur = learning.learned([(image, learning.camera(image, k)) for k, image in enumerate(sharp)])
    truth = learning.photograph("camera", SIZE)
    y = learning.camera(truth, 9)
    x, problem = learning.deblurred(y, blur)
    assert problem.status == "fixed_point"
    assert learning.psnr(x, truth) > learning.psnr(y, truth) + 1.5


def test_learn_kernel() -> None:
    learning = example("learn_kernel")
    data = learning.pairs(("astronaut", "coins"), 32)
    truth = torch.tensor(learning.true_kernel())
    first = learning.Deblurring(32)
    model, history = learning.learned(data, epochs=8)
    assert history.losses[-1] < 0.8 * history.losses[0]
    assert (model.kernel() - truth).norm() < 0.9 * (first.kernel() - truth).norm()
    assert model.kernel().sum().item() == pytest.approx(1)


@pytest.fixture(scope="module")
def patches_and_denoiser() -> tuple[torch.Tensor, torch.nn.Module]:
    """Four batches of patches and a network that has learned a little on them."""
    import learning

    clean = learning.patches(("coins", "brick", "page", "rocket"), 4)
    return clean, learning.denoiser(clean, epochs=60)


def test_learn_unrolled(patches_and_denoiser: tuple[torch.Tensor, torch.nn.Module]) -> None:
    unrolling, (clean, network) = example("learn_unrolled"), patches_and_denoiser
    network = copy.deepcopy(network)
    sharp = unrolling.photographs(("camera",), SIZE)
    seen = unrolling.camera(sharp, seed=1)
    solver = unrolling.unrolled(network)
    before = unrolling.restored(solver, network, seen)
    history = unrolling.train(solver, network, clean, epochs=8)
    after = unrolling.restored(solver, network, seen)
    assert history.validation[-1] < 0.95 * history.validation[0]
    assert unrolling.mean_psnr(after, sharp) > unrolling.mean_psnr(before, sharp) + 0.1
    assert unrolling.mean_psnr(unrolling.with_tv(seen), sharp) > unrolling.mean_psnr(seen, sharp) + 2


def test_learn_equilibrium(patches_and_denoiser: tuple[torch.Tensor, torch.nn.Module]) -> None:
    fixed, (clean, network) = example("learn_equilibrium"), patches_and_denoiser
    weight = cvxprox.Parameter(value=torch.nn.Parameter(torch.tensor(1.0)), pos=True, name="weight")
    solver = fixed.equilibrium((fixed.BATCH, fixed.SIDE, fixed.SIDE), network, weight)
    history = fixed.train(solver, network, clean, epochs=8)
    assert solver.status.name == "FIXED_POINT"
    assert history.losses[-1] < 0.9 * history.losses[0]
    y = fixed.camera(clean[: fixed.BATCH], seed=2)
    strict = {"refine": 0, "eps_abs": 1e-9, "eps_rel": 1e-9}
    few, many = (fixed.kept(cvxprox.specialize(solver, "jfb", max_iter=n, **strict), y) for n in (3, 12))
    assert many < 1.1 * few
    unrolled = fixed.unrolled(network)
    few, many = (fixed.kept(cvxprox.specialize(unrolled, "unroll", max_iter=n), y) for n in (3, 12))
    assert many > 2 * few


def test_drawing(tmp_path: Path) -> None:
    show = example("show")
    truth = show.photograph("coffee", 16)
    show.draw(tmp_path / "deep" / "picture.png", truth, {"noisy": truth + 0.1}, slice(4, 8))
    assert (tmp_path / "deep" / "picture.png").stat().st_size > 1000


TASKS = ("inpainting, 60% missing", "2x super-resolution", "deblurring 9x9, colour", "demosaicking")


@pytest.mark.parametrize("name", TASKS)
def test_restoration(name: str) -> None:
    from benchmarks import restoration

    task = restoration.TASKS[name]
    picture, truth = next(iter(task.pictures(SIZE).items()))
    y = restoration.measurements(task, truth)
    simple = restoration.psnr(task.simple(y, truth.shape), truth)
    problem = restoration.with_prior(task, cp.Variable(truth.shape), y)
    assert restoration.restored(problem, truth).score > simple + 1, picture


def test_the_table_of_restorations(tmp_path: Path) -> None:
    from benchmarks import restoration

    truth = np.full((16, 16), 0.5)
    outcome = restoration.Outcome(truth, 20.0, 0.5)
    found = {"one": {"without a model": outcome, "TV, weight 0.1": outcome, "deep prior": outcome}}
    line, means = restoration.row("blur", found)
    assert line == "| blur | 20.00 | 20.00 (0.1) | 20.00 | +0.00 | 0.5 | 0.5 |" and means == [20.0] * 3
    restoration.draw(tmp_path / "picture.png", {"blur": (truth, found["one"])})
    assert (tmp_path / "picture.png").exists()
