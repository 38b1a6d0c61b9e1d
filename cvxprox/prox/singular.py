"""Soft thresholding of singular values, with a derivative by divided differences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cvxprox.prox.domain import tracked
from cvxprox.prox.spectral import off_diagonal, positive_part_ratios, symmetrize


def soft_threshold_singular_values(a: Tensor, threshold: Callable[[Tensor], Tensor]) -> Tensor:
    r""":math:`U \mathrm{diag}(\max(\sigma - \theta, 0)) V^T` for :math:`A = U \mathrm{diag}(\sigma) V^T`.

    With :math:`\tilde H = U^T H V`, :math:`q = \max(\sigma - \theta, 0)`, the derivative in the direction
    :math:`H` multiplies the symmetric part of :math:`\tilde H` by
    :math:`(q_i - q_j)/(\sigma_i - \sigma_j)`, its antisymmetric part by
    :math:`(q_i + q_j)/(\sigma_i + \sigma_j)`, and what :math:`H` has outside the singular vectors by
    :math:`q_i/\sigma_i`; it exists at repeated and zero singular values.

    Parameters
    ----------
    a : Tensor
        Shape (..., m, n).
    threshold : callable
        Gives :math:`\theta \ge 0`, with a last dimension of 1 or none at all, from the singular values.

    References
    ----------
    Candès, Sing-Long and Trzasko, *Unbiased risk estimates for singular value thresholding and
    spectral estimators* (2013), section 4.
    """
    left, values, right = torch.linalg.svd(a.detach(), full_matrices=False)
    if not tracked(a):
        kept = (values - threshold(values)).clamp(min=0.0)
        return (left * kept[..., None, :]) @ right
    delta = a - a.detach()
    change = left.mT @ delta @ right.mT
    moving = values + change.diagonal(dim1=-2, dim2=-1)
    level = threshold(moving)
    kept = (moving - level).clamp(min=0.0)
    level, q = level.detach(), kept.detach()
    # q = 0 at a zero value, unless the threshold is 0 and the map is the identity
    identity = (level == 0).to(a.dtype)
    ratio = _quotient(q, values, identity)
    sums = _quotient(
        q[..., :, None] + q[..., None, :],
        values[..., :, None] + values[..., None, :],
        identity[..., None] if identity.dim() else identity,
    )
    even = symmetrize(change)
    inner = torch.diag_embed(kept) + off_diagonal(positive_part_ratios(values - level)) * even
    result = left @ (inner + sums * (change - even)) @ right
    rows, columns = a.shape[-2:]
    if rows > columns:
        outside = delta @ right.mT - left @ change
        result = result + (outside * ratio[..., None, :]) @ right
    elif columns > rows:
        outside = left.mT @ delta - change @ right
        result = result + left @ (ratio[..., :, None] * outside)
    return result


def _quotient(numerator: Tensor, denominator: Tensor, at_zero: Tensor) -> Tensor:
    zero = denominator == 0
    return torch.where(zero, at_zero, numerator / denominator.masked_fill(zero, 1.0))
