"""The problems, with what gradients are taken of as parameters of a CVXPY problem."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cvxpy as cp
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.imaging.instances import Instance as Deblurring
from benchmarks.imaging.instances import instance as deblurring

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """A CVXPY problem with its parameters, in the order of the data, and the variable that is returned."""

    problem: cp.Problem
    parameters: list[cp.Parameter]
    x: cp.Variable


@dataclass(frozen=True, eq=False)
class Instance:
    """Samples of one problem.

    Attributes
    ----------
    family : str
        The name in `FAMILIES`.
    size : int
        The number of variables n; of pixels along an edge for "tv".
    data : dict of str to ndarray
        The values of every parameter by its name, (samples, *shape).
    cotangent : ndarray, (samples, *shape of x)
        The gradients are those of the sum of ``cotangent * x``.
    build : callable
        Makes the problem anew.
    batched : bool
        Whether a solver gets all samples at once. Otherwise there is one, without a batch dimension.
    """

    family: str
    size: int
    data: dict[str, Array]
    cotangent: Array
    build: Callable[[], Model]
    batched: bool = True

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.cotangent)

    @property
    def name(self) -> str:
        """Family, size and the number of samples, for the tables."""
        return f"{self.family}, n = {self.size}" + (f", {self.samples} samples" if self.batched else "")

    def sample(self, index: int) -> dict[str, Array]:
        """The data of one sample."""
        return {name: value[index] for name, value in self.data.items()}

    def tensors(self) -> list[Tensor]:
        """The data as new tensors that require gradients, in the order of the parameters."""
        values = self.data.values() if self.batched else self.sample(0).values()
        return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]


def qp(n: int, samples: int, seed: int = 0) -> Instance:
    r"""Dense quadratic programs with n inequalities and n/2 equations.

    .. math:: \text{minimise } \tfrac12 \|Lx\|^2 + q^T x \quad \text{subject to} \quad Gx \le h, \; Ax = b
    """
    rng = np.random.default_rng(seed)
    m, p = n, n // 2
    point = rng.standard_normal((samples, n))
    factor = np.eye(n) + rng.standard_normal((samples, n, n)) / np.sqrt(n)
    G, A = rng.standard_normal((samples, m, n)), rng.standard_normal((samples, p, n))
    data = dict(
        L=factor, q=rng.standard_normal((samples, n)), G=G, h=_apply(G, point) + rng.random((samples, m)),
        A=A, b=_apply(A, point),
    )  # fmt: skip
    return Instance("qp", n, data, rng.standard_normal((samples, n)), partial(_qp_model, n, m, p))


def _qp_model(n: int, m: int, p: int) -> Model:
    x = cp.Variable(n)
    L, G, A = cp.Parameter((n, n)), cp.Parameter((m, n)), cp.Parameter((p, n))
    q, h, b = cp.Parameter(n), cp.Parameter(m), cp.Parameter(p)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(L @ x) + q @ x), [G @ x <= h, A @ x == b])
    return Model(problem, [L, q, G, h, A, b], x)


def lasso(n: int, samples: int, seed: int = 0) -> Instance:
    r"""Least squares on n/2 points with an :math:`\ell_1` penalty, a tenth of the one that makes x zero.

    .. math:: \text{minimise } \tfrac12 \|Ax - b\|^2 + \lambda \|x\|_1
    """
    rng = np.random.default_rng(seed)
    m = n // 2
    A = rng.standard_normal((samples, m, n)) / np.sqrt(m)
    truth = rng.standard_normal((samples, n)) * (rng.random((samples, n)) < 0.05)
    b = _apply(A, truth) + 0.1 * rng.standard_normal((samples, m))
    weight = 0.1 * np.abs(_apply(A.swapaxes(1, 2), b)).max(axis=1)
    return Instance(
        "lasso",
        n,
        dict(A=A, b=b, weight=weight),
        rng.standard_normal((samples, n)),
        partial(_lasso_model, n, m),
    )


def _lasso_model(n: int, m: int) -> Model:
    x = cp.Variable(n)
    A, b, weight = cp.Parameter((m, n)), cp.Parameter(m), cp.Parameter(nonneg=True)
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(A @ x - b) + weight * cp.norm1(x)))
    return Model(problem, [A, b, weight], x)


CONES = 3


def socp(n: int, samples: int, seed: int = 0) -> Instance:
    r"""Second-order cone programs with three cones of n/2 + 1 rows and n/2 equations.

    .. math::
        \text{minimise } f^T x \quad \text{subject to} \quad \|A_i x + b_i\| \le c_i^T x + d_i, \; Fx = g

    The data have a strictly feasible point, and so has the dual problem: there is a solution.
    """
    rng = np.random.default_rng(seed)
    rows, p = n // 2, n // 2
    point = rng.standard_normal((samples, n))
    F = rng.standard_normal((samples, p, n))
    f = _apply(F.swapaxes(1, 2), rng.standard_normal((samples, p)))
    data = dict(f=f, F=F, g=_apply(F, point))
    for i in range(CONES):
        A, b = rng.standard_normal((samples, rows, n)), rng.standard_normal((samples, rows))
        c, dual = rng.standard_normal((samples, n)), rng.standard_normal((samples, rows))
        slack = 0.5 + rng.random(samples)
        f += _apply(A.swapaxes(1, 2), dual) + (np.linalg.norm(dual, axis=1) + 0.5)[:, None] * c
        d = np.linalg.norm(_apply(A, point) + b, axis=1) - np.sum(c * point, axis=1) + slack
        data |= {f"A{i}": A, f"b{i}": b, f"c{i}": c, f"d{i}": d}
    return Instance("socp", n, data, rng.standard_normal((samples, n)), partial(_socp_model, n, rows, p))


def _socp_model(n: int, rows: int, p: int) -> Model:
    x = cp.Variable(n)
    f, F, g = cp.Parameter(n), cp.Parameter((p, n)), cp.Parameter(p)
    parameters, constraints = [f, F, g], [F @ x == g]
    for _ in range(CONES):
        A, b, c, d = cp.Parameter((rows, n)), cp.Parameter(rows), cp.Parameter(n), cp.Parameter()
        parameters += [A, b, c, d]
        constraints.append(cp.SOC(c @ x + d, A @ x + b))
    return Model(cp.Problem(cp.Minimize(f @ x), constraints), parameters, x)


def parameter(n: int, samples: int = 1, seed: int = 0) -> Instance:
    r"""Least squares above a floor, zero here, with one n x n parameter and two vectors; a single sample.

    .. math:: \text{minimise } \|Ax - b\|^2 \quad \text{subject to} \quad x \ge l
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((1, n, n)) / np.sqrt(n)
    data = dict(A=A, b=rng.standard_normal((1, n)), floor=np.zeros((1, n)))
    return Instance(
        "parameter", n, data, rng.standard_normal((1, n)), partial(_parameter_model, n), batched=False
    )


def _parameter_model(n: int) -> Model:
    x, A, b, floor = cp.Variable(n), cp.Parameter((n, n)), cp.Parameter(n), cp.Parameter(n)
    return Model(cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b)), [x >= floor]), [A, b, floor], x)


def tv(n: int, samples: int = 1) -> Instance:
    r"""Total-variation deblurring of a photograph of n x n pixels, with the blur's kernel as the parameter.

    The gradient is that of half the squared distance to the sharp photograph, taken at the blurred one.
    """
    image = deblurring("deblur", n)
    assert image.kernel is not None
    data, error = dict(kernel=image.kernel[None]), image.data - image.truth
    return Instance("tv", n, data, error[None], partial(_tv_model, image), batched=False)


def _tv_model(image: Deblurring) -> Model:
    atoms: Any = importlib.import_module("cvxprox")
    x, kernel = cp.Variable(image.data.shape), cp.Parameter((9, 9))
    fidelity = 0.5 * cp.sum_squares(atoms.conv(x, kernel) - image.data)
    return Model(cp.Problem(cp.Minimize(fidelity + image.weight * atoms.tv(x))), [kernel], x)


def _apply(matrices: Array, vectors: Array) -> Array:
    """The product of every sample's matrix and vector."""
    return np.einsum("bij,bj->bi", matrices, vectors)


@dataclass(frozen=True)
class Family:
    """How instances of one kind are made, and the sizes and the samples that are measured by default."""

    make: Callable[..., Instance]
    sizes: tuple[int, ...]
    samples: int


FAMILIES = {
    "qp": Family(qp, (10, 50, 100), 128),
    "lasso": Family(lasso, (1000,), 8),
    "socp": Family(socp, (30,), 32),
    "parameter": Family(parameter, (600,), 1),
    "tv": Family(tv, (256,), 1),
}
