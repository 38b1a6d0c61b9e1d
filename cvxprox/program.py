"""The prox program: the form that every algorithm of this library solves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvxprox.operators import LinearOperator, move
from cvxprox.prox import ProxFunction

SMALLEST_STEP = 1e-20


@dataclass(frozen=True)
class Block:
    """Rows ``start:stop`` of z, read as `count` points of one prox function.

    Attributes
    ----------
    function : ProxFunction
    start, stop : int
    shape : tuple of int
        ``(count, *point)``; ``(count,)`` for separable functions.
    weight : Tensor or None
        Nonnegative weights of shape ``(count,)``; None for indicators.
    label : str
        What the block is in the user's problem.
    """

    function: ProxFunction
    start: int
    stop: int
    shape: tuple[int, ...]
    weight: Tensor | None = None
    label: str = ""

    def points(self, z: Tensor) -> Tensor:
        """The rows of this block as a batch of points."""
        return z[..., self.start : self.stop].reshape(*z.shape[:-1], *self.shape)

    def per_point(self, rows: Tensor) -> Tensor:
        """The values of a vector over all rows that is constant on every point."""
        return self.points(rows).flatten(1)[:, 0] if self.function.ndim else self.points(rows)

    @property
    def size(self) -> int:
        """Elements in one point."""
        return math.prod(self.shape[1:])


@dataclass(frozen=True)
class ProxProgram:
    r"""A convex program in prox form.

    .. math:: \text{minimize}\quad \tfrac12 x^T P x + q^T x + d + \sum_j w_j\, g_j(z_j),
              \qquad z = Kx + b

    The dual point y of the equation ``Kx + b = z`` satisfies :math:`y_j \in w_j \partial g_j(z_j)`
    and :math:`Px + q + K^T y = 0`.

    Attributes
    ----------
    P : LinearOperator or None
        Symmetric positive semidefinite; None for zero.
    q : Tensor, shape (n,)
    offset : float
        The constant d.
    K : LinearOperator, from (n,) to (m,)
    b : Tensor, shape (m,)
    blocks : tuple of Block
        Cover the m rows of z without gaps.
    """

    P: LinearOperator | None
    q: Tensor
    offset: float
    K: LinearOperator
    b: Tensor
    blocks: tuple[Block, ...]

    @property
    def variables(self) -> int:
        """n."""
        return self.q.shape[-1]

    @property
    def rows(self) -> int:
        """m."""
        return self.b.shape[-1]

    def quadratic(self, x: Tensor) -> Tensor:
        """:math:`Px`, of the shape of `x`."""
        return torch.zeros_like(x) if self.P is None else self.P.forward(x)

    def prox(self, v: Tensor, steps: tuple[Tensor | float, ...]) -> Tensor:
        """The prox of all blocks at `v`, `steps` being one step size tensor for every block."""
        if len(self.blocks) == 1:
            block = self.blocks[0]
            if block.function.ndim == 0:
                return block.function.prox(v, steps[0])
            return block.function.prox(v.view(block.shape), steps[0]).reshape(v.shape)
        z = torch.empty_like(v)
        for block, t in zip(self.blocks, steps, strict=True):
            z[block.start : block.stop] = block.function.prox(block.points(v), t).reshape(-1)
        return z

    def steps(self, rho: Tensor) -> tuple[Tensor | float, ...]:
        r"""Step sizes :math:`t_j = w_j / \rho_j` for penalties `rho` over the rows.

        A term of weight zero gets the smallest positive step: its prox is the identity.
        """
        return tuple(
            1.0 if block.weight is None else (block.weight / block.per_point(rho)).clamp_min(SMALLEST_STEP)
            for block in self.blocks
        )

    def terms(self, z: Tensor) -> Iterator[tuple[Block, Tensor]]:
        """Every weighted block with its value :math:`\\sum_k w_k g(z_k)`."""
        for block in self.blocks:
            if block.weight is not None:
                values = block.function.value(block.points(z))
                yield block, (block.weight * values).nan_to_num(nan=0.0, posinf=math.inf).sum()

    def objective(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """The objective at `x`; the functions are evaluated at `z`, by default ``Kx + b``."""
        z = self.K.forward(x) + self.b if z is None else z
        value = 0.5 * (x * self.quadratic(x)).sum() + (self.q * x).sum() + self.offset
        return value + sum(term for _, term in self.terms(z))

    def to(self, device: torch.device | str, dtype: torch.dtype) -> ProxProgram:
        """The same program on another device or in another precision."""
        if self.q.device == torch.device(device) and self.q.dtype == dtype:
            return self
        return replace(
            self,
            P=None if self.P is None else move(self.P, device, dtype),
            q=self.q.to(device, dtype),
            K=move(self.K, device, dtype),
            b=self.b.to(device, dtype),
            blocks=tuple(_move_block(block, device, dtype) for block in self.blocks),
        )

    def __str__(self) -> str:
        """The mathematics: the sizes and one line per block."""
        lines = [f"minimize  {'½xᵀPx + ' if self.P is not None else ''}qᵀx + Σ wⱼ gⱼ(zⱼ),  z = Kx + b"]
        lines.append(f"  x: {self.variables}, z: {self.rows}")
        for block in self.blocks:
            kind = type(block.function).__name__
            point = f" of size {'×'.join(map(str, block.shape[1:]))}" if block.shape[1:] else ""
            lines.append(f"  {kind}: {block.shape[0]} points{point}  {block.label}".rstrip())
        return "\n".join(lines)


def _move_block(block: Block, device: torch.device | str, dtype: torch.dtype) -> Block:
    weight = None if block.weight is None else block.weight.to(device, dtype)
    return replace(block, function=block.function.to(device, dtype), weight=weight)
