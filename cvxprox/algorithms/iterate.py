"""The loop of the library."""

from __future__ import annotations

from typing import Any, Protocol

from cvxprox.algorithms.base import Algorithm


class Monitor(Protocol):
    """Looks at the state between batches of steps; may change it, and says when to stop."""

    def check(self, iteration: int, state: Any) -> tuple[Any, bool]:
        """The state to go on with, and whether to stop."""
        ...

    def pause(self, iteration: int) -> int:
        """The iteration of the next check."""
        ...


def iterate(algorithm: Algorithm, state: Any, monitor: Monitor, max_iter: int) -> tuple[Any, int]:
    """Run `algorithm` from `state` until the monitor stops it or `max_iter` steps are done.

    Returns
    -------
    state, iterations
    """
    iteration = 0
    state, stop = monitor.check(iteration, state)
    while not stop and iteration < max_iter:
        pause = min(monitor.pause(iteration), max_iter)
        for _ in range(pause - iteration):
            state = algorithm.step(state)
        iteration = pause
        state, stop = monitor.check(iteration, state)
    return state, iteration
