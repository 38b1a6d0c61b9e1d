"""Small programs as functions of tensors, and the tasks that they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox import prox
from cvxprox.differentiation import Task
from cvxprox.operators import (
    Composed,
    Convolution,
    Diagonal,
    FiniteDifference,
    Fourier,
    Identity,
    Matrix,
    OnSlice,
    SquareOnSlice,
    Stacked,
    gram,
)
from cvxprox.operators.base import outside_transforms, plain
from cvxprox.program import Block, ProxProgram

F64 = torch.float64
Build = Callable[..., ProxProgram]


@dataclass(frozen=True)
class Case:
    """A program as a function of tensors, and tensors to take derivatives at."""

    build: Build
    theta: tuple[Tensor, ...]
    single: bool = False  # whether one prox suffices

    def leaves(self) -> tuple[Tensor, ...]:
        return tuple(t.clone().requires_grad_() for t in self.theta)

    def task(self, *theta: Tensor) -> Task:
        with outside_transforms():
            frozen = self.build(*map(plain, theta))
        return Task(self.build(*theta), frozen)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def qp(root: Tensor, q: Tensor, G: Tensor, b: Tensor, upper: Tensor) -> ProxProgram:
    """An equation, inequalities and bounds; `root` is a root of P - I/2."""
    n = q.shape[-1]
    eye = torch.eye(n, dtype=F64)
    K = torch.cat([G, eye.expand(*G.shape[:-2], n, n)], dim=-2)
    equations, rows = 1, K.shape[-2]
    low = torch.full((rows - equations - n,), -torch.inf, dtype=F64)
    zero = torch.zeros(equations, dtype=F64)
    blocks = (
        Block(prox.Box(zero, zero), 0, equations, (equations,), label="equation"),
        Block(prox.Box(low, torch.zeros_like(low)), equations, rows - n, tuple(low.shape), label="rows"),
        Block(prox.Box(-torch.ones(n, dtype=F64), upper), rows - n, rows, (n,), label="bounds"),
    )
    shift = torch.cat([b, b.new_zeros(*b.shape[:-1], n)], dim=-1)
    return ProxProgram(Matrix(root @ root.mT + 0.5 * eye), q, 0.0, Matrix(K), shift, blocks)


def qp_theta(*batch: int, n: int = 5, rows: int = 4) -> tuple[Tensor, ...]:
    shift = numbers(*batch, rows, seed=4)
    shift[..., 1:] -= 0.4
    upper = 0.3 + numbers(n, seed=5).abs()
    return (
        numbers(*batch, n, 3),
        2 * numbers(*batch, n, seed=2),
        numbers(*batch, rows, n, seed=3),
        shift * 0.3,
        upper,
    )


def lasso(A: Tensor, c: Tensor, weight: Tensor, scale: Tensor) -> ProxProgram:
    """Least squares with a weighted l1 norm of a multiple of x."""
    n = A.shape[-1]
    P = A.mT @ A
    K = Diagonal(scale.expand(n))
    block = Block(prox.Abs(), 0, n, (n,), weight, "norm1")
    q = -(A.mT @ c[..., None])[..., 0]
    return ProxProgram(Matrix(P), q, 0.0, K, torch.zeros_like(q), (block,))


def lasso_theta() -> tuple[Tensor, ...]:
    return (
        numbers(8, 5),
        2 * numbers(8, seed=1),
        0.7 + numbers(5, seed=2).abs(),
        torch.tensor([1.5], dtype=F64),
    )


SHAPE = (8, 8)
PIXELS = 64


def deblurring(kernel: Tensor, image: Tensor, weight: Tensor) -> ProxProgram:
    """Isotropic total variation and a circular blur."""
    blur = Convolution(kernel, SHAPE)
    D = FiniteDifference(SHAPE, None, "circular")
    K = Stacked((OnSlice(D, 0, PIXELS),))
    block = Block(prox.Norm2(), 0, 2 * PIXELS, (PIXELS, 2), weight.expand(PIXELS), "tv", leading=True)
    q = -blur.adjoint(image.reshape(image.shape[:-1] + SHAPE)).reshape(image.shape)
    b = torch.zeros((*image.shape[:-1], 2 * PIXELS), dtype=F64)
    P = SquareOnSlice(gram(blur), 0, PIXELS)
    return ProxProgram(P, q, 0.0, K, b, (block,))


def picture(*batch: int) -> Tensor:
    image = torch.zeros(*batch, *SHAPE, dtype=F64)
    image[..., 2:6, 3:7] = 1.0
    image[..., 4:, :3] = 0.5
    return image.reshape(*batch, PIXELS) + 0.1 * numbers(*batch, PIXELS)


def deblurring_theta(*batch: int) -> tuple[Tensor, ...]:
    kernel = torch.tensor([[0.0, 0.1, 0.05], [0.15, 0.5, 0.1], [0.0, 0.1, 0.0]], dtype=F64)
    return kernel, picture(*batch), torch.tensor([0.05], dtype=F64)


def masked_fourier(mask: Tensor, image: Tensor, weight: Tensor) -> ProxProgram:
    """Weighted Fourier coefficients and the l1 norm of differences: compressed sensing."""
    F = Fourier(SHAPE)
    data = F.forward(image.reshape(SHAPE))
    P = SquareOnSlice(gram(Composed(Diagonal(mask.to(torch.complex128), SHAPE), F)), 0, PIXELS)
    q = -F.adjoint(mask.square() * data).reshape(PIXELS)
    D = FiniteDifference(SHAPE, None, "circular")
    blocks = (
        Block(prox.Abs(), 0, 2 * PIXELS, (2 * PIXELS,), weight.expand(2 * PIXELS), "differences"),
        Block(prox.Abs(), 2 * PIXELS, 3 * PIXELS, (PIXELS,), (0.2 * weight).expand(PIXELS), "pixels"),
    )
    K = Stacked((OnSlice(D, 0, PIXELS), OnSlice(Identity(SHAPE), 0, PIXELS)))
    return ProxProgram(P, q, 0.0, K, torch.zeros(3 * PIXELS, dtype=F64), blocks)


def masked_fourier_theta() -> tuple[Tensor, ...]:
    mask = (numbers(*SHAPE, seed=7) > -0.5).to(F64) * (0.5 + numbers(*SHAPE, seed=8).abs())
    return mask, picture(), torch.tensor([0.03], dtype=F64)


CASES = {
    "qp": Case(qp, qp_theta()),
    "lasso": Case(lasso, lasso_theta(), single=True),
    "deblurring": Case(deblurring, deblurring_theta()),
    "masked fourier": Case(masked_fourier, masked_fourier_theta()),
}
