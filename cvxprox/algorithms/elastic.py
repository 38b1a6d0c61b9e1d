"""The elastic program: the least violation of the constraints, and the certificate it gives."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from cvxprox.algorithms.scaling import Metric
from cvxprox.program import Block, ProxProgram
from cvxprox.prox import SquaredDistance


def elastic_program(program: ProxProgram, metric: Metric) -> ProxProgram:
    r"""The program of the least violation,

    .. math:: \text{minimize}\quad \tfrac12 \sum_j e_j^2\,
              \mathrm{dist}^2(K_jx + b_j,\ \mathrm{dom}\, g_j).

    It always has a solution or approaches one. Where its optimal value is positive, the
    gradients of the distances are a certificate of infeasibility: they are in the barrier cone
    by construction and :math:`K^Ty = 0` by optimality. ADMM reaches them linearly where, on the
    infeasible program itself, its iterates only diverge along them.
    """
    squares = metric.e.square()
    return replace(
        program,
        P=None,
        q=torch.zeros_like(program.q),
        offset=0.0,
        blocks=tuple(_elastic(block, squares) for block in program.blocks),
    )


def elastic_certificate(elastic: ProxProgram, z: Tensor) -> Tensor:
    """The dual point at a solution `z`: the weighted displacements from the domains."""
    y = torch.zeros_like(z)
    for block in elastic.blocks:
        points = block.points(z)
        assert isinstance(block.function, SquaredDistance) and block.weight is not None
        weight = block.function.expand(block.weight, points)
        y[block.start : block.stop] = block.rows(weight * (points - block.function.project(points)))
    return y


def _elastic(block: Block, squares: Tensor) -> Block:
    return replace(block, function=SquaredDistance(block.function), weight=block.per_point(squares).clone())
