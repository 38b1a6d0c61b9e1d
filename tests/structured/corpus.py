"""Convex problems that every algorithm shall solve, small enough for an interior-point method."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np

import cvxprox

SIZE = 8
ATOL = 1e-4


def image(seed: int = 0) -> np.ndarray:
    """Two flat regions and a ramp, with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    scene = np.where(columns > 0.5, 0.8, 0.2) + 0.3 * (rows > 0.6) * columns
    return scene + 0.05 * rng.standard_normal((SIZE, SIZE))


def kernel() -> np.ndarray:
    """A blur that is not symmetric."""
    k = np.array([[1.0, 2.0, 0.5], [2.0, 4.0, 1.0], [0.0, 1.0, 0.5]])
    return k / k.sum()


def tv_deblurring() -> cp.Problem:
    x = cp.Variable((SIZE, SIZE), name="x")
    fit = cp.sum_squares(cvxprox.conv(x, kernel()) - image())
    return cp.Problem(cp.Minimize(0.5 * fit + 0.05 * cvxprox.tv(x, boundary="circular")))


def reflected_tv_denoising() -> cp.Problem:
    x = cp.Variable((SIZE, SIZE + 1), name="x")
    y = np.hstack([image(), image()[:, :1]])
    return cp.Problem(cp.Minimize(cp.sum_squares(x - y) + 0.2 * cvxprox.tv(x, boundary="reflect")))


def lasso() -> cp.Problem:
    rng = np.random.default_rng(1)
    A, b, x = rng.standard_normal((12, 20)), rng.standard_normal(12), cp.Variable(20, name="x")
    return cp.Problem(cp.Minimize(0.5 * cp.sum_squares(A @ x - b) + 0.8 * cp.norm1(x)))


def group_lasso() -> cp.Problem:
    rng = np.random.default_rng(2)
    A, b, x = rng.standard_normal((12, 15)), rng.standard_normal(12), cp.Variable((5, 3), name="x")
    fit = cp.sum_squares(A @ cp.vec(x, order="C") - b)
    return cp.Problem(cp.Minimize(0.5 * fit + cp.sum(cp.norm(x, 2, axis=1))))


def robust_pca() -> cp.Problem:
    rng = np.random.default_rng(3)
    M = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 5))
    M[rng.random(M.shape) < 0.1] += 4
    L, S = cp.Variable(M.shape, name="L"), cp.Variable(M.shape, name="S")
    return cp.Problem(cp.Minimize(cp.normNuc(L) + 0.4 * cp.sum(cp.abs(S))), [L + S == M])


def nonnegative_least_squares() -> cp.Problem:
    rng = np.random.default_rng(4)
    A, b, x = rng.standard_normal((15, 8)), rng.standard_normal(15), cp.Variable(8, name="x")
    return cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b)), [x >= 0])


def sparse_nonnegative() -> cp.Problem:
    rng = np.random.default_rng(9)
    A, b, x = rng.standard_normal((12, 20)), rng.standard_normal(12), cp.Variable(20, name="x")
    fit = 0.5 * cp.sum_squares(A @ x - b)
    return cp.Problem(cp.Minimize(fit + 0.5 * cp.norm1(x)), [x >= -0.1, 2 * x <= 0.4])


def huber_regression() -> cp.Problem:
    rng = np.random.default_rng(5)
    A, x = rng.standard_normal((20, 4)), cp.Variable(4, name="x")
    b = A @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * rng.standard_normal(20)
    b[:3] += 5
    return cp.Problem(cp.Minimize(cp.sum(cp.huber(A @ x - b, 0.5)) + 0.01 * cp.sum_squares(x)))


def support_vector_machine() -> cp.Problem:
    rng = np.random.default_rng(6)
    labels = np.sign(rng.standard_normal(20))
    features = rng.standard_normal((20, 3)) + 0.7 * labels[:, None]
    w, b = cp.Variable(3, name="w"), cp.Variable(name="b")
    hinge = cp.sum(cp.pos(1 - cp.multiply(labels, features @ w + b)))
    return cp.Problem(cp.Minimize(hinge + 0.5 * cp.sum_squares(w)))


def inpainting_in_a_box() -> cp.Problem:
    rng = np.random.default_rng(7)
    x, mask = cp.Variable((SIZE, SIZE), name="x"), (rng.random((SIZE, SIZE)) < 0.6).astype(float)
    fit = cp.sum_squares(cp.multiply(mask, x) - mask * image())
    objective = 5 * fit + 0.3 * cvxprox.tv(x, boundary="circular")
    return cp.Problem(cp.Minimize(objective), [x >= 0.25, x <= 0.75])


def mri_with_tv() -> cp.Problem:
    rng = np.random.default_rng(8)
    x, mask = cp.Variable((SIZE, SIZE), name="x"), (rng.random((SIZE, SIZE)) < 0.5).astype(float)
    mask[0, 0] = 1
    noise = 0.02 * (rng.standard_normal(mask.shape) + 1j * rng.standard_normal(mask.shape))
    y = mask * (np.fft.fft2(image(), norm="ortho") + noise)
    fit = cp.sum_squares(cvxprox.masked_fft(x, mask) - y)
    return cp.Problem(cp.Minimize(0.5 * fit + 0.02 * cvxprox.tv(x, boundary="circular")))


def deblurring_with_cones() -> cp.Problem:
    """An operator beside an equality, a second-order cone and a linear inequality."""
    x = cp.Variable((SIZE, SIZE), name="x")
    fit = cp.sum_squares(cvxprox.conv(x, kernel(), boundary="reflect") - image())
    constraints = [
        cp.sum(x) == 30,
        cp.norm(x[0]) <= 1.2,
        x[2:4, 3] >= x[4:6, 3] - 0.1,
        cvxprox.conv(x, kernel()) <= 0.9,
    ]
    return cp.Problem(cp.Minimize(fit + 0.05 * cp.norm1(cvxprox.grad(x, boundary="circular"))), constraints)


CORPUS: dict[str, Callable[[], cp.Problem]] = {
    build.__name__: build
    for build in (
        tv_deblurring, reflected_tv_denoising, lasso, group_lasso, robust_pca, nonnegative_least_squares,
        sparse_nonnegative, huber_regression, support_vector_machine, inpainting_in_a_box, mri_with_tv,
        deblurring_with_cones,
    )
}  # fmt: skip
"""Problems by name."""
