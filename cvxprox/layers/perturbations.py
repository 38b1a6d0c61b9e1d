"""Gradients and perturbations of CVXPY's leaves, in CVXPY's conventions.

The entries of a leaf with an attribute are not free: ``P[0, 1]`` and ``P[1, 0]`` of a symmetric P are
one number. A gradient has the derivative in that number at both places; of a perturbation the part
that the attribute allows counts, read where CVXPY reads it (the upper triangle, the diagonal).

A complex leaf stands for its real and imaginary parts: its gradient is
:math:`\\partial L/\\partial\\,\\mathrm{Re} + i\\,\\partial L/\\partial\\,\\mathrm{Im}`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.expressions.leaf import Leaf
from torch import Tensor

MIRRORED = ("symmetric", "PSD", "NSD", "hermitian")


def value_of(leaf: Leaf) -> np.ndarray:
    """The value as a dense array of the shape of the leaf, a copy."""
    if leaf.sparse_idx is None:
        return _plain(leaf.value, leaf).copy()
    full = np.zeros(leaf.shape, dtype=_kind(leaf))
    full[leaf.sparse_idx] = leaf.value_sparse.data
    return full


def gradient_of(leaf: Leaf, free: Tensor) -> Any:
    """The gradient in the numbers that make the leaf, from that in its entries as if they were free.

    As CVXPY stores it: a sparse array where the attribute is `diag`, else a dense one.
    """
    gradient = free.detach().cpu().numpy()
    if _has(leaf, MIRRORED):
        diagonal = np.zeros_like(gradient)
        entries = np.arange(leaf.shape[-1])
        diagonal[..., entries, entries] = gradient[..., entries, entries].real
        return gradient + np.conj(np.swapaxes(gradient, -2, -1)) - diagonal
    return _restricted(leaf, gradient)


def perturbation_of(leaf: Leaf, delta: Any) -> Tensor:
    """The perturbation of the entries that `delta` stands for; zero for None.

    Raises
    ------
    ValueError
        If the shapes do not match.
    """
    full = dense(leaf, 0.0 if delta is None else delta, "delta")
    if _has(leaf, MIRRORED):
        upper = np.triu(full)
        mirrored = upper + np.conj(np.swapaxes(np.triu(full, 1), -2, -1))
        entries = np.arange(leaf.shape[-1])
        mirrored[..., entries, entries] = mirrored[..., entries, entries].real
        return torch.from_numpy(mirrored)
    restricted = _restricted(leaf, full)
    return torch.from_numpy(restricted.toarray() if sp.issparse(restricted) else restricted)


def dense(leaf: Leaf, numbers: Any, name: str) -> np.ndarray:
    """Numbers that a user gave for a leaf, as an array of its shape and kind.

    Raises
    ------
    ValueError
        If the shapes do not match, or the numbers are complex and the leaf is not.
    """
    array = numbers.toarray() if sp.issparse(numbers) else np.asarray(numbers)
    if array.ndim and array.shape != tuple(leaf.shape):
        raise ValueError(
            f"the {name} of `{leaf.name()}` has the shape {array.shape}; `{leaf.name()}` has {leaf.shape}."
        )
    if np.iscomplexobj(array) and not leaf.is_complex():
        raise ValueError(f"the {name} of `{leaf.name()}` is complex; `{leaf.name()}` is real.")
    return np.broadcast_to(array, leaf.shape).astype(_kind(leaf))


def change_of(leaf: Leaf, change: Tensor) -> Any:
    """A directional derivative of a variable, as CVXPY stores it: like its value."""
    return _restricted(leaf, change.detach().cpu().numpy())


def _restricted(leaf: Leaf, array: np.ndarray) -> Any:
    if leaf.attributes["diag"]:
        return sp.diags_array(np.diagonal(array).copy())
    if leaf.attributes["imag"]:
        return 1j * array.imag
    if leaf.sparse_idx is not None:
        kept = np.zeros_like(array)
        kept[leaf.sparse_idx] = array[leaf.sparse_idx]
        return kept
    return array


def _has(leaf: Leaf, attributes: tuple[str, ...]) -> bool:
    return leaf.ndim > 1 and any(leaf.attributes[name] for name in attributes)


def _kind(leaf: Leaf) -> type:
    return np.complex128 if leaf.is_complex() else np.float64


def _plain(value: Any, leaf: Leaf) -> np.ndarray:
    array = value.toarray() if sp.issparse(value) else np.asarray(value)
    return array.astype(_kind(leaf)).reshape(leaf.shape)
