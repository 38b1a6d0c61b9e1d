"""How the samples of a batch ended."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cvxprox.status import Status

MOST_NAMED = 10
"""Samples that a warning names."""

NOT_FINITE = "its tensors have entries that are not finite"
OVERFLOW = "its solution has entries that are not finite"
NO_CONVERGENCE = "no solution was found within the limit on the iterations"


@dataclass
class Outcomes:
    """What is known of every sample; the batch is flattened.

    Attributes
    ----------
    batch : tuple of int
    statuses : list of Status or None
        None for samples that were not tried, since their tensors are not finite.
    reasons : dict of int to str
        Why samples failed, by their number.
    infos : list of dict
        One for every solve; backward passes add to them.
    """

    batch: tuple[int, ...]
    statuses: list[Status | None]
    reasons: dict[int, str] = field(default_factory=dict)
    infos: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> Any:
        """The status, or an array of the shape of the batch."""
        if not self.batch:
            return self.statuses[0]
        array = np.empty(len(self.statuses), dtype=object)
        array[:] = self.statuses
        return array.reshape(self.batch)

    def failed(self, device: torch.device | None = None) -> Tensor:
        """Which samples failed, of the shape of the batch."""
        failed = torch.zeros(len(self.statuses), dtype=torch.bool)
        failed[list(self.reasons)] = True
        return failed.reshape(self.batch).to(device)

    @property
    def info(self) -> dict[str, Any]:
        """Of all solves together: the largest of numbers, else what the first says."""
        return merged(self.infos)

    def warn(self, stacklevel: int) -> None:
        """One warning that names the samples that failed."""
        if not self.reasons:
            return
        if not self.batch:
            text = f"the solve failed: {self.reasons[0]}. The result is NaN"
        else:
            named = [
                f"{self._place(number)} ({reason})"
                for number, reason in list(self.reasons.items())[:MOST_NAMED]
            ]
            more = len(self.reasons) - len(named)
            rest = f" and {more} more" if more else ""
            text = (
                f"{len(self.reasons)} of {len(self.statuses)} samples failed: {', '.join(named)}{rest}. "
                "Their results are NaN"
            )
        warnings.warn(
            f"{text}, and nothing is differentiated there.", RuntimeWarning, stacklevel=stacklevel + 1
        )

    def _place(self, number: int) -> str:
        index = np.unravel_index(number, self.batch)
        return str(int(index[0])) if len(index) == 1 else str(tuple(map(int, index)))


def reason_of_failure(status: Status, limits_count: bool) -> str | None:
    """Why a solve with this status has no solution to differentiate; None if it has one.

    `limits_count` says whether a solve that stops at a limit has failed.
    """
    if status in (Status.INFEASIBLE, Status.UNBOUNDED):
        return status.value.partition(":")[0]
    if status is Status.ITERATION_LIMIT and limits_count:
        return NO_CONVERGENCE
    return None


def merged(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several dicts of numbers and texts as one: largest numbers, first texts."""
    result: dict[str, Any] = {}
    for info in infos:
        for key, value in info.items():
            known = result.get(key)
            both = isinstance(value, int | float) and isinstance(known, int | float)
            result[key] = max(known, value) if both else result.get(key, value)
    return result
