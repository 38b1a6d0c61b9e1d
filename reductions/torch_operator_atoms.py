"""Torch equivalent of the atoms that apply a linear operator."""

from __future__ import annotations

import torch
from torch import Tensor

from cvxprox.atoms.linear import LinearAtom
from cvxprox.reductions.torch_operator import TorchFunction, torch_operator
from cvxprox.reductions.torch_operator_batch import batch_of
from cvxprox.reductions.torch_operator_linear import Linearity, linearity


@linearity.register
def _(atom: LinearAtom) -> Linearity:
    return Linearity.EACH


@torch_operator.register
def _(atom: LinearAtom) -> TorchFunction:
    ndims = [arg.ndim for arg in atom.args]

    def apply(x: Tensor, *data: Tensor) -> Tensor:
        batches = [batch_of(value, ndim) for value, ndim in zip((x, *data), ndims, strict=True)]
        if not any(batches[1:]):
            return atom.operator(data, x.dtype, x.device).forward(x)
        # An operator for every sample: one formula for all kinds of data.
        batch = torch.broadcast_shapes(*batches)
        x, *rest = (
            value.expand(batch + value.shape[len(own) :]).reshape((-1, *value.shape[len(own) :]))
            for value, own in zip((x, *data), batches, strict=True)
        )
        values = [
            atom.operator(list(own), x.dtype, x.device).forward(xi) for xi, *own in zip(x, *rest, strict=True)
        ]
        return torch.stack(values).reshape(batch + tuple(values[0].shape))

    return apply
