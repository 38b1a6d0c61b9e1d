"""What the indicators of norm balls share."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cvxprox.prox.bounded_set import BoundedSet


@dataclass(frozen=True, eq=False)
class Ball(BoundedSet):
    r"""The indicator of :math:`\|x\| \le r` for some norm.

    Parameters
    ----------
    radius : Tensor or float
        :math:`r \ge 0`; broadcasts against the batch.
    """

    radius: Tensor | float
