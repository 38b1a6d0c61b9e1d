r"""Families of quadratic programs, after the benchmark of OSQP (Stellato et al. 2020, appendix A).

Every function returns the data of

.. math:: \text{minimise } \tfrac12 x^T P x + q^T x \quad \text{subject to} \quad l \le Ax \le u

for a size parameter and a generator. Auxiliary variables make :math:`P` sparse, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from benchmarks.program import Program, Varying, from_bounds
from benchmarks.rows import Vector

Bounds = tuple[sp.sparray, Vector, sp.sparray, Vector, Vector]


def sparse_normal(rows: int, columns: int, density: float, rng: np.random.Generator) -> sp.csc_array:
    """A sparse matrix with standard normal entries."""
    pattern = np.random.RandomState(rng.integers(1 << 30))
    return sp.csc_array(
        sp.random(rows, columns, density, format="csc", random_state=pattern, data_rvs=rng.standard_normal)
    )


def _density(n: int) -> float:
    return 0.15 if n < 500 else 0.02


def _quadratic(n: int, rng: np.random.Generator) -> sp.csc_array:
    M = sparse_normal(n, n, _density(n), rng)
    return sp.csc_array(M @ M.T + 1e-2 * sp.eye_array(n))


def random(n: int, rng: np.random.Generator) -> Bounds:
    """A random objective and ten random two-sided rows for every variable."""
    P = _quadratic(n, rng)
    A = sparse_normal(10 * n, n, _density(n), rng)
    q = rng.standard_normal(n)
    lower = -rng.random(10 * n)
    return P, q, A, lower, rng.random(10 * n)


def equality(n: int, rng: np.random.Generator) -> Bounds:
    """A random objective and half as many equations as variables."""
    P = _quadratic(n, rng)
    A = sparse_normal(n // 2, n, _density(n), rng)
    b = A @ rng.standard_normal(n)
    return P, rng.standard_normal(n), A, b, b


def portfolio(factors: int, rng: np.random.Generator) -> Bounds:
    """Return against risk in a factor model of 100 assets a factor; variables are the weights and F'x."""
    n, k = 100 * factors, factors
    F = sparse_normal(n, k, 0.5, rng)
    specific = rng.random(n) * np.sqrt(k)
    mean = rng.standard_normal(n)
    P = sp.block_diag([sp.diags_array(2 * specific), 2 * sp.eye_array(k)])
    budget = sp.csr_array(np.ones((1, n)))
    A = sp.block_array([[budget, None], [F.T, -sp.eye_array(k)], [sp.eye_array(n), None]])
    fixed = np.concatenate([[1.0], np.zeros(k)])
    lower, upper = np.concatenate([fixed, np.zeros(n)]), np.concatenate([fixed, np.ones(n)])
    return P, np.concatenate([-mean, np.zeros(k)]), A, lower, upper


def lasso(n: int, rng: np.random.Generator) -> Bounds:
    """Least squares on 10 n points with an l1 penalty; variables are x, the residual and bounds of abs(x)."""
    m = 10 * n
    D = sparse_normal(m, n, 0.15, rng)
    truth = (rng.random(n) > 0.5) * rng.standard_normal(n) / np.sqrt(n)
    b = D @ truth + rng.standard_normal(m)
    penalty = 0.2 * np.abs(D.T @ b).max()
    eye = sp.eye_array(n)
    P = sp.block_diag([sp.csr_array((n, n)), 2 * sp.eye_array(m), sp.csr_array((n, n))])
    q = np.concatenate([np.zeros(n + m), np.full(n, penalty)])
    A = sp.block_array([[D, -sp.eye_array(m), None], [eye, None, -eye], [eye, None, eye]])
    lower = np.concatenate([b, np.full(n, -np.inf), np.zeros(n)])
    return P, q, A, lower, np.concatenate([b, np.zeros(n), np.full(n, np.inf)])


def svm(n: int, rng: np.random.Generator) -> Bounds:
    """A support vector machine on 10 n points of two classes; variables are the weights and the hinges."""
    m = 10 * n
    labels = np.repeat([1.0, -1.0], m // 2)
    points = sparse_normal(m, n, 0.15, rng)
    points.data /= np.sqrt(n)
    points = points + sp.diags_array(labels) @ ((points != 0) * (1.0 / n))
    P = sp.block_diag([sp.eye_array(n), sp.csr_array((m, m))])
    q = np.concatenate([np.zeros(n), np.ones(m)])
    A = sp.block_array([[sp.diags_array(labels) @ points, -sp.eye_array(m)], [None, sp.eye_array(m)]])
    lower = np.concatenate([np.full(m, -np.inf), np.zeros(m)])
    return P, q, A, lower, np.concatenate([-np.ones(m), np.full(m, np.inf)])


def huber(n: int, rng: np.random.Generator) -> Bounds:
    """Huber regression on 10 n points, of which 5% are outliers.

    Variables are x, the quadratic part of the residual and the two sides of its linear part.
    """
    m = 10 * n
    D = sparse_normal(m, n, 0.15, rng)
    exact = D @ (rng.standard_normal(n) / np.sqrt(n))
    noise = np.where(rng.random(m) < 0.95, rng.standard_normal(m) / 4, 10 * rng.random(m))
    b, eye = exact + noise, sp.eye_array(m)
    P = sp.block_diag([sp.csr_array((n, n)), 2 * eye, sp.csr_array((2 * m, 2 * m))])
    q = np.concatenate([np.zeros(n + m), np.full(2 * m, 2.0)])
    A = sp.block_array([[D, -eye, -eye, eye], [None, None, eye, None], [None, None, None, eye]])
    lower = np.concatenate([b, np.zeros(2 * m)])
    return P, q, A, lower, np.concatenate([b, np.full(2 * m, np.inf)])


def mpc(states: int, rng: np.random.Generator) -> Bounds:
    """Linear-quadratic control over ten steps with bounded states and half as many bounded inputs."""
    inputs, steps = states // 2, 10
    dynamics = np.eye(states) + 0.1 * rng.standard_normal((states, states))
    dynamics /= max(1.0, np.abs(np.linalg.eigvals(dynamics)).max())
    actuation = rng.standard_normal((states, inputs))
    state_cost = sp.diags_array((rng.random(states) > 0.3) * 10 * rng.random(states))
    start = rng.uniform(-0.5, 0.5, states)

    P = sp.block_diag(
        [
            sp.kron(sp.eye_array(steps + 1), state_cost),
            sp.kron(sp.eye_array(steps), 0.1 * sp.eye_array(inputs)),
        ]
    )
    shift = sp.csr_array(sp.eye_array(steps + 1, k=-1))
    to_state = sp.kron(shift, dynamics) - sp.eye_array((steps + 1) * states)
    to_input = sp.kron(shift[:, :-1], actuation)
    A = sp.vstack([sp.hstack([to_state, to_input]), sp.eye_array(P.shape[0])])
    fixed = np.concatenate([-start, np.zeros(steps * states)])
    limit = np.concatenate([np.full((steps + 1) * states, 2.0), np.full(steps * inputs, 0.3)])
    return P, np.zeros(P.shape[0]), A, np.concatenate([fixed, -limit]), np.concatenate([fixed, limit])


@dataclass(frozen=True)
class Family:
    """A generator with its size parameter in the small and the medium benchmark."""

    data: Callable[[int, np.random.Generator], Bounds]
    s: int
    m: int
    varying: Varying = "q"


FAMILIES = {
    "random": Family(random, 40, 400),
    "eqqp": Family(equality, 60, 1500),
    "portfolio": Family(portfolio, 2, 40),
    "lasso": Family(lasso, 12, 150),
    "svm": Family(svm, 12, 150),
    "huber": Family(huber, 10, 120),
    "mpc": Family(mpc, 6, 40, varying="rhs"),
}


def qp(family: str, size: str, seed: int = 0) -> Program:
    """The instance of a family of `FAMILIES`, of size ``"s"`` or ``"m"``."""
    entry = FAMILIES[family]
    P, q, A, lower, upper = entry.data({"s": entry.s, "m": entry.m}[size], np.random.default_rng(seed))
    return from_bounds(f"{family}-{size}", P, q, A, lower, upper, varying=entry.varying)
