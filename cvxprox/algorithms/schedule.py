"""What changes from iteration to iteration: penalties, noise levels of denoisers, networks."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

BOUNDS = 0.1
"""The penalty of a bound over that of a denoiser, at the start of a schedule of noise levels."""

Answer = float | Tensor | Mapping[str, float | Tensor]


class Setting(NamedTuple):
    """The hyperparameters of an iteration.

    Attributes
    ----------
    rho : float or Tensor
        A factor of all penalties; a tensor of no dimension where it is learned.
    noise : float, Tensor or None
        The noise level that denoisers assume, in the units of the data: their penalty becomes
        :math:`w/\\text{noise}^2`, since their prox with step t is a denoiser of level :math:`\\sqrt t`.
    bounds : float
        The penalties of inequalities and other sets, where there is a noise level: in units of those of the
        denoisers.
    """

    rho: float | Tensor = 1.0
    noise: float | Tensor | None = None
    bounds: float | Tensor = BOUNDS

    def same(self, other: Setting) -> bool:
        """Whether the numbers are equal and carry the same graphs."""
        return all(
            a is b or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and a == b)
            for a, b in zip(self, other, strict=True)
        )


class Schedule(abc.ABC):
    """The setting of every iteration.

    Attributes
    ----------
    iterations : int or None
        How many a run has that is not told otherwise; None where the schedule does not say.
    """

    iterations: int | None = None

    @abc.abstractmethod
    def __call__(self, iteration: int) -> Setting:
        """Of iterations 0, 1, …"""

    def shared(self) -> Schedule:
        """This schedule with one set of learnable parameters for all iterations."""
        return self


@dataclass(frozen=True)
class Constant(Schedule):
    """The same in all iterations."""

    rho: float | Tensor = 1.0
    noise: float | Tensor | None = None

    def __call__(self, iteration: int) -> Setting:
        return Setting(self.rho, self.noise)


@dataclass(frozen=True)
class LogDescent(Schedule):
    r"""Noise levels from `start` to `stop` in equal ratios, then constant.

    Bounds begin with small penalties, which leave x free to move, and end with larger ones, which enforce
    them.

    .. math:: \sigma_k = \mathrm{start}^{1 - k/(n-1)}\; \mathrm{stop}^{k/(n-1)}, \qquad k = 0, \dots, n - 1

    Parameters
    ----------
    start, stop : float
        In the units of the data; `stop` is about the noise level of the measurements.
    iterations : int
        n, and the length of a run that is not told otherwise.

    References
    ----------
    Zhang et al., *Plug-and-play image restoration with deep denoiser prior* (2021), section 4.2.
    """

    start: float = 40 / 255
    stop: float = 2.55 / 255
    iterations: int = 12

    def __call__(self, iteration: int) -> Setting:
        share = 1.0 if self.iterations < 2 else min(iteration / (self.iterations - 1), 1.0)
        noise = self.start ** (1 - share) * self.stop**share
        return Setting(1.0, noise, BOUNDS * self.start / noise)


@dataclass(frozen=True)
class Doubling(Schedule):
    r"""Penalties that grow like k, by factors of two: :math:`2^{\lfloor\log_2(1 + rk)\rfloor}`.

    Half-quadratic splitting takes proximal steps of length :math:`1/\rho_k`. They lead to the optimum where
    their sum diverges and that of their squares does not, which holds for growth like k and not for
    geometric growth. Steps of a factor save factorisations.

    Parameters
    ----------
    rate : float
        r.

    References
    ----------
    Passty, *Ergodic convergence to a zero of the sum of monotone operators* (1979).
    """

    rate: float = 5.0

    def __call__(self, iteration: int) -> Setting:
        return Setting(2.0 ** math.floor(math.log2(1 + self.rate * iteration)))


@dataclass(frozen=True)
class Custom(Schedule):
    """A user's function of the iteration: a factor of all penalties, or a dict of "rho" and "noise"."""

    function: Callable[[int], Answer]

    def __call__(self, iteration: int) -> Setting:
        """The answer, checked.

        Raises
        ------
        ValueError
            If the answer is neither.
        """
        answer = self.function(iteration)
        named = dict(answer) if isinstance(answer, Mapping) else {"rho": answer}
        unknown = sorted(named.keys() - set(Setting._fields))
        good = not unknown and all(_positive(value) for value in named.values())
        if not good:
            raise ValueError(
                f"the schedule gave {answer!r} for iteration {iteration}. It must give a positive number, a "
                'factor of the penalties, or a dict of positive numbers named "rho" and "noise".'
            )
        return Setting(**{k: v if isinstance(v, Tensor) else float(v) for k, v in named.items()})


def _positive(value: object) -> bool:
    try:
        number = float(value.detach() if isinstance(value, Tensor) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return 0 < number < math.inf
