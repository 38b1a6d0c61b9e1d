"""The positive semidefinite cone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.cone import Cone
from cvxprox.prox.spectral import eigen, positive_part_ratios


@dataclass(frozen=True)
class PsdCone(Cone):
    r"""The indicator of the positive semidefinite matrices, in scaled vectors.

    A point holds the upper triangle by columns, :math:`X_{00}, X_{01}, X_{11}, X_{02}, X_{12}, \ldots`,
    with the entries off the diagonal times :math:`\sqrt 2`, so that inner products of points and of
    matrices agree: the layout of Clarabel and of CVXPY's ``SvecPSD``.

    .. math:: \Pi(X) = U \mathrm{diag}(\max(\lambda, 0))\, U^T, \qquad X = U \mathrm{diag}(\lambda)\, U^T

    Parameters
    ----------
    order : int
        `n`, for points of size ``n (n + 1) / 2``.

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.3.3.
    """

    order: int
    ndim: ClassVar[int] = 1
    twice: ClassVar[bool] = False

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        decomposition = eigen(_matrix(v, self.order))
        values = decomposition.values
        part = decomposition.rebuild(values.clamp(min=0.0), lambda: positive_part_ratios(values))
        return _vector(part, self.order)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        values, vectors = torch.linalg.eigh(_matrix(v.detach(), self.order))
        unit = torch.eye(v.shape[-1], dtype=v.dtype, device=v.device)
        ratios = positive_part_ratios(values)
        # between an eigenvalue and itself the divided difference is the derivative: 1 also at 0
        turned = vectors.mT[..., None, :, :] @ _matrix(unit, self.order) @ vectors[..., None, :, :]
        flat = turned.flatten(-2)
        return (flat * ratios.flatten(-2)[..., None, :]) @ flat.mT


def _matrix(v: Tensor, order: int) -> Tensor:
    """The symmetric matrix of a scaled vector."""
    place, scale, _ = _layout(order, v.dtype, v.device)
    return v[..., place] * scale


def _vector(x: Tensor, order: int) -> Tensor:
    """The scaled vector of a symmetric matrix."""
    _, scale, upper = _layout(order, x.dtype, x.device)
    return (x / scale).flatten(-2)[..., upper]


@lru_cache(maxsize=64)
def _layout(order: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each matrix entry its place in the vector and its scale; for each vector entry its place."""
    rows, columns = torch.tril_indices(order, order, device=device)
    small, large = columns, rows  # by rows of the lower triangle is by columns of the upper
    place = torch.zeros(order, order, dtype=torch.long, device=device)
    place[small, large] = place[large, small] = torch.arange(len(rows), device=device)
    scale = torch.full((order, order), 1 / math.sqrt(2), dtype=dtype, device=device)
    scale.fill_diagonal_(1.0)
    return place, scale, small * order + large
