"""The threshold behind the simplex, the l1 ball, the maximum and their relatives."""

from __future__ import annotations

import torch
from torch import Tensor


def water_level(x: Tensor, mass: Tensor) -> Tensor:
    r"""The root :math:`\theta` of :math:`\sum_i \max(x_i - \theta, 0) = m` over the last dimension, kept.

    With `x` sorted downwards, :math:`\theta = \max_j \frac1j\bigl(\sum_{i \le j} x_i - m\bigr)`: the
    average over the `j` largest is highest when just those above :math:`\theta` take part.

    Parameters
    ----------
    x : Tensor
    mass : Tensor
        :math:`m > 0`, with a last dimension of 1 or none at all.

    References
    ----------
    Condat, *Fast projection onto the simplex and the l1 ball* (2016), section 2.
    """
    total = x.sort(dim=-1, descending=True).values.cumsum(-1)
    count = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    return ((total - mass) / count).amax(dim=-1, keepdim=True)
