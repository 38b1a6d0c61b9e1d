"""Penalties for a batch of dense programs: first guesses and updates by secants."""

from __future__ import annotations

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch

EQUALITY_FACTOR = 1e3
SHARE = 0.3
RANGE = 1e4


def typical_penalties(data: DenseBatch) -> Tensor:
    r"""Penalties with which the rows weigh as much as the quadratic form, (m,) or (B, m).

    .. math:: \rho_i = 0.3\,\frac{\sum_j P_{jj}K_{ij}^2}{\sum_j K_{ij}^4}

    is unchanged when variables are scaled. The size of q stands in for a P of zero; rows of zeros get 1.
    The samples get one value where they share K and P.
    """
    size = data.q.square().mean(-1).sqrt()
    size = torch.where(size > 0, size, 1.0)
    if data.shared:
        size = size.log().mean().exp()
    if data.P is None:
        curvature = size[..., None].expand(*size.shape, data.variables)
    else:
        curvature = data.P.diagonal()
        floor = 1e-6 * curvature.amax(-1, keepdim=True)
        curvature = torch.maximum(curvature, torch.where(floor > 0, floor, size[..., None]))
    if data.selector is not None:
        square = data.selector.value.square()
        image, fourth = square * curvature[..., data.selector.column], square.square()
    else:
        squares = data.squares
        image = (squares @ curvature.unsqueeze(-1)).squeeze(-1)
        fourth = squares.square().sum(-1)
    rho = SHARE * image / torch.where(fourth > 0, fourth, 1.0)
    rho = torch.where(rho > 0, rho, 1.0).clamp(1e-10, 1e10)
    return data.functions.uniform_per_point(rho.contiguous())


def first_penalties(data: DenseBatch, typical: Tensor) -> Tensor:
    """The typical ones, a thousand times as much on equalities."""
    equal = _equalities(data)
    return typical if equal is None else torch.where(equal, EQUALITY_FACTOR * typical, typical)


def spectral_penalties(data: DenseBatch, typical: Tensor, rho: Tensor, old: Point, new: Point) -> Tensor:
    r"""One penalty a row from the movement of the dual over that of z between two points.

    .. math:: t_i = \frac{|\Delta y_i| + 10^{-3}\,\mathrm{rms}\,\Delta y}
                         {|\Delta z_i| + 10^{-3}\,\mathrm{rms}\,\Delta z}, \qquad
              \rho_i \leftarrow (\rho_i t_i)^{1/2}

    in units of the typical penalties and within a range of them, as `SpectralPenalties` does.
    Equalities keep theirs.
    """
    root = typical.sqrt()
    dy, dz = (new.y - old.y).abs() / root, (new.z - old.z).abs() * root
    ratio = (dy + 1e-3 * _rms(dy)) / (dz + 1e-3 * _rms(dz))
    multiplier = (rho / typical * ratio).sqrt().nan_to_num(nan=1.0).clamp(1 / RANGE, RANGE)
    if data.shared:
        multiplier = multiplier.log().mean(0).exp()
    target = data.functions.uniform_per_point((multiplier * typical).contiguous())
    equal = _equalities(data)
    return target if equal is None else torch.where(equal, rho, target)


def _equalities(data: DenseBatch) -> Tensor | None:
    """Rows that are equalities, of all samples where these share the penalties."""
    equal = data.functions.equalities()
    return equal.all(0) if equal is not None and data.shared and equal.dim() > 1 else equal


def _rms(v: Tensor) -> Tensor:
    return v.square().mean(-1, keepdim=True).sqrt()
