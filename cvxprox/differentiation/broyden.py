"""Broyden's method with a low-rank inverse, for many samples at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cvxprox.differentiation.iterative import Map, Solution, norms


@dataclass
class LowRankInverse:
    r"""The matrix :math:`H = I + \sum_i a_i c_i^T` of every sample.

    Attributes
    ----------
    memory : int
        Terms at most; the oldest is dropped for a new one.
    left, right : list of Tensor, shape (samples, size)
        :math:`a_i` and :math:`c_i`.
    """

    memory: int
    left: list[Tensor] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)

    def apply(self, x: Tensor) -> Tensor:
        """Hx."""
        return _plus(x, self.left, self.right)

    def apply_transposed(self, x: Tensor) -> Tensor:
        """H'x."""
        return _plus(x, self.right, self.left)

    def update(self, s: Tensor, y: Tensor, active: Tensor) -> None:
        r"""The nearest matrix with :math:`Hy = s`: :math:`H + (s - Hy)\,s^TH / s^THy`.

        Samples that are not `active`, or whose denominator vanishes, stay.
        """
        Hy, sH = self.apply(y), self.apply_transposed(s)
        denominator = (s * Hy).sum(-1, keepdim=True)
        bound = 1e-10 * norms(s)[:, None] * norms(Hy)[:, None]
        good = active[:, None] & (denominator.abs() > bound)
        a = torch.where(good, (s - Hy) / torch.where(good, denominator, 1.0), 0.0)
        self.left = [*self.left, a][-self.memory :]
        self.right = [*self.right, torch.where(good, sH, 0.0)][-self.memory :]

    def forget(self, samples: Tensor) -> None:
        """H = I for some samples."""
        self.left = [torch.where(samples[:, None], 0.0, a) for a in self.left]


def _plus(x: Tensor, left: list[Tensor], right: list[Tensor]) -> Tensor:
    if not left:
        return x
    products = torch.stack(right, dim=1) @ x[..., None]  # (samples, terms, 1)
    return x + (torch.stack(left, dim=1).mT @ products)[..., 0]


def broyden(
    T: Map, u: Tensor, tol: float, max_iter: int, memory: int, scale: Tensor | None = None
) -> tuple[Solution, LowRankInverse]:
    r"""Broyden's method for :math:`u - T(u) = 0`, and its last estimate of :math:`(I - \partial T)^{-1}`.

    Where the residual is ten times the smallest one, a sample goes back to that and makes a plain step. The
    best point is returned.

    Parameters
    ----------
    T, u, tol, max_iter, scale
        As in `anderson`.
    memory : int
        Terms of the inverse.

    References
    ----------
    Broyden, *A class of methods for solving nonlinear simultaneous equations* (1965); Bai, Kolter and
    Koltun, *Deep Equilibrium Models* (2019), section 3.1.3.
    """
    scale = 1 + norms(u) if scale is None else scale.clamp_min(torch.finfo(u.dtype).tiny)
    inverse = LowRankInverse(memory)
    F = u - T(u)
    best, error, least, count = u, F, norms(F), 1
    while count < max_iter and bool((least > tol * scale).any()):
        step = -inverse.apply(F)
        new = u + step
        F_new = new - T(new)
        count += 1
        size = norms(F_new)
        active = norms(F) > tol * scale
        inverse.update(step, F_new - F, active & size.isfinite())
        better, lost = size < least, ~(size <= 10 * least)
        best, error = torch.where(better[:, None], new, best), torch.where(better[:, None], F_new, error)
        least = torch.where(better, size, least)
        u, F = new, F_new
        if bool(lost.any()):
            inverse.forget(lost)
            u, F = torch.where(lost[:, None], best, u), torch.where(lost[:, None], error, F)
    return Solution(best, least / scale, count), inverse
