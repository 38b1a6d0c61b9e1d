"""The prox program: the form that every algorithm of this library solves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvxprox.operators import LinearOperator, move
from cvxprox.operators.base import differentiated, watched
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
        Nonnegative weights of shape ``(count,)``, or one for all points as a 0-d tensor; None for
        indicators.
    label : str
        What the block is in the user's problem.
    leading : bool
        Whether the rows are stored component by component: read as ``(*point, count)`` in C order
        and not as ``(count, *point)``. `shape` is ``(count, *point)`` in both cases.
    """

    function: ProxFunction
    start: int
    stop: int
    shape: tuple[int, ...]
    weight: Tensor | None = None
    label: str = ""
    leading: bool = False

    def points(self, z: Tensor) -> Tensor:
        """The rows of this block as a batch of points ``(*batch, count, *point)``, a view of `z`."""
        rows, batch = z[..., self.start : self.stop], z.shape[:-1]
        if not self.leading:
            return rows.reshape(*batch, *self.shape)
        return rows.reshape(*batch, *self.shape[1:], self.shape[0]).movedim(-1, len(batch))

    def rows(self, points: Tensor) -> Tensor:
        """The inverse of `points`: the vector of rows, a view where the points are stored that way."""
        batch = points.shape[: points.dim() - len(self.shape)]
        return (points.movedim(len(batch), -1) if self.leading else points).reshape(*batch, -1)

    def per_point(self, rows: Tensor) -> Tensor:
        """The values of a vector over all rows that is constant on every point."""
        points = self.points(rows)
        return points.flatten(1 - len(self.shape))[..., 0] if self.shape[1:] else points

    def step(self, rho: Tensor) -> Tensor | float:
        r"""The step size :math:`w / \rho` of every point, 0-d if it is one for all.

        `rho` are the penalties over all rows.

        A scalar step is worth a look at the penalties: a prox with it reads half as much memory.
        """
        if self.weight is None:
            return 1.0
        weight, penalty = self.weight, self.per_point(rho)
        if _is_uniform(weight) and (_is_uniform(penalty) or _is_constant(penalty)):
            weight, penalty = weight[(0,) * weight.dim()], penalty[0]
        return (weight / penalty).clamp_min(SMALLEST_STEP)

    @property
    def size(self) -> int:
        """Elements in one point."""
        return math.prod(self.shape[1:])


@dataclass(frozen=True)
class ProxProgram:
    r"""A program in prox form, convex where all its functions are.

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

    @property
    def convex(self) -> bool:
        """Whether all functions are convex: the rest of the program is."""
        return all(block.function.convex for block in self.blocks)

    def at(self, iteration: int) -> ProxProgram:
        """The program of one iteration: the same, unless a function changes from one to the next."""
        functions = [block.function.at(iteration) for block in self.blocks]
        if all(f is block.function for f, block in zip(functions, self.blocks, strict=True)):
            return self
        blocks = (replace(block, function=f) for f, block in zip(functions, self.blocks, strict=True))
        return replace(self, blocks=tuple(blocks))

    def quadratic(self, x: Tensor) -> Tensor:
        """:math:`Px`, of the shape of `x`."""
        return torch.zeros_like(x) if self.P is None else self.P.forward(x)

    def prox(self, v: Tensor, steps: tuple[Tensor | float, ...]) -> Tensor:
        """The prox of all blocks at `v`, `steps` being one step size tensor for every block."""
        if len(self.blocks) == 1:
            block = self.blocks[0]
            return block.rows(block.function.prox(block.points(v), steps[0]))
        if watched():
            rows = [b.rows(b.function.prox(b.points(v), t)) for b, t in zip(self.blocks, steps, strict=True)]
            return torch.cat(rows, dim=-1) if rows else v.clone()
        z = torch.empty_like(v)
        for block, t in zip(self.blocks, steps, strict=True):
            block.points(z).copy_(block.function.prox(block.points(v), t))
        return z

    def steps(self, rho: Tensor) -> tuple[Tensor | float, ...]:
        r"""Step sizes :math:`t_j = w_j / \rho_j` for penalties `rho` over the rows, see `Block.step`.

        A term of weight zero gets the smallest positive step: its prox is the identity.
        """
        return tuple(block.step(rho) for block in self.blocks)

    def terms(self, z: Tensor) -> Iterator[tuple[Block, Tensor]]:
        """Every weighted block with its value :math:`\\sum_k w_k g(z_k)`."""
        for block in self.blocks:
            if block.weight is not None:
                values = block.function.value(block.points(z))
                terms = (block.weight * values).nan_to_num(nan=0.0, posinf=math.inf)
                yield block, terms.sum(dtype=torch.float64)

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
            stored = ", component by component" if block.leading else ""
            lines.append(f"  {describe_points(block.function, block.shape)}{stored}  {block.label}".rstrip())
        return "\n".join(lines)


def describe_points(function: ProxFunction, shape: tuple[int, ...]) -> str:
    """The function, and how many points of what size it takes."""
    point = f" of size {'×'.join(map(str, shape[1:]))}" if shape[1:] else ""
    return f"{type(function).__name__}: {shape[0]:,} points{point}"


def _move_block(block: Block, device: torch.device | str, dtype: torch.dtype) -> Block:
    weight = block.weight
    if weight is not None:
        shape = weight.shape
        # a copy of an expanded tensor would be written out in full
        weight = (
            (weight[(0,) * weight.dim()] if _is_uniform(weight) else weight).to(device, dtype).expand(shape)
        )
    return replace(block, function=block.function.to(device, dtype), weight=weight)


def _is_uniform(values: Tensor) -> bool:
    """Whether all entries are one in memory."""
    return values.numel() > 0 and not any(values.stride())


def _is_constant(values: Tensor) -> bool:
    """Whether all entries are equal, where the gradient of one entry may stand for those of all."""
    return not differentiated(values) and values.numel() > 0 and bool((values == values[0]).all())
