"""The functions of a batch of programs: their prox and its derivative, all samples at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cvxprox.program import Block
from cvxprox.prox import Box, ProxFunction

Steps = tuple[Tensor | float, ...]


@dataclass(frozen=True)
class Slope:
    r"""A block diagonal matrix over the rows of a batch: `diagonal` and one matrix a point elsewhere.

    Attributes
    ----------
    diagonal : Tensor, shape (B, m)
        Arbitrary on the rows of `parts`.
    parts : tuple of (Block, Tensor)
        Blocks of non-separable functions with matrices of shape (B, count, size, size).
    """

    diagonal: Tensor
    parts: tuple[tuple[Block, Tensor], ...] = ()

    def times(self, v: Tensor) -> Tensor:
        """The matrix times vectors (B, m)."""
        result = self.diagonal * v
        for block, matrix in self.parts:
            points = _flat_points(block, v)
            result[..., block.start : block.stop] = _rows(block, (matrix @ points[..., None])[..., 0])
        return result

    def times_rows(self, K: Tensor) -> Tensor:
        """The matrix times matrices (B, m, n) or (m, n)."""
        result = self.diagonal[..., None] * K
        for block, matrix in self.parts:
            rows = K[..., block.start : block.stop, :]
            count, size, n = block.shape[0], block.size, K.shape[-1]
            if block.leading:
                points = rows.reshape(*rows.shape[:-2], size, count, n).transpose(-3, -2)
                turned = (matrix @ points).transpose(-3, -2)
            else:
                turned = matrix @ rows.reshape(*rows.shape[:-2], count, size, n)
            result[..., block.start : block.stop, :] = turned.reshape(-1, size * count, n)
        return result


@dataclass(frozen=True)
class Functions:
    """The blocks of a batch of programs, intervals merged into one clamp.

    Attributes
    ----------
    batch : tuple of int
        The shape of the batch that the tensors of `blocks` have; vectors are (B, m) with one B for all.
    rows : int
    intervals : Box or None
        The intervals, with bounds of shape (m,) or (B, m); other rows have no bounds.
    blocks : tuple of Block
        The others.
    divisible : bool
        Whether `take` knows which tensors of `blocks` have a batch.
    """

    batch: tuple[int, ...]
    rows: int
    intervals: Box | None
    blocks: tuple[Block, ...]
    divisible: bool

    @classmethod
    def of(cls, blocks: tuple[Block, ...], b: Tensor) -> Functions:
        """Those of `blocks`, `b` being of shape (*batch, m)."""
        batch, rows = tuple(b.shape[:-1]), b.shape[-1]
        boxes = [block for block in blocks if isinstance(block.function, Box)]
        others = _merged([block for block in blocks if not isinstance(block.function, Box)])
        intervals = _intervals(boxes, batch, rows, b) if boxes else None
        divisible = all(_divisible(block.function) for block in others)
        functions = cls(batch, rows, intervals, tuple(others), divisible)
        return functions._flattened() if divisible else functions

    def _flattened(self) -> Functions:
        size = math.prod(self.batch)
        everything = slice(None)
        blocks = tuple(_take_block(block, self.batch, everything) for block in self.blocks)
        return replace(self, batch=(size,), blocks=blocks)

    def take(self, index: Tensor) -> Functions:
        """The samples of `index`."""
        assert self.divisible
        intervals = self.intervals
        if intervals is not None:
            intervals = Box(*(t if t.dim() == 1 else t[index] for t in (intervals.lower, intervals.upper)))
        blocks = tuple(_take_block(block, self.batch, index) for block in self.blocks)
        return replace(self, batch=(len(index),), intervals=intervals, blocks=blocks)

    @property
    def dense_blocks(self) -> Iterator[Block]:
        """Those of non-separable functions."""
        return (block for block in self.blocks if block.function.ndim)

    def steps(self, rho: Tensor) -> Steps:
        """Steps of `blocks` for penalties (m,) or (B, m)."""
        rho = rho.reshape(*self.batch, -1) if rho.dim() > 1 else rho
        return tuple(block.step(rho) for block in self.blocks)

    def prox(self, v: Tensor, steps: Steps, out: Tensor) -> Tensor:
        """The prox of all rows at `v`, written to `out`."""
        if self.intervals is not None:
            torch.clamp(v, self.intervals.lower, self.intervals.upper, out=out)
        shaped, target = v.reshape(*self.batch, -1), out.view(*self.batch, -1)
        for block, t in zip(self.blocks, steps, strict=True):
            block.points(target).copy_(block.function.prox(block.points(shaped), t))
        return out

    def derivative(self, v: Tensor, steps: Steps) -> Slope:
        """An element of the generalised Jacobian of the prox."""
        diagonal = torch.zeros_like(v)
        if self.intervals is not None:
            torch.logical_and(v > self.intervals.lower, v < self.intervals.upper, out=diagonal)
        parts = []
        shaped, target = v.reshape(*self.batch, -1), diagonal.view(*self.batch, -1)
        for block, t in zip(self.blocks, steps, strict=True):
            D = block.function.derivative(block.points(shaped), t)
            if block.function.ndim:
                parts.append((block, D.expand(*self.batch, *D.shape[-3:]).reshape(-1, *D.shape[-3:])))
            else:
                block.points(target).copy_(D)
        return Slope(diagonal, tuple(parts))

    def uniform_per_point(self, rows: Tensor) -> Tensor:
        """Replace what the rows of a non-separable point have by their geometric mean, in place."""
        for block in self.dense_blocks:
            points = block.points(rows)
            own = tuple(range(1 - len(block.shape), 0))
            points.copy_(points.log().mean(dim=own, keepdim=True).exp().expand_as(points))
        return rows

    def equalities(self) -> Tensor | None:
        """Which rows are intervals of one point, (m,) or (B, m)."""
        return None if self.intervals is None else torch.eq(self.intervals.lower, self.intervals.upper)

    def defects(self) -> Tensor:
        """Samples whose numbers are not numbers, (B,)."""
        size = math.prod(self.batch)
        bad = torch.zeros(size, dtype=torch.bool)
        if self.intervals is not None:
            for bound in (self.intervals.lower, self.intervals.upper):
                bad = bad.to(bound.device) | bound.isnan().any(-1)
        for block in self.blocks:
            for value in _tensors(block):
                wrong = value.isnan()
                inside = self.divisible and wrong.dim() > 1
                wrong = wrong.flatten(1).any(-1) if inside else wrong.any()
                bad = bad.to(wrong.device) | wrong
        return bad

    def contradictions(self) -> Tensor | None:
        """Samples with an empty interval, (B,) or 0-d."""
        return None if self.intervals is None else (self.intervals.lower > self.intervals.upper).any(-1)


def _intervals(boxes: list[Block], batch: tuple[int, ...], rows: int, b: Tensor) -> Box:
    """The bounds over all rows, without a batch where no interval has one."""
    bounds = []
    for name, free in (("lower", -torch.inf), ("upper", torch.inf)):
        values = [getattr(block.function, name) for block in boxes]
        shape = batch if any(value.dim() > 1 for value in values) else ()
        bound = b.new_full((*shape, rows), free)
        for block, value in zip(boxes, values, strict=True):
            # without a batch of its own the points still need one leading dimension less
            block.points(bound).copy_(value)
        bounds.append(bound.reshape(-1, rows) if shape else bound)
    return Box(*bounds)


def _merged(blocks: list[Block]) -> list[Block]:
    """Neighbours of one function without data become one block."""
    result: list[Block] = []
    for block in blocks:
        last = result[-1] if result else None
        if last is not None and _joins(last, block):
            shape = (last.shape[0] + block.shape[0], *block.shape[1:])
            result[-1] = replace(last, stop=block.stop, shape=shape)
        else:
            result.append(block)
    return result


def _joins(a: Block, b: Block) -> bool:
    plain = not any(isinstance(value, Tensor | ProxFunction) for value in _fields(b.function))
    return (
        plain
        and a.stop == b.start
        and a.weight is None
        and b.weight is None
        and not (a.leading or b.leading)
        and a.shape[1:] == b.shape[1:]
        and type(a.function) is type(b.function)
        and _fields(a.function) == _fields(b.function)
    )


def _fields(function: ProxFunction) -> list[object]:
    return [getattr(function, f.name) for f in dataclasses.fields(function)]  # type: ignore[arg-type]


def _divisible(function: ProxFunction) -> bool:
    """Whether tensors of two dimensions and more have a batch: those of separable functions do."""
    fields = _fields(function)
    inner = [value for value in fields if isinstance(value, ProxFunction)]
    tensors = [value for value in fields if isinstance(value, Tensor)]
    return all(map(_divisible, inner)) and (function.ndim == 0 or all(t.dim() == 0 for t in tensors))


def _take_block(block: Block, batch: tuple[int, ...], index: Tensor | slice) -> Block:
    function = block.function.mapped(lambda t: _taken(t, batch, index) if t.dim() > 1 else t)
    weight = block.weight
    if weight is not None and weight.dim() > 1:
        weight = _taken(weight, batch, index)
    return replace(block, function=function, weight=weight)


def _taken(values: Tensor, batch: tuple[int, ...], index: Tensor | slice) -> Tensor:
    return values.expand(*batch, values.shape[-1]).reshape(-1, values.shape[-1])[index]


def _tensors(block: Block) -> Iterator[Tensor]:
    if block.weight is not None:
        yield block.weight
    stack = [block.function]
    while stack:
        for value in _fields(stack.pop()):
            if isinstance(value, ProxFunction):
                stack.append(value)
            elif isinstance(value, Tensor):
                yield value


def _flat_points(block: Block, v: Tensor) -> Tensor:
    """The points of a block of vectors (B, m), each flattened: (B, count, size)."""
    return block.points(v).flatten(1 - len(block.shape))


def _rows(block: Block, points: Tensor) -> Tensor:
    return block.rows(points.reshape(*points.shape[:-1], *block.shape[1:]))
