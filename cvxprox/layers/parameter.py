"""Parameters whose values are torch tensors."""

from __future__ import annotations

import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.reductions.complex2real import canonicalizers as complex_to_real
from cvxpy.reductions.dgp2dcp import canonicalizers as geometric_to_convex
from torch import Tensor, nn

_ORIGINAL = "_cvxprox_original"


class Parameter(cp.Parameter):
    """A `cvxpy.Parameter` that holds a torch tensor with its graph.

    CVXPY, and every solver, sees the numbers of the tensor; what differentiates (`cvxprox.compile`,
    `cvxprox.ProxLayer`, a solve by NABLA_ADMM) sees the tensor itself, so that gradients reach it.

    Parameters
    ----------
    shape : int or tuple of int, optional
        That of the value if omitted, and a number without one.
    name : str, optional
        How it prints.
    value : Tensor, torch.nn.Parameter, array or number, optional
        Held as it is if it is a tensor. A `torch.nn.Parameter` is a learnable part of the modules that
        `cvxprox.compile` and `cvxprox.ProxLayer` make of problems with it.
    id : int, optional
        As in CVXPY.
    **attributes
        Those of `cvxpy.Parameter`: ``nonneg=True``, ``PSD=True``, …

    Raises
    ------
    ValueError
        Where the numbers do not have the shape or the attributes, here or when they are read after an
        optimiser has changed the tensor.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox, torch
    >>> weight = torch.nn.Parameter(torch.tensor(2.0))
    >>> p = cvxprox.Parameter(value=weight, nonneg=True)
    >>> float((3 * p).value)
    6.0
    >>> with torch.no_grad():
    ...     _ = weight.mul_(2)
    >>> float(p.value)
    4.0
    """

    def __init__(
        self,
        shape: int | tuple[int, ...] | None = None,
        name: str | None = None,
        value: Any = None,
        id: int | None = None,
        **attributes: Any,
    ) -> None:
        self._tensor: Tensor | None = None
        self._copy: np.ndarray | None = None
        if shape is None:
            shape = () if value is None else tuple(np.shape(value))
        super().__init__(shape, name, None, id, **attributes)
        if value is not None:
            self.tensor = value

    @property
    def tensor(self) -> Tensor | None:
        """The tensor, with its graph; None without a value."""
        return self._tensor

    @tensor.setter
    def tensor(self, tensor: Tensor | None) -> None:
        if not isinstance(tensor, Tensor):
            self.value = tensor
            return
        self._copy = self._checked(tensor)
        self._tensor = tensor

    @property
    def value(self) -> Any:
        """The numbers of the tensor, as a copy; they are the current ones.

        An array that is assigned becomes a tensor; a tensor that is being learned takes its numbers.
        """
        return cp.Parameter.value.fget(self)

    @value.setter
    def value(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self.tensor = value
        else:
            cp.Parameter.value.fset(self, value)

    def save_value(self, val: Any, sparse_path: bool = False) -> None:
        """Keep a valid array; CVXPY calls this for everything that it assigns."""
        if val is None:
            self._tensor = self._copy = None
            return
        if sparse_path:
            val = val.toarray()
        array = np.array(val.toarray() if sp.issparse(val) else val)
        kept = self._tensor
        if isinstance(kept, nn.Parameter):
            with torch.no_grad():
                kept.copy_(torch.from_numpy(array))
        else:
            self._tensor = torch.from_numpy(array)
        self._copy = array.copy()

    @property
    def _value(self) -> np.ndarray | None:
        """What CVXPY takes for the stored value."""
        if self._tensor is None:
            return None
        if self._copy is None or not np.array_equal(_numbers(self._tensor), self._copy):
            self._copy = self._checked(self._tensor, changed=True)
        return self._copy if self.sparse_idx is None else self._copy[self.sparse_idx]

    @_value.setter
    def _value(self, value: None) -> None:
        self.save_value(value)

    def _checked(self, tensor: Tensor, changed: bool = False) -> np.ndarray:
        """A copy of the numbers, validated as CVXPY does."""
        numbers = np.array(_numbers(tensor))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # that sparse parameters have dense values
                self._validate_value(numbers)
        except ValueError as error:
            advice = (
                " Its tensor was changed in place since: project it after every step of the optimiser, or "
                "make it a function (exp, softplus, a product with its transpose) of what is learned."
                if changed
                else ""
            )
            raise ValueError(f"`{self.name()}`: {error}{advice}") from error
        return numbers

    def state(self) -> tuple[Tensor | None, np.ndarray | None]:
        """What `restore` takes."""
        return self._tensor, self._copy

    def restore(self, state: tuple[Tensor | None, np.ndarray | None]) -> None:
        """Go back to a tensor that was held before."""
        self._tensor, self._copy = state

    def __getstate__(self) -> dict[str, Any]:
        """Copies hold the numbers of a tensor that was computed, and tensors of their own."""
        tensor = self._tensor
        return {**self.__dict__, "_tensor": tensor if tensor is None or tensor.is_leaf else tensor.detach()}


def _numbers(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor; a view where it is on the CPU."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def teach_cvxpy() -> None:
    """Let CVXPY's reductions treat subclasses of parameters as parameters; they look up the exact type."""
    for methods, table in (
        (complex_to_real.Complex2RealCanonMethods, complex_to_real.CANON_METHODS),
        (geometric_to_convex.DgpCanonMethods, geometric_to_convex.CANON_METHODS),
    ):
        table.setdefault(Parameter, table[cp.Parameter])
        original = getattr(methods.__getitem__, _ORIGINAL, methods.__getitem__)

        def look_up(self: Any, key: type, original: Any = original) -> Any:
            return original(self, cp.Parameter if key is Parameter else key)

        setattr(look_up, _ORIGINAL, original)
        methods.__getitem__ = look_up
