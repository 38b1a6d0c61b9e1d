"""Which setting of a solver just reaches the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def loosest(count: int, start: int, reaches: Callable[[int], bool]) -> int | None:
    """The least index below `count` for which `reaches` is true, None if it is for none; monotone is assumed.

    Looks from `start` in steps that double, then halves the interval that is left: near a good `start`, few
    indices are tried, and none that is much tighter than needed.
    """
    if count <= 0:
        return None
    at, step = min(max(start, 0), count - 1), 1
    if reaches(at):
        good, bad = at, -1
        while good > 0:
            trial = max(good - step, 0)
            if not reaches(trial):
                bad = trial
                break
            good, step = trial, 2 * step
    else:
        bad = at
        while True:
            if bad == count - 1:
                return None
            trial = min(bad + step, count - 1)
            if reaches(trial):
                good = trial
                break
            bad, step = trial, 2 * step
    while good - bad > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if reaches(middle) else (good, middle)
    return good


def nearest(values: Sequence[float], value: float) -> int:
    """The index of the entry of `values` that is closest to `value` in ratio."""
    return min(range(len(values)), key=lambda i: max(values[i], value) / min(values[i], value))
