"""Draw the pictures of the documentation into this folder: ``python docs/figures/draw.py``."""

from __future__ import annotations

from pathlib import Path

import cvxpy as cp
import matplotlib
import numpy as np
from skimage import data, transform

import cvxprox

matplotlib.use("Agg")
from matplotlib import pyplot as plt

FOLDER = Path(__file__).parent
EPS = 1e-9
VARIANTS = {
    "fixed penalties": ("#8a8a8a", "-", {"adaptive_rho": False, "polish": False}),
    "one adapted factor": ("#d9730d", "--", {"adaptive_rho": "scalar", "polish": False}),
    "spectral penalties": ("#0b6e99", "-", {"polish": False}),
    "spectral penalties, Newton polish": ("#1f7a3a", "--", {"polish": True}),
}


def portfolio(rng: np.random.Generator) -> cp.Problem:
    """A long-only factor model with a penalty on turnover."""
    assets, factors = 400, 20
    F, D = rng.standard_normal((assets, factors)), rng.random(assets) * factors**0.5
    mu, before = rng.standard_normal(assets), rng.dirichlet(np.ones(assets))
    x, y = cp.Variable(assets), cp.Variable(factors)
    risk = cp.sum_squares(y) + cp.sum_squares(cp.multiply(np.sqrt(D), x))
    trade = 0.01 * cp.norm1(x - before)
    return cp.Problem(cp.Minimize(risk - mu @ x + trade), [y == F.T @ x, cp.sum(x) == 1, x >= 0])


def group_lasso(rng: np.random.Generator) -> cp.Problem:
    """Least squares with a norm on every group of ten coefficients."""
    groups, rows = 40, 150
    A = rng.standard_normal((rows, 10 * groups))
    truth = rng.standard_normal((groups, 10)) * (rng.random((groups, 1)) < 0.2)
    b = A @ truth.ravel() + 0.1 * rng.standard_normal(rows)
    X = cp.Variable((groups, 10))
    penalty = cp.sum(cp.norm(X, axis=1))
    return cp.Problem(cp.Minimize(0.5 * cp.sum_squares(A @ cp.vec(X, order="C") - b) + 20 * penalty))


def convergence(path: Path) -> None:
    """The largest residual against the iteration, for four ways to run ADMM."""
    models = {"Portfolio": portfolio, "Group lasso": group_lasso}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
    for axis, (title, model) in zip(axes, models.items(), strict=True):
        for label, (colour, line, options) in VARIANTS.items():
            problem = model(np.random.default_rng(0))
            problem.solve(solver="NABLA_ADMM", eps_abs=EPS, eps_rel=EPS, max_iter=2000, **options)
            extra = problem.solver_stats.extra_stats
            records = [(r["iteration"], max(r["primal"], r["dual"], r["gap"])) for r in extra["history"]]
            if extra["polished"]:
                last = (extra["primal_residual"], extra["dual_residual"], extra["gap"])
                records.append((problem.solver_stats.num_iters, max(last)))
            iterations, residual = zip(*records, strict=True)
            shown = np.maximum(residual, 1e-13)
            axis.semilogy(iterations, shown, line, color=colour, label=label, linewidth=1.8)
            axis.plot(iterations[-1], shown[-1], "o", color=colour, markersize=4)
        axis.set(title=title, xlabel="iteration")
        axis.set_xlim(0, 600)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("largest residual")
    axes[1].legend(frameon=False, fontsize=8, loc="upper right")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def inpainting(path: Path, size: int = 192, missing: float = 0.4, noise: float = 0.05) -> None:
    """A photograph before and after its restoration by total variation."""
    rng = np.random.default_rng(0)
    original = transform.resize(data.camera() / 255, (size, size), anti_aliasing=True)
    known = (rng.random((size, size)) >= missing).astype(float)
    seen = known * np.clip(original + noise * rng.standard_normal((size, size)), 0, 1)
    x = cp.Variable((size, size))
    fit = cp.sum_squares(cp.multiply(known, x) - seen)
    problem = cp.Problem(cp.Minimize(20 * fit + cvxprox.tv(x)), [x >= 0, x <= 1])
    problem.solve(solver="NABLA_ADMM", eps_abs=1e-4, eps_rel=1e-4)
    pictures = {f"seen, {missing:.0%} missing": seen, "restored": x.value, "original": original}
    figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.75), layout="constrained")
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def blocks(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image of flat squares, a kernel, and the blurred image with noise, as in `docs/matrix_free.md`."""
    truth, kernel = np.kron(rng.random((8, 8)), np.ones((16, 16))), np.ones((5, 5)) / 25
    return truth, kernel, cvxprox.conv(truth, kernel).value + 0.01 * rng.standard_normal(truth.shape)


def plan(path: Path) -> None:
    """What the compiler makes of a deblurring problem."""
    truth, kernel, seen = blocks(np.random.default_rng(0))
    x = cp.Variable(truth.shape, name="x")
    fit = cp.sum_squares(cvxprox.conv(x, kernel) - seen)
    smooth = cvxprox.tv(x, boundary="circular")
    problem = cp.Problem(cp.Minimize(fit + 0.005 * smooth), [x >= 0, x <= 1])
    plt.close(cvxprox.explain(problem, measure=False).plot(path))


def terms(path: Path) -> None:
    """How the terms of a deblurring problem with outliers converge."""
    rng = np.random.default_rng(0)
    truth, kernel, seen = blocks(rng)
    x, s = cp.Variable(truth.shape, name="x"), cp.Variable(truth.shape, name="s")
    dirty = np.where(rng.random(truth.shape) < 0.02, 1.0, seen)
    robust = cp.sum_squares(cvxprox.conv(x, kernel) + s - dirty)
    smooth = cvxprox.tv(x, boundary="circular")
    both = cp.Problem(cp.Minimize(robust + 0.01 * smooth + 0.1 * cp.norm1(s)), [x >= 0, x <= 1])
    both.solve(solver="NABLA_ADMM", eps_abs=1e-4, eps_rel=1e-4)
    cvxprox.plot_convergence(both, path)


if __name__ == "__main__":
    plan(FOLDER / "plan.png")
    terms(FOLDER / "terms.png")
    convergence(FOLDER / "convergence.png")
    inpainting(FOLDER / "inpainting.png")
