"""Families of second-order cone programs: robust portfolio, group lasso and sums of norms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from benchmarks.program import Program
from benchmarks.rows import AtMost, Equal, Rows, SecondOrder, Vector

Data = tuple[sp.sparray | None, Vector, tuple[Rows, ...]]


def robust_portfolio(n: int, rng: np.random.Generator) -> Data:
    r"""Maximise :math:`\mu^T x - \|Gx\|_2` over the simplex; variables are x and a bound of the norm."""
    k = n // 5
    G = rng.standard_normal((k, n)) / np.sqrt(n)
    mean = 0.05 + 0.1 * rng.random(n)
    budget = sp.csr_array(np.append(np.ones(n), 0.0)[None])
    weights = sp.csr_array(sp.eye_array(n, n + 1))
    cone = sp.block_array([[None, sp.csr_array([[-1.0]])], [sp.csr_array(-G), None]], format="csr")
    rows = (
        Equal(budget, np.ones(1)),
        AtMost(-weights, np.zeros(n)),
        SecondOrder(cone, np.zeros(k + 1), order=k + 1),
    )
    return None, np.append(-mean, 1.0), rows


def group_lasso(n: int, rng: np.random.Generator) -> Data:
    r"""Minimise :math:`\tfrac12\|Fx - y\|_2^2 + \lambda\sum_g \|x_g\|_2` over groups of five.

    Variables are x, the residual and a bound of every norm.
    """
    size, m = 5, 2 * n
    groups = n // size
    F = sp.coo_array(sp.random(m, n, 0.2, random_state=1, data_rvs=rng.standard_normal))
    truth = np.repeat(rng.random(groups) > 0.8, size) * rng.standard_normal(n)
    y = F @ truth + 0.1 * rng.standard_normal(m)
    penalty = 0.1 * np.abs(F.T @ y).max() * np.sqrt(size)
    P = sp.block_diag([sp.csr_array((n, n)), sp.eye_array(m), sp.csr_array((groups, groups))])
    q = np.concatenate([np.zeros(n + m), np.full(groups, penalty)])
    residual = sp.hstack([F, -sp.eye_array(m), sp.csr_array((m, groups))], format="csr")
    entries = _cone_entries(groups, size)
    cone = -sp.csr_array(sp.hstack([entries[:, :n], sp.csr_array((entries.shape[0], m)), entries[:, n:]]))
    return P, q, (Equal(residual, y), SecondOrder(cone, np.zeros(cone.shape[0]), order=size + 1))


def _cone_entries(count: int, size: int) -> sp.csr_array:
    """The matrix from ``count * size`` points and `count` bounds to the stack of pairs (bound, point)."""
    order = size + 1
    place = np.arange(count * order).reshape(count, order)
    rows = np.concatenate([place[:, 1:].ravel(), place[:, 0]])
    return sp.csr_array(
        (np.ones(rows.size), (rows, np.arange(rows.size))), shape=(count * order, count * order)
    )


def sum_norms(n: int, rng: np.random.Generator) -> Data:
    """Place n points of a chain in space near 4 n given ones, each drawn to one of them at random.

    The objective is the weighted sum of the distances and twice the length of the chain; variables
    are the points and a bound of every distance.
    """
    dimension, count = 3, 4 * n
    given = rng.standard_normal((count, dimension))
    drawn = rng.integers(0, n, count)
    weight = rng.random(count) + 0.1
    links = n - 1
    norms = count + links
    # Differences of points: of the drawn ones and the given ones, then along the chain.
    start, end = np.concatenate([drawn, np.arange(links)]), np.arange(1, n)
    difference = sp.csr_array((np.ones(norms), (np.arange(norms), start)), shape=(norms, n)) - sp.csr_array(
        (np.ones(links), (count + np.arange(links), end)), shape=(norms, n)
    )
    entries = _cone_entries(norms, dimension)
    points = sp.block_diag([sp.kron(difference, sp.eye_array(dimension)), sp.eye_array(norms)])
    cone = sp.csr_array(-(entries @ points))
    offset = np.concatenate([given.ravel(), np.zeros(links * dimension + norms)])
    q = np.concatenate([np.zeros(n * dimension), weight, np.full(links, 2.0)])
    return None, q, (SecondOrder(cone, -(entries @ offset), order=dimension + 1),)


@dataclass(frozen=True)
class Family:
    """A generator with its size parameter in the small and the medium benchmark."""

    data: Callable[[int, np.random.Generator], Data]
    s: int
    m: int


FAMILIES = {
    "robust_portfolio": Family(robust_portfolio, 50, 1000),
    "group_lasso": Family(group_lasso, 50, 500),
    "sum_norms": Family(sum_norms, 30, 1000),
}


def socp(family: str, size: str, seed: int = 0) -> Program:
    """The instance of a family of `FAMILIES`, of size ``"s"`` or ``"m"``."""
    entry = FAMILIES[family]
    P, q, rows = entry.data({"s": entry.s, "m": entry.m}[size], np.random.default_rng(seed))
    return Program(f"{family}-{size}", "socp", None if P is None else sp.csc_array(P), q, rows)
