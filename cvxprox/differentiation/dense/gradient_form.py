"""Accelerated proximal gradients for a batch of programs whose functions act on single variables."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.functions import Steps

LANCZOS_STEPS = 8
SAFETY = 1.05


@dataclass(frozen=True)
class GradientForm:
    r"""FISTA with restarts, for :math:`z_i = \kappa_i x_{c(i)} + b_i` with every variable in one row.

    With :math:`\tau_j = 1 / (L P_{jj})` and :math:`\rho_i = 1 / (\kappa_i^2 \tau_{c(i)})`, the point of the
    prox is :math:`v = Kx + b - R^{-1}K^{-T}(Px + q)`, with L the largest eigenvalue of P scaled to a
    unit diagonal, by the Lanczos method. Nothing is factored, which for many variables is what takes
    longest in `WForm`.

    References
    ----------
    Beck and Teboulle, *A fast iterative shrinkage-thresholding algorithm* (2009); O'Donoghue and Candès,
    *Adaptive restart for accelerated gradient schemes* (2015).
    """

    data: DenseBatch
    rho: Tensor
    steps: Steps

    @classmethod
    def of(cls, data: DenseBatch, rho: Tensor) -> GradientForm:
        """For the penalties of `gradient_penalties`."""
        return cls(data, rho, data.functions.steps(rho))

    @staticmethod
    def suits(data: DenseBatch) -> bool:
        """Whether every variable is in one row and curved, and all functions are separable."""
        selector = data.selector
        if selector is None or not selector.injective or len(selector.column) != data.variables:
            return False
        if data.P is None or any(True for _ in data.functions.dense_blocks):
            return False
        return bool((data.P.diagonal() > 0).all())

    def iterate(self, v: Tensor, count: int, alpha: float) -> Tensor:
        """The point of the prox after `count` iterations from `v`; `alpha` is for other forms."""
        prox = self.data.functions.prox
        z = prox(v, self.steps, torch.empty_like(v))
        ahead, t = z, torch.ones_like(v[:, :1])
        for _ in range(count):
            v = self._descended(ahead)
            new = prox(v, self.steps, torch.empty_like(v))
            uphill = ((self.rho * (ahead - new)) * (new - z)).sum(-1, keepdim=True) > 0
            grown = 0.5 + (0.25 + t * t).sqrt()
            ahead = torch.addcmul(new, torch.where(uphill, 0.0, (t - 1) / grown), new - z)
            z, t = new, torch.where(uphill, 1.0, grown)
        return self._descended(z) if count else v

    def point(self, v: Tensor) -> Point:
        """The point after the prox, whose primal residual is zero."""
        z = self.data.functions.prox(v, self.steps, torch.empty_like(v))
        return Point(self._variables(z), z, self.rho * (v - z))

    def _variables(self, z: Tensor) -> Tensor:
        selector = self.data.selector
        assert selector is not None
        x = torch.empty_like(z)
        x[:, selector.column] = (z - self.data.b) / selector.value
        return x

    def _descended(self, z: Tensor) -> Tensor:
        selector, data = self.data.selector, self.data
        assert selector is not None
        slope = data.quadratic(self._variables(z)).add_(data.q)[:, selector.column]
        return z - slope / (self.rho * selector.value)


def gradient_penalties(data: DenseBatch) -> Tensor:
    """Penalties that make a proximal gradient step of `GradientForm`, (n,) or (B, n)."""
    selector, P = data.selector, data.P
    assert selector is not None and P is not None
    diagonal = P.diagonal()
    scale = diagonal.rsqrt()
    generator = torch.Generator(device=data.q.device).manual_seed(0)
    v = torch.randn(data.q.shape, generator=generator, dtype=data.q.dtype, device=data.q.device)
    v = v / v.norm(dim=-1, keepdim=True)
    old, beta = torch.zeros_like(v), torch.zeros_like(v[:, :1])
    alphas, betas = [], []
    for _ in range(LANCZOS_STEPS):
        w = scale * P.times(scale * v) - beta * old
        alpha = (w * v).sum(-1, keepdim=True)
        w = w - alpha * v
        beta = w.norm(dim=-1, keepdim=True)
        old, v = v, w / torch.where(beta > 0, beta, 1.0)
        alphas.append(alpha)
        betas.append(beta)
    side = torch.cat(betas[:-1], -1)
    T = torch.diag_embed(torch.cat(alphas, -1))
    T = T + torch.diag_embed(side, 1) + torch.diag_embed(side, -1)
    bound = SAFETY * torch.linalg.matrix_norm(T, 2)
    bound = bound.max() if data.shared else bound[:, None]
    return (bound * diagonal)[..., selector.column] / selector.value.square()
