"""A schedule whose numbers are parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cvxprox.algorithms.schedule import BOUNDS, Schedule, Setting
from cvxprox.operators.base import watched


class Learned(nn.Module, Schedule):
    """A penalty factor, and if asked for a noise level, of every iteration, as parameters.

    Their logarithms are the parameters `log_rho` and `log_noise`, so that they stay positive. Iterations
    after the last have the setting of the last.

    Parameters
    ----------
    iterations : int
        How many settings there are, and the length of a run that is not told otherwise.
    start : Schedule, optional
        What the parameters begin with; penalty factors of 1 and no noise levels if omitted.

    Raises
    ------
    ValueError
        If `iterations` is not positive.
    """

    def __init__(self, iterations: int, start: Schedule | None = None) -> None:
        super().__init__()
        if iterations < 1:
            raise ValueError(f"a learned schedule has at least one iteration, not {iterations}.")
        self.iterations = iterations
        settings = [Setting() if start is None else start(k) for k in range(iterations)]
        self.log_rho = nn.Parameter(_logarithms([setting.rho for setting in settings]))
        levels = [setting.noise for setting in settings if setting.noise is not None]
        self.log_noise = nn.Parameter(_logarithms(levels)) if len(levels) == iterations else None

    def forward(self, iteration: int) -> Setting:
        """Of iterations 0, 1, …; numbers where no derivatives are recorded."""
        assert self.iterations is not None
        k = min(iteration, self.iterations - 1)
        rho, noise, bounds = self.log_rho[k].exp(), None, BOUNDS
        if self.log_noise is not None:
            noise = self.log_noise[k].exp()
            bounds *= float((self.log_noise[0] - self.log_noise[k]).detach().exp())
        if watched():
            return Setting(rho, noise, bounds)
        return Setting(float(rho), None if noise is None else float(noise), bounds)

    def shared(self) -> Schedule:
        """The setting of the first iteration for all."""
        return First(self)


@dataclass(frozen=True)
class First(Schedule):
    """The first setting of another schedule, in all iterations."""

    schedule: Schedule

    @property
    def iterations(self) -> int | None:  # type: ignore[override]
        """As many as the other has."""
        return self.schedule.iterations

    def __call__(self, iteration: int) -> Setting:
        return self.schedule(0)


def _logarithms(values: list[float | Tensor]) -> Tensor:
    numbers = [float(value.detach() if isinstance(value, Tensor) else value) for value in values]
    return torch.tensor(numbers, dtype=torch.float64).log()
