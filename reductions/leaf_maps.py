"""What CVXPY's reductions do to parameters and variables, on torch tensors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from cvxpy.expressions.leaf import Leaf
from cvxpy.expressions.variable import Variable
from cvxpy.reductions.complex2real.complex2real import Complex2Real
from cvxpy.reductions.cvx_attr2constr import CvxAttr2Constr, lower_value, recover_value_for_leaf
from cvxpy.reductions.dgp2dcp.dgp2dcp import Dgp2Dcp
from cvxpy.reductions.reduction import Reduction
from torch import Tensor

from cvxprox.reductions.torch_operator_batch import batch_of

Tensors = dict[int, Tensor]
"""Tensors ``(*batch, *shape)`` by the id of a leaf."""


@functools.singledispatch
def lower_parameters(reduction: Reduction, values: Tensors) -> Tensors:
    """The tensors of the parameters after a reduction, from those before it."""
    return values


@lower_parameters.register
def _(reduction: Dgp2Dcp, values: Tensors) -> Tensors:
    result = dict(values)
    for parameter, new in reduction.canon_methods._parameters.items():
        if parameter.id in values:
            result[new.id] = result[parameter.id].log()
    return result


@lower_parameters.register
def _(reduction: Complex2Real, values: Tensors) -> Tensors:
    result = dict(values)
    for parameter, (real, imag) in reduction.canon_methods._parameters.items():
        if parameter.id in values:
            _take_parts(values[parameter.id], parameter, real, imag, result)
    return result


def _take_parts(value: Tensor, leaf: Leaf, real: Leaf | None, imag: Leaf | None, result: Tensors) -> None:
    """Enter the real and the imaginary part of a leaf under the leaves that stand for them."""
    value = value if value.is_complex() else torch.complex(value, torch.zeros_like(value))
    if real is not None:
        result[real.id] = value.real
    if imag is not None:
        above = np.triu_indices(leaf.shape[0], k=1) if leaf.is_hermitian() else None
        result[imag.id] = value.imag if above is None else value.imag[..., above[0], above[1]]


@lower_parameters.register
def _(reduction: CvxAttr2Constr, values: Tensors) -> Tensors:
    result = dict(values)
    for parameter, new in reduction._parameters.items():
        if parameter.id in values:
            result[new.id] = _free_entries(parameter, values[parameter.id], new.shape)
    return result


def _free_entries(leaf: Leaf, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The entries of a symmetric, diagonal or sparse leaf that are free."""
    if not leaf._has_dim_reducing_attr:
        return value
    positions = np.arange(leaf.size, dtype=float).reshape(leaf.shape)
    index = torch.from_numpy(lower_value(leaf, positions).astype(np.int64)).to(value.device)
    flat = value.flatten(value.dim() - leaf.ndim)
    return flat.index_select(-1, index.reshape(-1)).reshape((*flat.shape[:-1], *shape))


@functools.singledispatch
def lower_variables(reduction: Reduction, values: Tensors) -> Tensors:
    """The tensors of the variables after a reduction, from those before it; for warm starts."""
    return values


@lower_variables.register
def _(reduction: Dgp2Dcp, values: Tensors) -> Tensors:
    found = {v.id: new.id for v, new in reduction.canon_methods._variables.items()}
    return {found.get(key, key): value.log() if key in found else value for key, value in values.items()}


@lower_variables.register
def _(reduction: Complex2Real, values: Tensors) -> Tensors:
    result = dict(values)
    for variable, (real, imag) in reduction.canon_methods._variables.items():
        if variable.id in values:
            _take_parts(values[variable.id], variable, real, imag, result)
    return result


@lower_variables.register
def _(reduction: CvxAttr2Constr, values: Tensors) -> Tensors:
    result = dict(values)
    for variable, new in reduction._variables.items():
        if variable.id in values:
            result[new.id] = _free_entries(variable, values[variable.id], new.shape)
    for variable, (count, n) in reduction._symmetric_vars.items():
        if variable.id in values:
            shape = (count * n * (n + 1) // 2, 1)
            result[variable.id] = _free_entries(variable, values[variable.id], shape)
    return result


@functools.singledispatch
def recover_variables(reduction: Reduction, values: Tensors) -> Tensors:
    """The tensors of the variables before a reduction, from those after it."""
    return values


@recover_variables.register
def _(reduction: Dgp2Dcp, values: Tensors) -> Tensors:
    result = dict(values)
    for variable, new in reduction.canon_methods._variables.items():
        if new.id in values:
            result[variable.id] = values[new.id].exp()
    return result


@recover_variables.register
def _(reduction: Complex2Real, values: Tensors) -> Tensors:
    result = dict(values)
    for variable, (real, imag) in reduction.canon_methods._variables.items():
        a, b = (None if v is None else values.get(v.id) for v in (real, imag))
        if b is not None and variable.is_hermitian():
            b = _skew(b, variable)
        known = a if a is not None else b
        if known is not None:
            zero = torch.zeros_like(known)
            result[variable.id] = torch.complex(zero if a is None else a, zero if b is None else b)
    return result


def _skew(entries: Tensor, variable: Variable) -> Tensor:
    """The skew-symmetric matrix with these entries above its diagonal."""
    n = variable.shape[0]
    row, column = np.triu_indices(n, k=1)
    batch = entries.shape[:-1]
    full = entries.new_zeros(*batch, n * n)
    full = full.index_copy(-1, torch.from_numpy(row * n + column).to(entries.device), entries)
    full = full.reshape((*batch, n, n))
    return full - full.mT


@recover_variables.register
def _(reduction: CvxAttr2Constr, values: Tensors) -> Tensors:
    result = dict(values)
    for variable, new in reduction._variables.items():
        if new.id in values:
            result[variable.id] = _spread(variable, values[new.id], batch_of(values[new.id], new.ndim))
    for variable, (count, n) in reduction._symmetric_vars.items():
        value = values.get(variable.id)
        if value is not None:
            batch = tuple(value.shape[:-2])
            result[variable.id] = _spread(variable, value.reshape(*batch, count * n * (n + 1) // 2), batch)
    return result


def _spread(variable: Leaf, value: Tensor, batch: tuple[int, ...]) -> Tensor:
    """A variable from its free entries: each entry of it is one of them, or zero."""
    flat = value.reshape((*batch, -1))
    if tuple(value.shape[len(batch) :]) == tuple(variable.shape) and not variable._has_dim_reducing_attr:
        return value
    numbers = 1.0 + np.arange(flat.shape[-1])
    full: Any = recover_value_for_leaf(variable, numbers, project=False)
    full = np.asarray(full.toarray() if hasattr(full, "toarray") else full)
    padded = torch.cat([torch.zeros_like(flat[..., :1]), flat], -1)
    index = torch.from_numpy(full.ravel().astype(np.int64)).to(value.device)
    return padded.index_select(-1, index).reshape((*batch, *variable.shape))


def lowered(reductions: list[Reduction], values: Mapping[int, Tensor]) -> Tensors:
    """`lower_parameters` of all reductions, in order."""
    result = dict(values)
    for reduction in reductions:
        result = lower_parameters(reduction, result)
    return result


def recovered(reductions: list[Reduction], values: Mapping[int, Tensor]) -> Tensors:
    """`recover_variables` of all reductions, backwards."""
    result = dict(values)
    for reduction in reversed(reductions):
        result = recover_variables(reduction, result)
    return result
