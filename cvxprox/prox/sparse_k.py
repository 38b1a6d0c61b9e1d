"""The sparse vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.nonconvex import NonConvexFunction


@dataclass(frozen=True)
class SparseK(NonConvexFunction):
    r"""The indicator of the vectors with at most `k` nonzero entries.

    The prox keeps `k` entries of largest modulus.

    Parameters
    ----------
    k : int
        Nonnegative.

    References
    ----------
    Beck, *First-Order Methods in Optimization* (2017), section 6.8.3.
    """

    k: int
    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        return v * self._kept(v)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        return torch.diag_embed(self._kept(v))

    def _kept(self, v: Tensor) -> Tensor:
        """1 for the entries that stay, 0 for the others; of entries of one modulus, only as many as fit."""
        largest = v.detach().abs().topk(min(self.k, v.shape[-1]), dim=-1, sorted=False).indices
        return torch.zeros_like(v).scatter(-1, largest, 1.0)
