"""Blocks of a program: rows as points, however they are stored, and steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import cvxprox.prox as px
from cvxprox.operators import Identity
from cvxprox.program import Block, ProxProgram

from .case import F64, tensor

COUNT, ROWS = 6, 6 + 12 + 12 + 4


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(0))


def program(*blocks: Block) -> ProxProgram:
    rows = blocks[-1].stop
    return ProxProgram(None, random(rows), 0.0, Identity((rows,)), torch.zeros(rows, dtype=F64), blocks)


def mixed() -> ProxProgram:
    """A separable function, pairs stored either way, and matrices stored component by component."""
    weight = torch.rand(COUNT, dtype=F64, generator=torch.Generator().manual_seed(1)) + 0.5
    return program(
        Block(px.Abs(), 0, 6, (6,), weight),
        Block(px.Norm2(), 6, 18, (6, 2), weight),
        Block(px.Norm2(), 18, 30, (6, 2), weight, leading=True),
        Block(px.NuclearNorm(), 30, 34, (1, 2, 2), weight[:1], leading=True),
    )


def uniform(value: float, count: int = COUNT) -> Tensor:
    return torch.tensor(value, dtype=F64).expand(count)


def test_points_are_views_of_the_rows() -> None:
    z = random(ROWS)
    for block in mixed().blocks:
        points = block.points(z)
        assert points.shape == block.shape
        assert points.data_ptr() == z[block.start :].data_ptr()
        rows = block.rows(points)
        assert rows.data_ptr() == points.data_ptr()
        assert_close(rows, z[block.start : block.stop])


def test_storage_by_component() -> None:
    block = Block(px.NuclearNorm(), 2, 26, (4, 2, 3), leading=True)
    z = random(5, 30)
    points = block.points(z)
    assert_close(points, z[:, 2:26].reshape(5, 2, 3, 4).permute(0, 3, 1, 2))
    assert_close(block.rows(points), z[:, 2:26])
    assert_close(block.per_point(z[0]), z[0, 2:6])


def test_prox_of_rows_stored_either_way() -> None:
    v = random(ROWS)
    v[18:30] = v[6:18].reshape(6, 2).T.reshape(-1)
    full = mixed()
    z = full.prox(v, full.steps(torch.ones(ROWS, dtype=F64)))
    assert_close(z[18:30].reshape(2, 6).T, z[6:18].reshape(6, 2))
    assert_close(z[30:].reshape(2, 2), px.NuclearNorm().prox(v[30:].reshape(2, 2), full.blocks[3].weight[0]))
    single = program(replace(full.blocks[2], start=0, stop=12))
    assert_close(single.prox(v[18:30], single.steps(torch.ones(12, dtype=F64))), z[18:30])


def test_gradients_through_rows_stored_by_component() -> None:
    full = mixed()

    def prox(v: Tensor, rho: Tensor) -> Tensor:
        return full.prox(v, full.steps(rho))

    rho = full.blocks[0].weight.new_full((ROWS,), 0.8)
    assert torch.autograd.gradcheck(prox, (random(ROWS).requires_grad_(True), rho.requires_grad_(True)))


def test_terms_of_rows_stored_either_way() -> None:
    z = random(ROWS)
    z[18:30] = z[6:18].reshape(6, 2).T.reshape(-1)
    values = [value for _, value in mixed().terms(z)]
    assert_close(values[1], values[2])


@pytest.mark.parametrize("leading", [False, True])
def test_uniform_weights_make_one_step(leading: bool) -> None:
    block = Block(px.Norm2(), 0, 12, (6, 2), uniform(3.0), leading=leading)
    rho = torch.full((12,), 2.0, dtype=F64)
    (step,) = program(block).steps(rho)
    assert isinstance(step, Tensor)
    assert step.dim() == 0 and step == 1.5
    scalar = replace(block, weight=torch.tensor(3.0, dtype=F64))
    assert scalar.step(rho) == 1.5 and scalar.step(rho[:1].expand(12)).dim() == 0
    rho = block.rows(tensor(1, 2, 3, 4, 5, 6)[:, None].expand(6, 2))
    assert_close(block.step(rho), 3 / tensor(1, 2, 3, 4, 5, 6))
    assert_close(scalar.step(rho), 3 / tensor(1, 2, 3, 4, 5, 6))
    written_out = replace(block, weight=uniform(3.0).clone())
    z = random(12)
    for one, other in ((block, scalar), (block, written_out)):
        assert_close(
            [v for _, v in program(one).terms(z)],
            [v * (6 if other is None else 1) for _, v in program(other).terms(z)],
        )
        a, b = program(one), program(other)
        assert_close(a.prox(z, a.steps(rho)), b.prox(z, b.steps(rho)))


def test_gradients_of_uniform_steps() -> None:
    """One step of uniform weights and penalties still has the gradients of them all."""
    z = random(6)

    def prox(weight: Tensor, rho: Tensor) -> Tensor:
        p = program(Block(px.Abs(), 0, 6, (6,), weight.expand(6)))
        return p.prox(z, p.steps(rho))

    weight = torch.tensor(0.3, dtype=F64, requires_grad=True)
    rho = torch.full((6,), 2.0, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(prox, (weight, rho))
    assert torch.autograd.gradcheck(
        lambda w, r: prox(w, r.expand(6)), (weight, weight.detach().clone().requires_grad_(True))
    )


def test_uniform_weights_stay_one_entry_when_they_move() -> None:
    moved = program(Block(px.Abs(), 0, 6, (6,), uniform(3.0))).to("cpu", torch.float32)
    weight = moved.blocks[0].weight
    assert weight is not None
    assert weight.dtype == torch.float32 and weight.shape == (6,) and weight.stride() == (0,)


def test_programs_know_whether_they_are_convex() -> None:
    assert mixed().convex
    assert not program(Block(px.Abs(), 0, 6, (6,)), Block(px.Norm0(), 6, 12, (6,))).convex


def test_programs_of_one_iteration() -> None:
    networks = (lambda x, sigma: x, lambda x, sigma: 2 * x)
    prior = px.Denoiser(networks, (2, 3), "HW")
    p = program(Block(px.Abs(), 0, 6, (6,), uniform(1.0)), Block(prior, 6, 12, (1, 6), uniform(1.0, 1)))
    v = random(12)
    for iteration, factor in ((0, 1), (1, 2), (9, 2)):
        now = p.at(iteration)
        assert_close(now.prox(v, now.steps(torch.ones(12, dtype=F64)))[6:], factor * v[6:])
    convex = mixed()
    assert convex.at(3) is convex


def test_the_text_tells_how_rows_are_stored() -> None:
    assert "Norm2: 6 points of size 2, component by component" in str(mixed())
