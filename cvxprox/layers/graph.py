"""Which tensors a solution depends on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cvxprox.program import ProxProgram
from cvxprox.prox import ProxFunction


def without_path(program: ProxProgram, sources: Sequence[Tensor]) -> list[int]:
    """The numbers of the sources that no number of the program depends on; the offset does not count.

    Parameters
    ----------
    program : ProxProgram
        With graph.
    sources : sequence of Tensor
        They require gradients.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        parts = [_product(t, generator) for t in _numbers(program, generator) if t.requires_grad]
    if not parts:
        return list(range(len(sources)))
    slopes = torch.autograd.grad(torch.stack(parts).sum(), sources, retain_graph=True, allow_unused=True)
    return [k for k, slope in enumerate(slopes) if slope is None or not bool(slope.any())]


def linked(result: Tensor, sources: Sequence[Tensor]) -> Tensor:
    """`result` with gradients of zero for the sources."""
    for source in sources:
        nothing = source.reshape(-1)[:0].sum()  # a zero, whatever the entries are
        nothing = nothing.real if nothing.is_complex() and not result.is_complex() else nothing
        result = result + nothing.to(result.device, result.dtype)
    return result


def _numbers(program: ProxProgram, generator: torch.Generator) -> Iterator[Tensor]:
    """Everything that a program is made of; of operators, what they make of a vector."""
    yield from (program.q, program.b)
    x = torch.randn(program.variables, generator=generator, dtype=torch.float64).to(program.q.detach())
    yield from (K.forward(x) for K in (program.K, program.P) if K is not None)
    for block in program.blocks:
        if block.weight is not None:
            yield block.weight
        yield from _fields(block.function)


def _fields(function: ProxFunction) -> Iterator[Tensor]:
    for field in dataclasses.fields(function):  # type: ignore[arg-type]
        value = getattr(function, field.name)
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, ProxFunction):
            yield from _fields(value)


def _product(t: Tensor, generator: torch.Generator) -> Tensor:
    weights = torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t.device)
    return ((t.real if t.is_complex() else t).double() * weights).sum()
