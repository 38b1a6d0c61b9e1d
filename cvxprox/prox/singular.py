"""Thresholding of singular values, with a derivative by divided differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.prox.domain import tracked
from cvxprox.prox.spectral import off_diagonal, positive_part_ratios, symmetrize


def soft_threshold_singular_values(a: Tensor, threshold: Callable[[Tensor], Tensor]) -> Tensor:
    r""":math:`U \mathrm{diag}(\max(\sigma - \theta, 0)) V^T` for :math:`A = U \mathrm{diag}(\sigma) V^T`.

    Its derivative exists at repeated and zero singular values.

    Parameters
    ----------
    a : Tensor
        Shape (..., m, n).
    threshold : callable
        Gives :math:`\theta \ge 0`, with a last dimension of 1 or none at all, from the singular values.
    """
    svd = singular(a)
    level = threshold(svd.values)
    kept = (svd.values - level).clamp(min=0.0)
    # 0 at a zero value, unless the threshold is 0 and the map is the identity
    return svd.rebuild(kept, lambda s: positive_part_ratios(s - level.detach()), level == 0)


def keep_singular_values(a: Tensor, which: Callable[[Tensor], Tensor]) -> Tensor:
    r""":math:`\sum_{i \in I} \sigma_i u_i v_i^T` for :math:`A = \sum_i \sigma_i u_i v_i^T`.

    Its derivative exists where no value in :math:`I` equals one outside.

    Parameters
    ----------
    a : Tensor
        Shape (..., m, n).
    which : callable
        Tells of the singular values, in descending order, which are in :math:`I`.
    """
    svd = singular(a)
    kept = which(svd.values.detach())

    def ratios(s: Tensor) -> Tensor:
        q = s * kept
        difference = _quotient(
            q[..., :, None] - q[..., None, :], s[..., :, None] - s[..., None, :], s.new_zeros(())
        )
        return torch.where(kept[..., :, None] & kept[..., None, :], 1.0, difference)

    return svd.rebuild(svd.values * kept, ratios, kept)


@dataclass(frozen=True, eq=False)
class Singular:
    r"""The decomposition :math:`A = U \mathrm{diag}(\sigma) V^T`, linear in a small change of `A`.

    With :math:`\tilde H = U^T H V`, the derivative of :math:`U \mathrm{diag}(q(\sigma)) V^T` in the direction
    :math:`H` multiplies the symmetric part of :math:`\tilde H` by
    :math:`(q_i - q_j)/(\sigma_i - \sigma_j)`, its antisymmetric part by
    :math:`(q_i + q_j)/(\sigma_i + \sigma_j)`, and what :math:`H` has outside the singular vectors by
    :math:`q_i/\sigma_i`.

    Attributes
    ----------
    values : Tensor
        :math:`\sigma`, differentiable.
    left, right : Tensor
        :math:`U`, :math:`V^T`, fixed.
    delta : Tensor or None
        `A` minus itself detached: zero, but differentiable. None if `A` is not differentiated.

    References
    ----------
    Candès, Sing-Long and Trzasko, *Unbiased risk estimates for singular value thresholding and
    spectral estimators* (2013), section 4.
    """

    values: Tensor
    left: Tensor
    right: Tensor
    delta: Tensor | None

    def rebuild(self, q: Tensor, ratios: Callable[[Tensor], Tensor], at_zero: Tensor) -> Tensor:
        r""":math:`U \mathrm{diag}(q) V^T`.

        Parameters
        ----------
        q : Tensor
            A function of `values`.
        ratios : callable
            Gives the divided differences of that function from the values.
        at_zero : Tensor
            Whether it is the identity, rather than zero, at values that are 0; broadcasts against `q`.
        """
        left, right, delta = self.left, self.right, self.delta
        if delta is None:
            return (left * q[..., None, :]) @ right
        s, fixed, identity = self.values.detach(), q.detach(), at_zero.expand(q.shape).to(q.dtype)
        change = left.mT @ delta @ right.mT
        sums = _quotient(
            fixed[..., :, None] + fixed[..., None, :],
            s[..., :, None] + s[..., None, :],
            identity[..., :, None] * identity[..., None, :],
        )
        even = symmetrize(change)
        inner = torch.diag_embed(q) + off_diagonal(ratios(s)) * even
        result = left @ (inner + sums * (change - even)) @ right
        ratio = _quotient(fixed, s, identity)
        rows, columns = delta.shape[-2:]
        if rows > columns:
            outside = delta @ right.mT - left @ change
            result = result + (outside * ratio[..., None, :]) @ right
        elif columns > rows:
            outside = left.mT @ delta - change @ right
            result = result + left @ (ratio[..., :, None] * outside)
        return result


def singular(a: Tensor) -> Singular:
    """The singular value decomposition of a batch of matrices."""
    left, values, right = torch.linalg.svd(a.detach(), full_matrices=False)
    if not tracked(a):
        return Singular(values, left, right, None)
    delta = a - a.detach()
    change = left.mT @ delta @ right.mT
    return Singular(values + change.diagonal(dim1=-2, dim2=-1), left, right, delta)


def _quotient(numerator: Tensor, denominator: Tensor, at_zero: Tensor) -> Tensor:
    zero = denominator == 0
    return torch.where(zero, at_zero, numerator / denominator.masked_fill(zero, 1.0))
