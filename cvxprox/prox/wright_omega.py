"""The Wright omega function, behind every prox with an exponential."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cvxprox.prox.domain import tracked


def wright_omega(s: Tensor) -> Tensor:
    r"""The root :math:`\omega > 0` of :math:`\omega + \log\omega = s`, that is :math:`W_0(e^s)`.

    Two steps of the fourth-order iteration of Fritsch, Shafer and Crowley from the softplus of `s`
    are exact to rounding everywhere. Where :math:`e^s` would underflow, a tiny positive number.

    References
    ----------
    Lawrence, Corless and Jeffrey, *Algorithm 917: Complex Double-Precision Evaluation of the
    Wright omega Function*, ACM TOMS 38 (2012), section 2.
    """
    with torch.no_grad():
        # exp(floor) is still a normal number
        floor = -700.0 if s.dtype == torch.float64 else -85.0
        target = s.detach().clamp(min=floor)
        w = F.softplus(target)
        for _ in range(2):
            r = target - w - w.log()
            u = w + 1
            q = 2 * u * (u + (2 / 3) * r)
            w = w + w * (r / u) * ((q - r) / (q - 2 * r))
    if not tracked(s):
        return w
    # the first derivative, and Newton's step from there: it makes the second one exact too
    w = w + (s - s.detach()) * (w / (1 + w))
    return w - w * (w + w.log() - s.clamp(min=floor)) / (1 + w)
