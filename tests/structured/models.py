"""Small models of every kind that the compiler treats in a way of its own."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np

import cvxprox
from tests.structured.corpus import image, kernel

SIZE = 8


def picture(name: str = "x", **attributes: bool) -> cp.Variable:
    return cp.Variable((SIZE, SIZE), name=name, **attributes)


def mask(seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((SIZE, SIZE)) < 0.6).astype(float)


def minimize(objective: cp.Expression, *constraints: cp.Constraint) -> cp.Problem:
    return cp.Problem(cp.Minimize(objective), list(constraints))


def blurred(x: cp.Expression) -> cp.Expression:
    return cp.sum_squares(cvxprox.conv(x, kernel()) - image())


def bounded() -> cp.Problem:
    x = picture()
    return minimize(blurred(x) + 0.05 * cvxprox.tv(x, boundary="circular"), x >= 0.3)


def complex_variable() -> cp.Problem:
    z, m = picture("z", complex=True), mask()
    y = m * np.fft.fft2(image(), norm="ortho")
    return minimize(cp.sum_squares(cvxprox.masked_fft(z, m) - y) + 0.05 * cp.sum(cp.abs(z)))


def complex_total_variation() -> cp.Problem:
    z, m = picture("z", complex=True), mask()
    y = m * np.fft.fft2(image(), norm="ortho")
    return minimize(cp.sum_squares(cvxprox.masked_fft(z, m) - y) + 0.05 * cvxprox.tv(z, boundary="circular"))


def operator_in_an_equation() -> cp.Problem:
    x, m = picture(), mask(1)
    return minimize(cvxprox.tv(x), cvxprox.masked_fft(x, m) == m * np.fft.fft2(image(), norm="ortho"))


def operator_in_an_inequality() -> cp.Problem:
    x = picture()
    return minimize(cp.sum_squares(x - image()), cvxprox.conv(x, kernel()) <= 0.5)


def total_variation_as_a_bound() -> cp.Problem:
    x = picture()
    return minimize(cp.sum_squares(x - image()), cvxprox.tv(x) <= 3)


def concave() -> cp.Problem:
    x = picture()
    return cp.Problem(cp.Maximize(-blurred(x) - 0.1 * cvxprox.tv(x)))


def operator_in_the_linear_objective() -> cp.Problem:
    x = picture()
    return minimize(cp.sum(cp.multiply(image(), cvxprox.conv(x, kernel()))), cp.norm(x, "fro") <= 1)


def two_images() -> cp.Problem:
    u, v = picture("u"), picture("v")
    cartoon, texture = cvxprox.tv(u, boundary="circular"), cp.norm1(cvxprox.dct(v))
    return minimize(cp.sum_squares(u + v - image()) + 0.1 * cartoon + 0.1 * texture)


def sparse_in_a_basis() -> cp.Problem:
    x, m = picture(), mask(2)
    fit = cp.sum_squares(cp.multiply(m, x) - m * image())
    return minimize(fit + 0.05 * cp.norm1(cvxprox.dct(x)))


def photons() -> cp.Problem:
    x = picture()
    counts = np.random.default_rng(3).poisson(20 * image()).astype(float)
    counted = cvxprox.poisson(cvxprox.conv(x, kernel()) + 0.01, counts)
    return minimize(counted + 0.5 * cvxprox.tv(x), x >= 0)


def super_resolution() -> cp.Problem:
    x = picture()
    small = cvxprox.subsample(cvxprox.conv(x, kernel()), 2)
    fit = cp.sum_squares(small - image()[::2, ::2])
    return minimize(fit + 0.05 * cvxprox.tv(x, boundary="circular"), x >= 0)


def demosaicking() -> cp.Problem:
    x = cp.Variable((SIZE, SIZE, 3), name="x")
    raw = np.random.default_rng(4).random((SIZE, SIZE))
    return minimize(cp.sum_squares(cvxprox.mosaic(x) - raw) + 0.05 * cvxprox.tv(x, axes=(0, 1)))


def robust_fit() -> cp.Problem:
    x = picture()
    misfit = cp.sum(cp.huber(cvxprox.conv(x, kernel()) - image(), 0.1))
    return minimize(misfit + 0.05 * cvxprox.tv(x))


def symmetric_variable() -> cp.Problem:
    x = picture(symmetric=True)
    return minimize(blurred(x) + 0.1 * cp.norm1(x))


def nonnegative_variable() -> cp.Problem:
    x = picture(nonneg=True)
    return minimize(blurred(x) + 0.1 * cp.norm1(x))


def quadratic_form() -> cp.Problem:
    x = picture()
    corner = cp.quad_form(cp.vec(x, order="C")[:4], np.diag([1.0, 2.0, 3.0, 4.0]))
    return minimize(corner + blurred(x))


def spectral_camera() -> cp.Problem:
    """Bands that are coded, shifted and added up on the sensor."""
    rng = np.random.default_rng(5)
    x = cp.Variable((3, SIZE, SIZE), name="x")
    codes = (rng.random((3, SIZE, SIZE)) < 0.5).astype(float)
    seen = cp.sum(cp.multiply(codes, x), axis=0)
    return minimize(cp.sum_squares(seen - rng.random((SIZE, SIZE))) + 0.02 * cvxprox.tv(x, axes=(1, 2)))


def weighted_group_norm() -> cp.Problem:
    x = picture()
    return minimize(cp.sum_squares(x - image()) + 0.3 * cvxprox.group_norm(x, axes=0))


def bound_with_weights() -> cp.Problem:
    x = picture()
    return minimize(cp.sum_squares(x - image()), cp.multiply(1 + mask(6), x) <= 0.6, cvxprox.tv(x) <= 5)


MODELS: dict[str, Callable[[], cp.Problem]] = {
    build.__name__: build
    for build in (
        bounded,
        complex_variable,
        complex_total_variation,
        operator_in_an_equation,
        operator_in_an_inequality,
        total_variation_as_a_bound,
        concave,
        operator_in_the_linear_objective,
        two_images,
        sparse_in_a_basis,
        photons,
        super_resolution,
        demosaicking,
        robust_fit,
        symmetric_variable,
        nonnegative_variable,
        quadratic_form,
        spectral_camera,
        weighted_group_norm,
        bound_with_weights,
    )
}

CLOSED_FORMS = {
    "bounded": "Fourier-diagonal",
    "two_images": "2×2 systems",
    "sparse_in_a_basis": "diagonal on x",
    "super_resolution": "Woodbury",
    "demosaicking": "Fourier-diagonal",
    "nonnegative_variable": "Fourier-diagonal",
    "weighted_group_norm": "diagonal on x",
}
"""Models whose linear systems have a closed form, and what the plan says of it."""
