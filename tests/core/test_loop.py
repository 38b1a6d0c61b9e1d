"""The loop that all algorithms share: its steps and its checks."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from cvxprox.algorithms import iterate

from .maps import Map
from .programs import F64


@dataclass
class Counter:
    """A monitor that notes its checks."""

    interval: int
    stop_at: int | None = None
    seen: list[tuple[int, float]] = field(default_factory=list)

    def check(self, iteration: int, state: Tensor) -> tuple[Tensor, bool]:
        self.seen.append((iteration, float(state)))
        return state, self.stop_at is not None and iteration >= self.stop_at

    def pause(self, iteration: int) -> int:
        return iteration + self.interval


@pytest.mark.parametrize(
    ("interval", "stop_at", "most", "checks"),
    [
        (10, None, 25, [0, 10, 20, 25]),
        (10, None, 20, [0, 10, 20]),
        (10, 20, 100, [0, 10, 20]),
        (7, 8, 100, [0, 7, 14]),
        (100, None, 3, [0, 3]),
        (5, 0, 100, [0]),
    ],
)
def test_the_loop_makes_the_exact_number_of_steps(
    interval: int, stop_at: int | None, most: int, checks: list[int]
) -> None:
    monitor = Counter(interval, stop_at)
    algorithm = Map(lambda w: w + 1, torch.zeros((), dtype=F64))
    state, iterations = iterate(algorithm, algorithm.init(), monitor, most)
    assert monitor.seen == [(k, float(k)) for k in checks]
    assert (float(state), iterations) == (float(checks[-1]), checks[-1])
