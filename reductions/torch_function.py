"""Torch equivalents of nonlinear atoms, for expressions of parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.elementwise.abs import abs as absolute
from cvxpy.atoms.elementwise.entr import entr
from cvxpy.atoms.elementwise.exp import exp
from cvxpy.atoms.elementwise.log import log
from cvxpy.atoms.elementwise.log1p import log1p
from cvxpy.atoms.elementwise.logistic import logistic
from cvxpy.atoms.elementwise.maximum import maximum
from cvxpy.atoms.elementwise.minimum import minimum
from cvxpy.atoms.elementwise.power import Power
from cvxpy.atoms.quad_over_lin import quad_over_lin
from torch import Tensor

from cvxprox.reductions.torch_operator_batch import align

TorchFunction = Callable[..., Tensor]


@functools.singledispatch
def torch_function(atom: Atom) -> TorchFunction | None:
    """The torch function of a nonlinear atom, of tensors with batch dimensions; None if none is written.

    It is differentiable to any order, where CVXPY's own gradients serve for the first only.
    """
    return None


_ELEMENTWISE: dict[type, TorchFunction] = {
    absolute: torch.abs,
    exp: torch.exp,
    log: torch.log,
    log1p: torch.log1p,
    entr: torch.special.entr,
    logistic: torch.nn.functional.softplus,
}
for _kind, _torch in _ELEMENTWISE.items():
    torch_function.register(_kind)(lambda atom, _torch=_torch: _torch)


@torch_function.register
def _(atom: Power) -> TorchFunction:
    power = float(getattr(atom.p, "value", atom.p))
    return lambda x: x**power


def _fold(atom: Atom, function: Callable[[Tensor, Tensor], Tensor]) -> TorchFunction:
    ndim = len(atom.shape)
    own = [arg.ndim for arg in atom.args]

    def folded(*xs: Tensor) -> Tensor:
        wide = [align(x, n, ndim) for x, n in zip(xs, own, strict=True)]
        return functools.reduce(function, wide)

    return folded


@torch_function.register
def _(atom: maximum) -> TorchFunction:
    return _fold(atom, torch.maximum)


@torch_function.register
def _(atom: minimum) -> TorchFunction:
    return _fold(atom, torch.minimum)


@torch_function.register
def _(atom: quad_over_lin) -> TorchFunction | None:
    if atom.axis is not None:
        return None
    ndim = atom.args[0].ndim
    dims = tuple(range(-ndim, 0))
    return lambda x, y: (x.abs() ** 2).sum(dims) / y if dims else x.abs() ** 2 / y
