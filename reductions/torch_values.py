"""Numbers that are affine in the parameters, as differentiable functions of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators import SparseMatrix
from cvxprox.reductions.parametric import AffineValues


class TorchValues:
    r"""The vector :math:`T\theta` of `AffineValues`, of tensors :math:`\theta` with batch dimensions.

    Parameters
    ----------
    values : AffineValues
    columns : ndarray of int
        The position in :math:`\theta` of every column of T. A one is at the end of both.
    starts : ndarray of int
        Where the parameters start in :math:`\theta`, and the position of the one.

    Attributes
    ----------
    parameters : tuple of int
        The numbers of the parameters that count.
    positions : ndarray of int
        Their places in :math:`\theta`, and that of the one: of these the vector is a function.
    source : ndarray of int or None
        For numbers that are single parameters, times `scale`: their places in :math:`\theta`.
    """

    def __init__(self, values: AffineValues, columns: np.ndarray, starts: np.ndarray) -> None:
        self.constant = values.constant
        self.rows = values.rows
        self.source: np.ndarray | None = None
        self.scale: np.ndarray | None = None
        self.kept: dict[Any, Any] = {}
        self.parameters: tuple[int, ...] = ()
        self.positions = starts[-1:]
        if values.tensor is None:
            return
        tensor = sp.csr_array(values.tensor)
        places = columns[tensor.indices]
        touched = np.unique(places)
        owners = np.unique(np.searchsorted(starts, touched[touched < starts[-1]], side="right") - 1)
        self.parameters = tuple(owners.tolist())
        ranges = [np.arange(starts[k], starts[k + 1]) for k in owners]
        self.positions = np.concatenate([*ranges, starts[-1:]])
        local = np.searchsorted(self.positions, places)
        self.tensor = sp.csr_array(
            (tensor.data, local, tensor.indptr), shape=(tensor.shape[0], self.positions.size)
        )
        if (np.diff(tensor.indptr) == 1).all():
            self.source, self.index = places, local
            self.scale = None if (self.tensor.data == 1.0).all() else self.tensor.data

    @property
    def parametric(self) -> bool:
        """Whether any parameter touches the numbers."""
        return self.rows.size > 0

    def __call__(self, theta: Tensor) -> Tensor:
        """The numbers, of shape ``(*batch, rows)``; without batch dimensions where they are constant.

        `theta` holds the entries at `positions`.
        """
        constant = self._moved("constant", theta)
        if not self.parametric:
            return constant
        if self.source is None:
            matrix = self._kept("matrix", theta, lambda: SparseMatrix(self.tensor, theta.dtype, theta.device))
            values = matrix.forward(theta)
        else:
            values = theta.index_select(-1, self._index("index", theta))
            if self.scale is not None:
                values = values * self._moved("scale", theta)
        if self.rows.size == self.constant.size:
            return values
        full = constant.expand(*theta.shape[:-1], -1)
        return full.index_copy(-1, self._index("rows", theta), values)

    def _kept(self, name: str, theta: Tensor, make: Any) -> Any:
        key = (name, theta.dtype, theta.device)
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def _moved(self, name: str, theta: Tensor) -> Tensor:
        return self._kept(name, theta, lambda: torch.from_numpy(getattr(self, name)).to(theta))

    def _index(self, name: str, theta: Tensor) -> Tensor:
        return self._kept(
            name, theta, lambda: torch.from_numpy(getattr(self, name).astype(np.int64)).to(theta.device)
        )
