"""Problems with parameters of every kind, for the tests of binding and of gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

import cvxprox


@dataclass(frozen=True)
class Case:
    """A problem whose parameters have values, and the names of the lanes that it can take."""

    problem: cp.Problem
    gp: bool = False
    lanes: tuple[str, ...] = ("dense", "sparse")

    def tensors(self, requires_grad: bool = False) -> dict[cp.Parameter, Tensor]:
        """The values of the parameters."""
        return {p: torch.tensor(dense(p)).requires_grad_(requires_grad) for p in self.problem.parameters()}

    def batch(self, count: int) -> dict[cp.Parameter, Tensor]:
        """Values near those of the parameters, of as many samples."""
        factors = 1 + 0.05 * torch.arange(count, dtype=torch.float64)
        found = {}
        for p, value in self.tensors().items():
            found[p] = factors.reshape(-1, *(1,) * p.ndim) * value
        return found


def dense(leaf: cp.Parameter) -> np.ndarray:
    """The value as a dense array."""
    value = leaf.value_sparse if leaf.attributes["sparsity"] else leaf.value
    return value.toarray() if sp.issparse(value) else np.asarray(value)


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def _parameter(value: np.ndarray | float, name: str, **attributes: bool) -> cp.Parameter:
    return cp.Parameter(np.shape(value), value=value, name=name, **attributes)


def quadratic_program() -> Case:
    """All data are parameters."""
    L, G, A = (_parameter(_random(m, 5, seed=m), name) for m, name in ((6, "L"), (4, "G"), (2, "A")))
    q, inside = _parameter(_random(5, seed=9), "q"), _random(5, seed=8)
    h = _parameter(G.value @ inside + 0.1 * np.arange(4), "h")
    b = _parameter(A.value @ inside, "b")
    x = cp.Variable(5, name="x")
    return Case(cp.Problem(cp.Minimize(0.5 * cp.sum_squares(L @ x) + q @ x), [G @ x <= h, A @ x == b]))


def quadratic_form() -> Case:
    """P is a parameter with an attribute."""
    root = _random(4, 4)
    P = _parameter(root @ root.T + np.eye(4), "P", PSD=True)
    q = _parameter(_random(4, seed=1), "q")
    x = cp.Variable(4, name="x", bounds=[-0.5, 0.5])
    return Case(cp.Problem(cp.Minimize(0.5 * cp.quad_form(x, P) + q @ x), [cp.sum(x) == 0.2]))


def lasso() -> Case:
    """A weight, a matrix and a right-hand side."""
    A, b = _parameter(_random(8, 5), "A"), _parameter(_random(8, seed=3), "b")
    weight = _parameter(1.5, "weight", nonneg=True)
    x = cp.Variable(5, name="x")
    return Case(cp.Problem(cp.Minimize(0.5 * cp.sum_squares(A @ x - b) + weight * cp.norm1(x))))


def huber() -> Case:
    """The parameter of a function."""
    A, b = _random(9, 3), _parameter(2 * _random(9, seed=3), "b")
    M = _parameter(0.7, "M", nonneg=True)
    x = cp.Variable(3, name="x")
    return Case(cp.Problem(cp.Minimize(cp.sum(cp.huber(A @ x - b, M)) + 0.1 * cp.sum_squares(x))))


def cone_program() -> Case:
    """Second-order cones, all data are parameters."""
    A, c = _parameter(0.5 * _random(3, 4, seed=5), "A"), _parameter(_random(4, seed=6), "c")
    b = _parameter(0.1 * _random(3, seed=7), "b")
    x = cp.Variable(4, name="x")
    cone = cp.SOC(1 + 0.1 * x[0], A @ x + b)
    return Case(cp.Problem(cp.Minimize(c @ x), [cone, cp.sum_squares(x) <= 2]))


def semidefinite_program() -> Case:
    """A symmetric parameter, a semidefinite variable."""
    M = _random(3, 3)
    C, level = _parameter(M + M.T, "C", symmetric=True), _parameter(0.3, "level")
    S = cp.Variable((3, 3), PSD=True, name="S")
    return Case(cp.Problem(cp.Minimize(cp.sum_squares(S - C) + level * cp.trace(S)), [S[0, 1] == 0.1]))


def exponential_cone() -> Case:
    """Entropy and exponentials."""
    a, total = _parameter(_random(3, seed=4), "a"), _parameter(1.3, "total")
    x = cp.Variable(3, name="x")
    objective = cp.Maximize(cp.sum(cp.entr(x)) - cp.sum(cp.exp(a + x)))
    return Case(cp.Problem(objective, [cp.sum(x) == total, cp.log_sum_exp(x) <= 2]))


def products_of_parameters() -> Case:
    """Not DPP: products and functions of parameters, on both sides of a variable too."""
    a, b = _parameter(0.8, "a", pos=True), _parameter(_random(4, seed=2), "b")
    A = _random(6, 4)
    x = cp.Variable(4, name="x")
    fit = cp.sum_squares(cp.exp(a) * A @ x - cp.sqrt(a) * np.ones(6))
    return Case(
        cp.Problem(
            cp.Minimize(0.5 * fit + a * (a * cp.norm1(x))),
            [a * (cp.multiply(b, a * x)) <= 1 + cp.square(b)],
        ),
        lanes=("dense", "structured"),
    )


def complex_variable() -> Case:
    """Complex data and a complex variable."""
    Z = cp.Parameter((4, 2), complex=True, name="Z", value=_random(4, 2) + 1j * _random(4, 2, seed=1))
    weight = _parameter(0.4, "weight", nonneg=True)
    z = cp.Variable(2, complex=True, name="z")
    return Case(cp.Problem(cp.Minimize(cp.sum_squares(Z @ z - 1) + weight * cp.norm1(z))))


def hermitian_variable() -> Case:
    """A Hermitian variable and parameter."""
    M = _random(2, 2) + 1j * _random(2, 2, seed=1)
    C = cp.Parameter((2, 2), hermitian=True, name="C", value=M + M.conj().T)
    H = cp.Variable((2, 2), hermitian=True, name="H")
    return Case(cp.Problem(cp.Minimize(cp.sum_squares(H - C) + cp.real(cp.trace(H))), [H >> 0]))


def diagonal_and_sparse() -> Case:
    """Diagonal variables and parameters, and sparse ones."""
    D = cp.Parameter((3, 3), diag=True, name="D", value=np.diag([1.0, 2.0, 3.0]))
    sparsity = (np.array([0, 1, 2]), np.array([1, 2, 0]))
    S = cp.Parameter((3, 3), sparsity=sparsity, name="S")
    S.value_sparse = sp.coo_array(([0.5, -1.0, 2.0], sparsity), shape=(3, 3))
    X, x = cp.Variable((3, 3), diag=True, name="X"), cp.Variable(3, name="x")
    fit = cp.sum_squares(X @ np.ones(3) - D @ x) + cp.sum_squares(S @ x - 1) + cp.sum_squares(x)
    return Case(cp.Problem(cp.Minimize(fit + cp.trace(X))))


def geometric_program() -> Case:
    """In logarithms."""
    a, b = _parameter(2.0, "a", pos=True), _parameter(1.0, "b", pos=True)
    x, y, z = (cp.Variable(pos=True, name=name) for name in "xyz")
    return Case(
        cp.Problem(cp.Minimize(1 / (x * y * z)), [a * (x * y + x * z + y * z) <= b, x >= y**0.5]), gp=True
    )


def deblurring() -> Case:
    """A kernel as a parameter."""
    image = np.clip(_random(6, 6) * 0.2 + 0.5, 0, 1)
    kernel = _parameter(np.array([[0.0, 0.1, 0.0], [0.2, 0.5, 0.1], [0.0, 0.1, 0.0]]), "kernel")
    y, weight = _parameter(image, "y"), _parameter(0.05, "weight", nonneg=True)
    x = cp.Variable((6, 6), name="x")
    fit = cp.sum_squares(cvxprox.conv(x, kernel) - y)
    return Case(
        cp.Problem(cp.Minimize(fit + weight * cvxprox.tv(x)), [x >= 0]), lanes=("dense", "structured")
    )


def quadratic_constraint() -> Case:
    """A parameter that CVXPY's cone form factorises."""
    root = _random(3, 3)
    P, c = _parameter(root @ root.T + np.eye(3), "P", PSD=True), _parameter(_random(3, seed=1), "c")
    x = cp.Variable(3, name="x")
    return Case(cp.Problem(cp.Minimize(c @ x), [cp.quad_form(x, P) <= 1]))


CASES: dict[str, Callable[[], Case]] = {
    make.__name__: make
    for make in (
        quadratic_program, quadratic_form, lasso, huber, cone_program, semidefinite_program, exponential_cone,
        products_of_parameters, complex_variable, hermitian_variable, diagonal_and_sparse, geometric_program,
        deblurring, quadratic_constraint,
    )
}  # fmt: skip
