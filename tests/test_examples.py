"""The examples and the benchmark of restorations, on tiny pictures."""

from __future__ import annotations

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
    sys.modules.pop("show", None)


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
