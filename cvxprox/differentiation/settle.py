"""Multipliers off the kinks of functions."""

from __future__ import annotations

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.program import ProxProgram
from cvxprox.prox import Abs, Norm2

INSIDE = 1 - 1e-9
NOUGHT = 1e-9


def settled(program: ProxProgram, point: Point) -> Point:
    r"""The point with the multipliers of vanishing norms inside their balls.

    Where :math:`z_i = 0` in :math:`w_i\|z_i\|` and multipliers are not unique (flat regions of an image,
    around which differences add up to zero), :math:`\|y_i\|` may end at its bound :math:`w_i`, where the
    prox has a kink, though the norm stays zero for small changes of the data. There y shrinks by a share
    of :math:`10^{-9}`, so that the derivative of the prox is zero.
    """
    parts = [block for block in program.blocks if isinstance(block.function, Abs | Norm2)]
    if not parts:
        return point
    y = point.y.clone()
    for block in parts:
        assert block.weight is not None
        z, dual = block.points(point.z), block.points(y)
        vector = isinstance(block.function, Norm2)
        size = _norm(dual, vector)
        bound = block.weight.detach().unsqueeze(-1) if vector else block.weight.detach()
        kink = (_norm(z, vector) <= NOUGHT * (1 + z.abs().amax())) & (size > INSIDE * bound)
        dual.copy_(torch.where(kink, dual * (INSIDE * bound / size), dual))
    return point._replace(y=y)


def _norm(x: Tensor, vector: bool) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True) if vector else x.abs()
