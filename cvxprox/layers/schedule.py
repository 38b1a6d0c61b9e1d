"""Schedules whose penalties and noise levels a user gives."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cvxprox.algorithms.schedule import BOUNDS, Schedule, Setting

Levels = float | Tensor | Sequence[float | Tensor]
"""One number for all iterations, or one for each; the last serves all later ones."""


class Given(Schedule):
    """Numbers or tensors for every iteration; gradients reach the tensors.

    Parameters
    ----------
    rhos : float, Tensor or sequence, optional
        Factors of all penalties.
    sigmas : float, Tensor or sequence, optional
        The noise levels of denoisers, in the units of the data.

    Raises
    ------
    ValueError
        If a tensor has more than one dimension, or a number is not positive.
    """

    def __init__(self, rhos: Levels | None = None, sigmas: Levels | None = None) -> None:
        self.rhos = _levels("rhos", 1.0 if rhos is None else rhos)
        self.sigmas = None if sigmas is None else _levels("sigmas", sigmas)
        longest = max(len(self.rhos), len(self.sigmas or ()))
        self.iterations = longest if longest > 1 else None

    def __call__(self, iteration: int) -> Setting:
        """Of an iteration."""
        rho = _of(self.rhos, iteration)
        if self.sigmas is None:
            return Setting(rho)
        noise = _of(self.sigmas, iteration)
        return Setting(rho, noise, BOUNDS * _number(self.sigmas[0]) / _number(noise))


def _of(levels: Sequence[float | Tensor], iteration: int) -> float | Tensor:
    return levels[min(iteration, len(levels) - 1)]


def _number(level: float | Tensor) -> float:
    return float(level.detach() if isinstance(level, Tensor) else level)


def _levels(name: str, levels: Levels) -> Sequence[float | Tensor]:
    if isinstance(levels, Tensor):
        if levels.dim() > 1:
            raise ValueError(
                f"{name} has the shape {tuple(levels.shape)}; it has one entry for each iteration."
            )
        entries: Sequence[float | Tensor] = levels.reshape(-1).unbind()
    else:
        entries = tuple(levels) if isinstance(levels, Sequence) else (float(levels),)
    if not entries or not all(_number(entry) > 0 for entry in entries):
        raise ValueError(
            f"{name} must be positive numbers, one for all iterations or one for each; not {levels}."
        )
    return entries
