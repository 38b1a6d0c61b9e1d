"""How far a training is, on one line of a terminal."""

from __future__ import annotations

import sys
import time

from cvxprox.training.history import History

WIDTH = 24
QUIET = 1.0
"""Seconds between two lines where output is not a terminal."""


class Progress:
    """A bar on standard error, which is rewritten in a terminal; elsewhere lines, one a second at most."""

    def __init__(self, epochs: int, shown: bool) -> None:
        self.epochs, self.shown = epochs, shown
        self.live = shown and sys.stderr.isatty()
        self.last, self.width = float("-inf"), 0

    def step(self, history: History, step: int, steps: int | None, loss: float) -> None:
        """After a step of an epoch; `steps` is how many it has, None where that is not known."""
        if self.live and time.monotonic() - self.last > 0.1:
            done = history.epochs + (step / steps if steps else 0.0)
            of_all = f"/{steps}" if steps else ""
            self._rewrite(
                f"{self._bar(done)} epoch {history.epochs + 1}, step {step}{of_all}: loss {loss:.4g}"
            )

    def epoch(self, history: History) -> None:
        """After an epoch."""
        if self.live:
            self._rewrite(self._line(history))
        elif self.shown and (time.monotonic() - self.last > QUIET or history.epochs == self.epochs):
            print(self._line(history), file=sys.stderr, flush=True)
            self.last = time.monotonic()

    def close(self) -> None:
        """Leave the line, where there is one."""
        if self.live and self.width:
            print(file=sys.stderr, flush=True)

    def _line(self, history: History) -> str:
        text = (
            f"{self._bar(history.epochs)} epoch {history.epochs}/{self.epochs}: loss {history.losses[-1]:.4g}"
        )
        if len(history.validation):
            text += f", validation {history.validation[-1]:.4g} (best {history.best:.4g})"
        return f"{text}, {history.seconds.sum():.0f} s"

    def _bar(self, done: float) -> str:
        filled = round(WIDTH * done / self.epochs)
        return f"[{'=' * filled}{' ' * (WIDTH - filled)}]"

    def _rewrite(self, text: str) -> None:
        print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
        self.width, self.last = len(text), time.monotonic()
