"""The optimal value, certified by a duality gap."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.imaging.instances import Array, Instance
from benchmarks.imaging.prototype import admm

WINDOW = 250
"""Iterations whose dual points are averaged: the average oscillates far less than they do."""


@dataclass(frozen=True)
class Reference:
    """The least objective found, and by how much, relatively, the optimal value may be below it."""

    objective: float
    gap: float
    iterations: int
    psnr: float

    def error(self, objective: float) -> float:
        """The relative distance of an objective to the optimum."""
        return abs(objective - self.objective) / self.objective


def dual_objective(problem: Instance, p: Array, residual: Array) -> float:
    r"""A lower bound of the optimum from a `p` with :math:`D^* p = A^* q`, q the `residual` y - Ax.

    The dual problem is to maximise :math:`\langle q, y\rangle - \tfrac12\|q\|^2` over such pairs with
    :math:`\|p_i\|_2 \le \lambda`; both are scaled down to where that holds.
    """
    scale = min(1.0, problem.weight / float(np.hypot(p[0], p[1]).max()))
    return scale * float(np.vdot(residual, problem.data)) - scale**2 / 2 * float(np.vdot(residual, residual))


def bounds(problem: Instance) -> Iterator[tuple[int, Array, float]]:
    """After every window of a long run of ADMM: iterations so far, the image and a lower bound."""
    balanced = tuple(10 * 2**k for k in range(8))
    iterates = admm(problem, 30 * problem.weight, alpha=1.9, balanced=balanced)
    k = 0
    while True:
        mean_x, mean_p = (
            torch.zeros(problem.data.shape).double(),
            torch.zeros(2, *problem.data.shape).double(),
        )
        for iterate in islice(iterates, WINDOW):
            mean_x += iterate.x / WINDOW
            mean_p += iterate.multiplier / WINDOW
        k += WINDOW
        residual = problem.data - problem.blurred(mean_x.numpy())
        yield k, iterate.x.numpy(), dual_objective(problem, mean_p.numpy(), residual)


def certify(problem: Instance, gap: float = 1e-6, most: int = 10_000) -> Reference:
    """Iterate until the relative gap is at most `gap`, or `most` times."""
    best, lower = np.inf, -np.inf
    for k, x, bound in bounds(problem):
        best, lower = min(best, problem.objective(x)), max(lower, bound)
        if best - lower <= gap * best or k >= most:
            return Reference(best, (best - lower) / best, k, problem.psnr(x))
    raise AssertionError("ADMM ended")


def cached_reference(
    problem: Instance, boundary: str, certify: Callable[[Instance], Reference], folder: Path
) -> Reference:
    """What `certify` finds, or found in an earlier run with the same data."""
    data = problem.data.tobytes() + problem.transfer.tobytes()
    digest = hashlib.sha256(data).hexdigest()[:12]
    path = folder / f"{problem.problem}-{problem.size}-{problem.weight:g}-{boundary}-{digest}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(certify(problem))) + "\n")
    return Reference(**json.loads(path.read_text()))
