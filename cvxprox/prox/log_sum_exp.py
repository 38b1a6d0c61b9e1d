"""The log-sum-exp function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, tracked, zero_or_inf
from cvxprox.prox.wright_omega import wright_omega


@dataclass(frozen=True)
class LogSumExp(ProxFunction):
    r"""The smooth maximum :math:`f(x) = \log\sum_i e^{x_i}`.

    With :math:`L = f(x)` known, each entry of the prox has a closed form, and :math:`L` is the root of
    one decreasing equation:

    .. math:: x_i = v_i - w_i, \qquad w_i = t e^{x_i - L} = \omega(v_i + \log t - L), \qquad
              \textstyle\sum_i w_i = t

    with :math:`\omega` the Wright omega function. It lies between :math:`\max(f(v), \max_i v_i) - t`
    and :math:`\min(f(v), \max_i v_i - t/n + \log n)`. Newton's method on the logarithm of the sum
    starts from the right end, which is exact for small `t` and close for large.
    """

    ndim: ClassVar[int] = 1

    def value(self, x: Tensor) -> Tensor:
        return x.logsumexp(dim=-1)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        t = self.expand(t, v)
        with torch.no_grad():
            log_t = t.log()
            level = _level(v, t, log_t)
            w = wright_omega(v + log_t - level)
            x = torch.where(w > 1, w.log() - log_t + level, v - w)
        if not tracked(v, t):
            return x
        # Newton steps on x + t softmax(x) = v, whose Jacobian, held fixed, is diagonal plus rank one:
        # each gives one derivative more.
        for _ in range(2):
            p = x.softmax(dim=-1)
            diagonal = (1 + t * p).detach()
            step = (x + t * p - v) / diagonal
            share = p.detach() / diagonal
            rank_one = (t * share / share.sum(-1, keepdim=True)).detach()
            x = x - step - rank_one * (p.detach() * step).sum(-1, keepdim=True)
        return x

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return d.amax(dim=-1)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 1), y)


def _level(v: Tensor, t: Tensor, log_t: Tensor) -> Tensor:
    """The value of log-sum-exp at its prox, with the last dimension kept."""
    size = v.shape[-1]
    top, smooth = v.amax(dim=-1, keepdim=True), v.logsumexp(dim=-1, keepdim=True)
    low = torch.maximum(top, smooth) - t
    high = torch.minimum(smooth, top - t / size + math.log(size))
    level, precision = high, 32 * torch.finfo(v.dtype).eps
    low = low - precision * (1 + top.abs() + t)  # the root may be the end itself
    for _ in range(60):
        w = wright_omega(v + log_t - level)
        total = w.sum(dim=-1, keepdim=True)
        error = (total / t).log()
        low, high = torch.where(error > 0, level, low), torch.where(error > 0, high, level)
        step = error * total / (w / (1 + w)).sum(dim=-1, keepdim=True)
        solved = step.abs() <= precision * (1 + top.abs() + level.abs())
        trial = level + step
        level = torch.where(solved | ((trial >= low) & (trial <= high)), trial, (low + high) / 2)
        if bool(solved.all()):
            break
    return level
