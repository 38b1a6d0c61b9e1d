"""When the residuals are looked at."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass, field


class Checks(abc.ABC):
    """The iterations of the checks."""

    @abc.abstractmethod
    def next(self, iteration: int, ratio: float) -> int:
        """The iteration of the check after the one at `iteration`.

        `ratio` is the largest residual in units of its tolerance.
        """


@dataclass(frozen=True)
class EveryFew(Checks):
    """At multiples of an interval."""

    interval: int

    def next(self, iteration: int, ratio: float) -> int:
        """The next multiple, if this is one."""
        return iteration + self.interval


@dataclass
class Foreseeing(Checks):
    """Seldom while the residuals are large, often enough not to run far past the goal.

    Where an iteration is a transform and a few passes over an image, a check costs as much as one or two.
    Checks come at 6, 12, 24 and 48 iterations; after that, the rate between the last two checks says
    where the tolerance will be met, and the next check comes half-way there, at most `most` and at least
    `least` iterations ahead.
    """

    first: int = 6
    least: int = 10
    most: int = 50
    last: tuple[int, float] | None = field(default=None, init=False)

    def next(self, iteration: int, ratio: float) -> int:
        """Doubling at first, then by the rate."""
        before, self.last = self.last, (iteration, ratio)
        if before is None or iteration < 8 * self.first:
            return max(2 * iteration, self.first)
        rate = (
            math.log(before[1] / ratio) / (iteration - before[0]) if 0 < ratio < before[1] < math.inf else 0
        )
        ahead = math.ceil(math.log(ratio) / rate) if rate > 0 and ratio > 1 else self.most
        if ahead > 2 * self.least:
            ahead = math.ceil(ahead / 2)
        return iteration + min(max(ahead, self.least), self.most)
