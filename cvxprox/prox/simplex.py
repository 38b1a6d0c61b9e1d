"""The simplex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from cvxprox.prox.bounded_set import BoundedSet
from cvxprox.prox.water_level import water_level


@dataclass(frozen=True, eq=False)
class Simplex(BoundedSet):
    r"""The indicator of :math:`x \ge 0,\; \sum_i x_i = r`.

    .. math:: \Pi(v)_i = \max(v_i - \theta, 0), \qquad \textstyle\sum_i \max(v_i - \theta, 0) = r

    Parameters
    ----------
    radius : Tensor or float
        :math:`r \ge 0`; broadcasts against the batch.

    References
    ----------
    Condat, *Fast projection onto the simplex and the l1 ball* (2016), section 2.
    """

    radius: Tensor | float = 1.0
    ndim: ClassVar[int] = 1

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return (v - water_level(v, self.expand(self.radius, v))).clamp(min=0.0)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return self.radius * y.amax(dim=-1)
