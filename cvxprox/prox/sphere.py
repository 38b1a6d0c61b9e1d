"""The indicators of spheres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.domain import tracked
from cvxprox.prox.lengths import inverse_lengths
from cvxprox.prox.nonconvex import NonConvexFunction


@dataclass(frozen=True)
class UnitNorm(NonConvexFunction):
    r"""The indicator of :math:`\|x\|_2 = 1`.

    .. math:: \Pi(v) = v / \|v\|_2, \qquad \Pi(0) = (1, 0, \dots, 0)

    References
    ----------
    Diamond, Takapoui and Boyd, *A general system for heuristic minimization of convex functions over
    non-convex sets* (2018), section 3.
    """

    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return direction(v)


@dataclass(frozen=True, eq=False)
class PhaseRetrieval(NonConvexFunction):
    r"""The indicator of :math:`\|x\|_2 = b`: numbers of known modulus.

    .. math:: \Pi(v) = b\, v / \|v\|_2, \qquad \Pi(0) = (b, 0, \dots, 0)

    A point is a complex number as the pair of its real and its imaginary part, or a real number as a vector
    of one entry, whose sign is unknown.

    Parameters
    ----------
    modulus : Tensor or float
        :math:`b \ge 0`; broadcasts against the batch.

    References
    ----------
    Fienup, *Phase retrieval algorithms: a comparison* (1982), section II.
    """

    modulus: Tensor | float
    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return self.expand(self.modulus, v) * direction(v)


def direction(v: Tensor) -> Tensor:
    """The nearest vectors of length 1; for a zero vector, which all are near, the first axis."""
    if not tracked(v):
        # a vector too short for its squares counts as zero
        inverse = inverse_lengths(v)
        zero = inverse.isinf()
        unit = v * inverse.masked_fill_(zero, 0.0)[..., None]
    else:
        zero = (v == 0).all(dim=-1)
        unit = v / torch.linalg.vector_norm(v, dim=-1, keepdim=True).masked_fill(zero[..., None], 1.0)
    unit[..., 0].masked_fill_(zero, 1.0)
    return unit
