"""One timed call of a solver. It needs NumPy and the standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Attempt:
    """What a solver returned, and what it cost. Times are in seconds.

    Attributes
    ----------
    x : ndarray or None
        The image; None where there is none.
    wall, cpu : float
        The whole call: on the clock, and of this process on all cores.
    iterations : int or None
        As the solver reports them.
    setup : float
        The part of `wall` before the first iteration.
    status : str
        The solver's, or the error.
    memory : tuple of float or None
        Where the solver had a process of its own: its resident set before and at its peak, in MiB.
    """

    x: NDArray[np.float64] | None
    wall: float
    cpu: float
    iterations: int | None = None
    setup: float = 0.0
    status: str = "optimal"
    memory: tuple[float, float] | None = None

    @property
    def per_iteration(self) -> float:
        """CPU seconds per iteration, without set-up; nan where iterations are not known."""
        if not self.iterations or not self.wall:
            return float("nan")
        return self.cpu * (1 - self.setup / self.wall) / self.iterations


def timed(call: Callable[[], object]) -> tuple[float, float, str]:
    """Wall-clock and CPU seconds of `call`, and the error that it raised, in short."""
    failure = ""
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        call()
    except Exception as error:  # a solver that breaks is a result, not the end of the run
        failure = f"{type(error).__name__}: {error}".splitlines()[0][:100]
    return time.perf_counter() - wall, time.process_time() - cpu, failure
