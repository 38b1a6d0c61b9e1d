"""Steps as the kernels take them fastest."""

from __future__ import annotations

import torch
from torch import Tensor

from cvxprox.prox.domain import tracked


def as_number(x: Tensor | float, v: Tensor) -> Tensor | float:
    """A 0-d tensor in host memory as a number, unless it is differentiated; others as tensors like `v`.

    Elementwise kernels with numbers run at the speed of memory, those that broadcast a 0-d tensor
    at a third of it. On a device the number would have to be waited for.
    """
    if isinstance(x, Tensor) and x.dim() == 0 and x.device.type == "cpu" and not tracked(x):
        return float(x)
    return x.to(v) if isinstance(x, Tensor) else x


def clip(v: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """``min(max(v, low), high)`` for bounds of any kind."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return torch.clamp(v, torch.as_tensor(low).to(v), torch.as_tensor(high).to(v))
    return torch.clamp(v, low, high)
