"""The plain reference: ADMM written by hand for these problems, in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fft import irfft2, rfft2

from benchmarks.imaging.instances import Instance

BALANCED = (10, 20, 40, 80)


@dataclass(frozen=True)
class Iterate:
    """The image `x`, its differences `dx`, and the `anchor` z - u and penalty of its x step."""

    x: Tensor
    dx: Tensor
    anchor: Tensor
    rho: float

    @property
    def multiplier(self) -> Tensor:
        """The p with D'p = A'(y - Ax) exactly; that \\|p\\| <= lambda holds in the limit."""
        return self.rho * (self.dx - self.anchor)


def gradient(x: Tensor, out: Tensor) -> Tensor:
    """Circular forward differences, (2, *x.shape)."""
    for axis in (0, 1):
        torch.sub(x.roll(-1, axis), x, out=out[axis])
    return out


def gradient_adjoint(p: Tensor) -> Tensor:
    """The transpose of `gradient`: minus the divergence."""
    return p[0].roll(1, 0) + p[1].roll(1, 1) - p[0] - p[1]


def admm(
    problem: Instance, rho: float, alpha: float = 1.7, balanced: tuple[int, ...] = BALANCED
) -> Iterator[Iterate]:
    """The iterates of over-relaxed ADMM on ``1/2 ||k * x - y||^2 + lambda ||z||_21, z = Dx``.

    The penalty `rho` is changed only after the iterations in `balanced`, so that the relative residuals
    become equal (Boyd et al., *Distributed Optimization and Statistical Learning via the Alternating
    Direction Method of Multipliers* (2011), section 3.4.1).
    """
    y, weight, transfer = torch.as_tensor(problem.data), problem.weight, torch.as_tensor(problem.transfer)
    rows, columns = (2 - 2 * torch.cos(2 * torch.pi * torch.fft.fftfreq(n, dtype=y.dtype)) for n in y.shape)
    laplacian = rows[:, None] + columns[: transfer.shape[1]]
    target, squares = transfer.conj() * rfft2(y), transfer.abs() ** 2
    solve = 1 / (squares + rho * laplacian)
    z, u, dx, anchor = torch.zeros(4, 2, *y.shape, dtype=y.dtype)
    k = 0
    while True:
        k += 1
        torch.sub(z, u, out=anchor)
        x = irfft2((target + rho * rfft2(gradient_adjoint(anchor))) * solve, s=y.shape)
        gradient(x, dx)
        u.add_(dx, alpha=alpha).add_(z, alpha=1 - alpha)
        size = (u[0] * u[0] + u[1] * u[1]).sqrt_().clamp_(min=weight / rho)
        old, z = z, u * (1 - (weight / rho) / size)
        u.sub_(z)
        yield Iterate(x, dx, anchor, rho)
        if k in balanced:
            primal = (dx - z).norm() / max(dx.norm(), z.norm())
            dual = gradient_adjoint(z - old).norm() / gradient_adjoint(u).norm()
            factor = float((primal / dual).sqrt().clamp(0.1, 10.0))
            rho, u = rho * factor, u / factor
            solve = 1 / (squares + rho * laplacian)
