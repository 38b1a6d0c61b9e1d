"""A linear operator given by a torch function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators.base import CPU, LinearOperator, Shape, declare


@dataclass(frozen=True, eq=False, repr=False)
class FunctionOperator(LinearOperator):
    """A linear torch function as an operator.

    Parameters
    ----------
    function : callable
        Maps a tensor of shape ``(*batch, *shape_in)`` to one of shape ``(*batch, *shape_out)``. It must
        be linear (no offset); autograd reaches whatever tensors it closes over.
    shape_in : tuple of int
        Shape of one argument.
    shape_out : tuple of int, optional
        Shape of one result; found by calling `function` on zeros if omitted.
    transposed : callable, optional
        The adjoint; the vector-Jacobian product of `function` if omitted.
    dtype_in, device
        Element type of arguments and where they are.

    Examples
    --------
    >>> import torch
    >>> K = FunctionOperator(lambda x: x.diff(dim=-1), (4,))
    >>> K.shape_out
    (3,)
    >>> K.adjoint(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
    tensor([-1., -1., -2.,  4.], dtype=torch.float64)
    """

    function: Callable[[Tensor], Tensor]
    shape_in: Shape
    shape_out: Shape | None = None  # type: ignore[assignment]
    transposed: Callable[[Tensor], Tensor] | None = None
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        with torch.no_grad():
            probe = self.function(torch.zeros(self.shape_in, dtype=self.dtype_in, device=self.device))
        shape_out = tuple(probe.shape) if self.shape_out is None else self.shape_out
        declare(self, self.shape_in, shape_out, self.dtype_in, probe.dtype, self.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return super().adjoint(y) if self.transposed is None else self.transposed(y)
