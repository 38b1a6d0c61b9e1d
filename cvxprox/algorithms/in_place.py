"""Results in the memory of what is not needed any more."""

from __future__ import annotations

import torch
from torch import Tensor


def into(buffer: Tensor) -> Tensor | None:
    """`buffer` as the place of a result, None where gradients are recorded: `out=into(buffer)`.

    Large arrays cost page faults where they are new.
    """
    return None if torch.is_grad_enabled() else buffer
