"""Dual values of constraints as those of their dual variables."""

from __future__ import annotations

import numpy as np
import torch
from cvxpy.constraints.constraint import Constraint
from torch import Tensor


def dual_shape(constraint: Constraint) -> tuple[int, ...]:
    """The shape of a dual value: flat where CVXPY splits it into several dual variables."""
    variables = constraint.dual_variables
    return tuple(variables[0].shape) if len(variables) == 1 else (constraint.size,)


def of_variables(constraint: Constraint, dual: Tensor, batch: int) -> dict[int, Tensor]:
    """The values of the dual variables of a constraint, by id; cones have several.

    Parameters
    ----------
    constraint : Constraint
    dual : Tensor
        What CVXPY's reductions give for it, after `batch` dimensions.
    batch : int
    """
    flat = dual.reshape((*dual.shape[:batch], -1))
    shape = dual.shape[batch:]
    values = {}
    for key, index in _places(constraint, tuple(shape)).items():
        places = torch.from_numpy(np.ascontiguousarray(index.ravel())).to(flat.device)
        values[key] = flat.index_select(-1, places).reshape((*flat.shape[:-1], *index.shape))
    return values


def _places(constraint: Constraint, shape: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Where the constraint puts every entry of a dual value, as it does with one of numbers."""
    before = [variable._value for variable in constraint.dual_variables]
    try:
        constraint.save_dual_value(np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape))
        return {
            variable.id: np.asarray(variable._value).astype(np.int64).reshape(variable.shape)
            for variable in constraint.dual_variables
        }
    finally:
        for variable, value in zip(constraint.dual_variables, before, strict=True):
            variable._value = value
