"""The second-order cone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.cone import Cone


@dataclass(frozen=True)
class SecondOrderCone(Cone):
    r"""The indicator of :math:`\{(s, x) : \|x\|_2 \le s\}`; the first entry of a point is :math:`s`.

    .. math:: \Pi(s, x) = \begin{cases} (s, x) & \|x\| \le s \\ 0 & \|x\| \le -s \\
              \tfrac12 (1 + s/\|x\|)\,(\|x\|, x) & \text{otherwise} \end{cases}

    References
    ----------
    Parikh and Boyd, *Proximal Algorithms* (2014), section 6.3.2.
    """

    ndim: ClassVar[int] = 1

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        s, x = v[..., :1], v[..., 1:]
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inside = size <= s
        height = torch.where(inside, s, ((s + size) / 2).clamp(min=0.0))
        # inside, where the size may be 0, the ratio is 1
        scale = height / torch.where(inside | (size == 0), height + (height == 0), size)
        return torch.cat([height, scale * x], dim=-1)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        s, x = v[..., 0], v[..., 1:]
        size = torch.linalg.vector_norm(x, dim=-1)
        unit = x / torch.where(size == 0, 1.0, size)[..., None]
        # eigenvalues s -+ |x| belong to (1, -+unit) / sqrt 2, and (s + |x|) / (2 |x|) to the rest of x
        low, high = ((s - size) > 0).to(v.dtype), ((s + size) > 0).to(v.dtype)
        rest = ((s + size) / (2 * torch.where(size == 0, 1.0, size))).clamp(0.0, 1.0)
        rest = torch.where(size == 0, low, rest)
        mean, cross = (low + high) / 2, ((high - low) / 2)[..., None] * unit
        inner = (mean - rest)[..., None, None] * unit[..., :, None] * unit[..., None, :]
        inner = inner + torch.diag_embed(rest[..., None].expand(x.shape))
        top = torch.cat([mean[..., None, None], cross[..., None, :]], dim=-1)
        return torch.cat([top, torch.cat([cross[..., :, None], inner], dim=-1)], dim=-2)
