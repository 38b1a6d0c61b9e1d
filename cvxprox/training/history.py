"""The record of a training."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def _none() -> Numbers:
    return np.empty(0)


@dataclass(frozen=True)
class History:
    """The losses of a training, from its first epoch on, those before a resumption included.

    Attributes
    ----------
    step_losses : array of shape (steps,)
        The loss of every batch, before the step that it led to.
    losses : array of shape (epochs,)
        The mean of `step_losses` over every epoch.
    validation : array of shape (epochs + 1,) or (0,)
        The validation before the first epoch and after every epoch; empty without a validation.
    learning_rates : array of shape (epochs,)
        Of the first group of parameters.
    seconds : array of shape (epochs,)
        Of every epoch, with its validation.
    stopped_by : str
        Why it is over: "epochs", "patience" or "callback".
    """

    step_losses: Numbers = field(default_factory=_none)
    losses: Numbers = field(default_factory=_none)
    validation: Numbers = field(default_factory=_none)
    learning_rates: Numbers = field(default_factory=_none)
    seconds: Numbers = field(default_factory=_none)
    stopped_by: str = "epochs"

    @property
    def epochs(self) -> int:
        """How many are over."""
        return len(self.losses)

    @property
    def best_epoch(self) -> int:
        """The number of epochs after which the validation is lowest, or the loss if there is none.

        0 is the model before the training.
        """
        if len(self.validation):
            return int(np.argmin(np.where(np.isnan(self.validation), np.inf, self.validation)))
        return int(np.argmin(self.losses)) + 1 if self.epochs else 0

    @property
    def best(self) -> float:
        """The lowest validation, or the lowest loss of an epoch if there is none; infinite without epochs."""
        if len(self.validation):
            return float(self.validation[self.best_epoch])
        return float(self.losses.min()) if self.epochs else float("inf")

    def with_epoch(self, step_losses: list[float], learning_rate: float, seconds: float) -> History:
        """With the record of one more epoch, before its validation."""
        return replace(
            self,
            step_losses=np.append(self.step_losses, step_losses),
            losses=np.append(self.losses, np.mean(step_losses)),
            learning_rates=np.append(self.learning_rates, learning_rate),
            seconds=np.append(self.seconds, seconds),
        )

    def with_validation(self, value: float, seconds: float = 0.0) -> History:
        """With the validation of the last epoch, and the seconds that it took."""
        own = self.seconds.copy()
        own[-1:] += seconds
        return replace(self, validation=np.append(self.validation, value), seconds=own)

    def as_lists(self) -> dict[str, Any]:
        """The attributes as lists of numbers, and the reason as it is."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_lists(cls, values: dict[str, Any]) -> History:
        """What `as_lists` was made from."""
        arrays: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**arrays)

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the loss of every step, its mean over every epoch and the validation over the epochs.

        Parameters
        ----------
        path : str or Path, optional
            Where to save the picture, in the format of its suffix.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no epoch.
        """
        if not self.epochs:
            raise ValueError("There is no epoch to plot: train for one at least.")
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("History.plot needs matplotlib: pip install 'cvxprox[plot]'.") from error
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        self.draw(axes)
        if path is not None:
            figure.savefig(path)
        return figure

    def draw(self, axes: Any) -> None:
        """Draw the same on axes of matplotlib."""
        steps = np.linspace(0, self.epochs, len(self.step_losses), endpoint=False)
        axes.plot(steps, self.step_losses, color="C0", alpha=0.3, linewidth=0.8, label="steps")
        axes.plot(np.arange(self.epochs) + 0.5, self.losses, color="C0", label="mean of the epoch")
        shown = [self.step_losses]
        if len(self.validation):
            axes.plot(np.arange(self.epochs + 1), self.validation, color="C1", label="validation")
            axes.plot(self.best_epoch, self.best, "o", color="C1", label="best")
            shown.append(self.validation)
        positive = all((values > 0).all() for values in shown)
        axes.set(xlabel="epoch", ylabel="loss", yscale="log" if positive else "linear")
        axes.grid(alpha=0.3)
        axes.legend()
