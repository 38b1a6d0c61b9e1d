"""Problems whose solutions are differentiated: those of CVXPY's own tests of derivatives, and more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

import cvxprox

Build = Callable[[np.random.Generator], cp.Problem]


@dataclass(frozen=True)
class Case:
    """A problem with a unique solution that is smooth in the parameters where they stand."""

    build: Build
    gp: bool = False
    dpp: bool = True

    def problem(self) -> cp.Problem:
        return self.build(np.random.default_rng(3))


CASES: dict[str, Case] = {}


def case(gp: bool = False, dpp: bool = True) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        CASES[build.__name__] = Case(build, gp, dpp)
        return build

    return add


@case()
def scalar_quadratic(rng: np.random.Generator) -> cp.Problem:
    x, b = cp.Variable(), cp.Parameter(value=3.0)
    return cp.Problem(cp.Minimize(cp.square(x - 2 * b)), [x >= 0])


@case()
def l1_square(rng: np.random.Generator) -> cp.Problem:
    L = rng.standard_normal((3, 3))
    A, b = cp.Parameter((3, 3), value=L.T @ L + np.eye(3)), cp.Parameter(3, value=rng.standard_normal(3))
    return cp.Problem(cp.Minimize(cp.pnorm(A @ cp.Variable(3) - b, p=1)))


@case()
def l1_rectangle(rng: np.random.Generator) -> cp.Problem:
    A = cp.Parameter((3, 2), value=rng.standard_normal((3, 2)))
    b = cp.Parameter(3, value=rng.standard_normal(3))
    return cp.Problem(cp.Minimize(cp.pnorm(A @ cp.Variable(2) - b, p=1)))


@case()
def least_squares(rng: np.random.Generator) -> cp.Problem:
    A = cp.Parameter((20, 5), value=rng.standard_normal((20, 5)))
    b, x = cp.Parameter(20, value=rng.standard_normal(20)), cp.Variable(5)
    return cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b) + cp.sum_squares(x)))


@case()
def logistic_regression(rng: np.random.Generator) -> cp.Problem:
    X = cp.Parameter((5, 2), value=rng.standard_normal((5, 2)))
    labels, a = np.array([[1.0], [0], [0], [1], [1]]), cp.Variable((2, 1))
    weight = cp.Parameter(nonneg=True, value=1.0)
    scores = X @ a
    softplus = cp.log_sum_exp(cp.hstack([np.zeros((5, 1)), scores]), axis=1, keepdims=True)
    likelihood = cp.sum(cp.multiply(labels, scores) - softplus)
    return cp.Problem(cp.Minimize(weight * cp.sum_squares(a) - likelihood))


@case()
def entropy_maximization(rng: np.random.Generator) -> cp.Problem:
    inside = rng.uniform(0.1, 1.0, 5)
    A = cp.Parameter((3, 5), value=rng.standard_normal((3, 5)))
    F = cp.Parameter((2, 5), value=rng.standard_normal((2, 5)))
    b = cp.Parameter(3, value=A.value @ inside)
    g = cp.Parameter(2, value=F.value @ inside + rng.uniform(0.0, 1.0, 2))
    x = cp.Variable(5)
    return cp.Problem(cp.Maximize(cp.sum(cp.entr(x)) - cp.sum_squares(x)), [A @ x == b, F @ x <= g])


@case()
def limited_multi_label(rng: np.random.Generator) -> cp.Problem:
    x, y = cp.Parameter(4, value=np.array([1.0, -1, -1, -1])), cp.Variable(4)
    return cp.Problem(cp.Minimize(-x @ y - cp.sum(cp.entr(y)) - cp.sum(cp.entr(1.0 - y))), [cp.sum(y) == 2])


@case()
def semidefinite(rng: np.random.Generator) -> cp.Problem:
    C = cp.Parameter((3, 3), value=rng.standard_normal((3, 3)))
    X, inside = cp.Variable((3, 3), PSD=True), np.eye(3)
    constraints = []
    for _ in range(3):
        A = cp.Parameter((3, 3), value=rng.standard_normal((3, 3)))
        b = cp.Parameter((1, 1), value=[[np.trace(A.value @ inside)]])
        constraints.append(cp.trace(A @ X) == b)
    return cp.Problem(cp.Minimize(cp.trace(C @ X) + cp.sum_squares(X)), constraints)


@case()
def sparse_variable(rng: np.random.Generator) -> cp.Problem:
    x, b = cp.Variable((2, 2), sparsity=[(0, 1), (1, 0)]), cp.Parameter(2, value=np.array([1.0, 2.0]))
    return cp.Problem(cp.Minimize(cp.sum(x)), [cp.sum(x, axis=0) >= b])


@case()
def real_and_imaginary_part(rng: np.random.Generator) -> cp.Problem:
    p, x, y = cp.Parameter(complex=True, value=3.0 + 4.0j), cp.Variable(), cp.Variable()
    return cp.Problem(cp.Minimize(cp.square(x - cp.real(p)) + cp.square(y - cp.imag(p))))


@case()
def complex_bounds(rng: np.random.Generator) -> cp.Problem:
    p, x, y = cp.Parameter(complex=True, value=3.0 + 4.0j), cp.Variable(), cp.Variable()
    return cp.Problem(cp.Minimize(x + y), [x >= cp.real(p), y >= cp.imag(p)])


@case()
def largest_eigenvalue(rng: np.random.Generator) -> cp.Problem:
    P, x = cp.Parameter((2, 2), hermitian=True), cp.Variable()
    P.value = np.array([[1.0, 0.5j], [-0.5j, 2.0]])
    return cp.Problem(cp.Minimize(x), [x * np.eye(2) >> P])


@case()
def parts_of_a_complex_variable(rng: np.random.Generator) -> cp.Problem:
    a, b, z = cp.Parameter(value=3.0), cp.Parameter(value=4.0), cp.Variable(complex=True)
    return cp.Problem(cp.Minimize(cp.sum_squares(cp.real(z) - a) + cp.sum_squares(cp.imag(z) - b)))


@case()
def imaginary_solution(rng: np.random.Generator) -> cp.Problem:
    p, w = cp.Parameter(value=5.0), cp.Variable(complex=True)
    return cp.Problem(cp.Minimize(cp.sum_squares(cp.real(w)) + cp.sum_squares(cp.imag(w) - p)))


@case()
def complex_parameter_and_variable(rng: np.random.Generator) -> cp.Problem:
    q, v = cp.Parameter(complex=True, value=2.0 + 3.0j), cp.Variable(complex=True)
    real, imag = cp.real(v) - cp.real(q), cp.imag(v) - cp.imag(q)
    return cp.Problem(cp.Minimize(cp.sum_squares(real) + cp.sum_squares(imag)))


@case(gp=True)
def one_minus_a_power(rng: np.random.Generator) -> cp.Problem:
    a, x = cp.Parameter(pos=True, value=0.4), cp.Variable(pos=True)
    return cp.Problem(cp.Maximize(x), [cp.one_minus_pos(x) >= a**2])


@case(gp=True)
def parameter_in_an_exponent(rng: np.random.Generator) -> cp.Problem:
    a, x = cp.Parameter(value=-1.0), cp.Variable(pos=True)
    return cp.Problem(cp.Maximize(x), [cp.one_minus_pos(x) >= cp.Constant(2.0) ** a])


@case(gp=True)
def parameter_used_twice(rng: np.random.Generator) -> cp.Problem:
    a, x = cp.Parameter(pos=True, value=0.4), cp.Variable(pos=True)
    return cp.Problem(cp.Maximize(x), [cp.one_minus_pos(x) >= a**2 + a**3])


@case(gp=True)
def parameter_in_an_exponent_and_elsewhere(rng: np.random.Generator) -> cp.Problem:
    a, x = cp.Parameter(pos=True, value=0.5), cp.Variable(pos=True)
    return cp.Problem(cp.Maximize(x), [cp.one_minus_pos(x) >= cp.Constant(0.3) ** a + a**2])


@case(gp=True)
def largest_box(rng: np.random.Generator) -> cp.Problem:
    x, y, z = (cp.Variable(pos=True) for _ in range(3))
    a, b, c = cp.Parameter(pos=True, value=2.0), cp.Parameter(pos=True, value=1.0), cp.Parameter(value=0.5)
    return cp.Problem(cp.Minimize(1 / (x * y * z)), [a * (x * y + x * z + y * z) <= b, x >= y**c])


@case(gp=True)
def larger_of_two(rng: np.random.Generator) -> cp.Problem:
    x, y, a = cp.Variable(pos=True), cp.Variable(pos=True), cp.Parameter(value=0.5)
    b, c, d = (cp.Parameter(pos=True, value=v) for v in (3.0, 1.0, 4.0))
    monomial = x * y**a
    return cp.Problem(cp.Minimize(cp.maximum(monomial, b * monomial)), [x == c, y == d])


@case(gp=True)
def largest_entry(rng: np.random.Generator) -> cp.Problem:
    x, y, a = cp.Variable(pos=True), cp.Variable(pos=True), cp.Parameter(value=0.5)
    b, c, d = (cp.Parameter(pos=True, value=v) for v in (1.5, 3.0, 1.0))
    return cp.Problem(cp.Minimize(cp.max(cp.hstack([b * x * y**a, c * x * y**b]))), [x == d, y == b])


@case(gp=True)
def ratio(rng: np.random.Generator) -> cp.Problem:
    x, y = cp.Variable(pos=True), cp.Variable(pos=True)
    a, b = cp.Parameter(pos=True, value=3.0), cp.Parameter(pos=True, value=1.0)
    return cp.Problem(cp.Minimize(x * y), [y / a <= x, y >= b])


@case(gp=True)
def one_minus_a_monomial(rng: np.random.Generator) -> cp.Problem:
    x, a, b = cp.Variable(pos=True), cp.Parameter(pos=True, value=3.0), cp.Parameter(pos=True, value=0.1)
    return cp.Problem(cp.Maximize(x), [cp.one_minus_pos(a * x) >= a * b])


@case(gp=True)
def power_of_a_difference(rng: np.random.Generator) -> cp.Problem:
    x, y = cp.Variable(pos=True), cp.Variable(pos=True)
    a, b, c = (cp.Parameter(pos=True, value=v) for v in (2.0, 1.0, 3.0))
    return cp.Problem(cp.Minimize(x * y), [(y * cp.one_minus_pos(x / y)) ** a >= b, x >= y / c])


@case(gp=True)
def given_matrix(rng: np.random.Generator) -> cp.Problem:
    X, a = cp.Variable((2, 2), pos=True), cp.Parameter(pos=True, value=0.1)
    fixed = [cp.diag(X) == a, cp.hstack([X[0, 1], X[1, 0]]) == 2 * a]
    return cp.Problem(cp.Minimize(cp.geo_mean(cp.vec(X, order="F"))), fixed)


@case(gp=True)
def exponential_and_logarithm(rng: np.random.Generator) -> cp.Problem:
    x, y = cp.Variable(pos=True), cp.Variable(pos=True)
    a, b = cp.Parameter(pos=True, value=0.2), cp.Parameter(pos=True, value=0.3)
    return cp.Problem(cp.Minimize(x * y), [cp.exp(a * y / x) <= cp.log(b * y)])


@case(gp=True)
def matrix_completion(rng: np.random.Generator) -> cp.Problem:
    X, known = cp.Variable((3, 3), pos=True), ([0, 0, 1, 2, 2], [0, 2, 1, 0, 1])
    given = cp.Parameter(5, pos=True, value=np.array([1.0, 1.9, 0.8, 3.2, 5.9]))
    beta = cp.Parameter(pos=True, value=1.0)
    product = X[0, 1] * X[1, 0] * X[1, 2] * X[2, 2]
    return cp.Problem(cp.Minimize(cp.sum(X)), [X[known] == given, product == beta])


@case(gp=True)
def box_in_a_box(rng: np.random.Generator) -> cp.Problem:
    x, y, z = (cp.Variable(pos=True) for _ in range(3))
    a, b, c, d = (cp.Parameter(pos=True, value=v) for v in (4.0, 2.0, 10.0, 1.0))
    constraints = [a * x * y * z + b * x * z <= c, x <= b * y, y <= b * x, z >= d]
    return cp.Problem(cp.Maximize(x * y * z), constraints)


@case(gp=True)
def areas_of_vectors(rng: np.random.Generator) -> cp.Problem:
    shift = cp.Parameter(2, pos=True, value=np.array([1.0, 1.0]))
    area, width = cp.Parameter(pos=True, value=20.0), cp.Parameter(pos=True, value=10.0)
    w, h = cp.Variable(2, pos=True), cp.Variable(2, pos=True)
    constraints = [cp.multiply(w, h) >= area, cp.sum(shift + w) <= width]
    return cp.Problem(cp.Minimize(cp.sum_squares(shift + h)), constraints)


@case(gp=True)
def areas_of_matrices(rng: np.random.Generator) -> cp.Problem:
    price, area, width = (cp.Parameter(pos=True, value=v) for v in (1.0, 20.0, 10.0))
    w, h = cp.Variable((2, 2), pos=True), cp.Variable((2, 2), pos=True)
    constraints = [cp.multiply(w, h) >= area, cp.sum(w) <= width]
    return cp.Problem(cp.Minimize(price * cp.sum(h)), constraints)


@case()
def symmetric_parameter(rng: np.random.Generator) -> cp.Problem:
    C, X = cp.Parameter((3, 3), symmetric=True), cp.Variable((3, 3), symmetric=True)
    M = rng.standard_normal((3, 3))
    C.value = M + M.T
    return cp.Problem(cp.Minimize(cp.trace(C @ X) + cp.sum_squares(X)), [X >> 0, cp.trace(X) == 1])


@case()
def semidefinite_parameter(rng: np.random.Generator) -> cp.Problem:
    Q, x, M = cp.Parameter((3, 3), PSD=True), cp.Variable(3), rng.standard_normal((3, 3))
    Q.value = M @ M.T + np.eye(3)
    return cp.Problem(cp.Minimize(cp.sum_squares(x - Q @ np.ones(3))), [cp.sum(x) == 1, x <= 2.0])


@case()
def diagonal_parameter_and_variable(rng: np.random.Generator) -> cp.Problem:
    D, V = cp.Parameter((3, 3), diag=True), cp.Variable((3, 3), diag=True)
    D.value = np.diag([1.0, 2.0, 3.0])
    x = cp.Variable(3)
    return cp.Problem(cp.Minimize(cp.sum_squares(D @ x - 1) + cp.sum_squares(V - D)), [cp.sum(x) == 1])


@case()
def sparse_parameter(rng: np.random.Generator) -> cp.Problem:
    S, x = cp.Parameter((2, 3), sparsity=[(0, 1, 1), (0, 1, 2)]), cp.Variable(3)
    S.value_sparse = sp.coo_array(([1.0, 2.0, -1.0], ([0, 1, 1], [0, 1, 2])), (2, 3))
    return cp.Problem(cp.Minimize(cp.sum_squares(S @ x - 1) + cp.sum_squares(x)))


@case()
def second_order_cone(rng: np.random.Generator) -> cp.Problem:
    A = cp.Parameter((4, 3), value=rng.standard_normal((4, 3)))
    c, r = cp.Parameter(3, value=rng.standard_normal(3)), cp.Parameter(nonneg=True, value=1.5)
    x = cp.Variable(3)
    return cp.Problem(cp.Minimize(c @ x), [cp.norm(A @ x) <= r + 0.1 * x[0], x >= -1])


@case()
def maximized_utility(rng: np.random.Generator) -> cp.Problem:
    mu, gamma = cp.Parameter(4, value=rng.uniform(0.5, 1.5, 4)), cp.Parameter(nonneg=True, value=2.0)
    x = cp.Variable(4)
    return cp.Problem(cp.Maximize(mu @ x - gamma * cp.sum_squares(x)), [cp.sum(x) == 1, x >= 0])


@case(dpp=False)
def parameters_multiplied(rng: np.random.Generator) -> cp.Problem:
    a, b, x = cp.Parameter(value=2.0), cp.Parameter(pos=True, value=0.5), cp.Variable(2)
    return cp.Problem(cp.Minimize(cp.sum_squares(x - a * b * np.array([1.0, -2.0])) + cp.exp(b) * cp.sum(x)))


def denoising() -> cp.Problem:
    """With operators; perturbations and the gradient are set."""
    rng, x = np.random.default_rng(0), cp.Variable((6, 6))
    noisy, weight = cp.Parameter((6, 6)), cp.Parameter(nonneg=True, value=0.3)
    noisy.value, noisy.delta, weight.delta = rng.standard_normal((6, 6)), rng.standard_normal((6, 6)), 1.0
    x.gradient = rng.standard_normal((6, 6))
    return cp.Problem(cp.Minimize(cp.sum_squares(x - noisy) / 2 + weight * cvxprox.tv(x)))
