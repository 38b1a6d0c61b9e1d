"""The interface of a linear operator on tensors, and its automatic adjoint."""

from __future__ import annotations

import abc
import contextlib
import functools
import math
import numbers
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from cvxprox.operators.memory import keep_freed_memory

if TYPE_CHECKING:
    from cvxprox.operators.algebra import Scaled

Shape = tuple[int, ...]
Scalar = float | complex | Tensor
CPU = torch.device("cpu")
IMAGE = 2**14
"""From this many entries on, tensors are blocks that the C library would return to the system."""


class LinearOperator(abc.ABC):
    r"""A linear map :math:`K` from tensors of shape `shape_in` to tensors of shape `shape_out`.

    Every method takes tensors with any leading batch dimensions: `forward` maps
    ``(*batch, *shape_in)`` to ``(*batch, *shape_out)``. An operator whose own data have batch
    dimensions (a `Matrix` for every sample) broadcasts them against those of its argument.

    The inner product is real, also on complex tensors,

    .. math:: \langle x, y \rangle = \mathrm{Re} \sum_i \bar x_i y_i,

    so that real-linear maps of complex tensors (real part, conjugate) have an adjoint; for a
    complex-linear map it is the conjugate transpose.

    Operators are immutable values; ``K @ L``, ``K + L``, ``K - L``, ``-K``, ``c * K`` and ``K.T``
    (the adjoint) make new ones. Questions about structure (`gram`, `norm`, `is_diagonal`,
    `diagonal`, `as_sparse`) are free functions dispatched on the type.

    Attributes
    ----------
    shape_in, shape_out : tuple of int
        Shapes of one argument and of one result, without batch dimensions.
    dtype_in, dtype_out : torch.dtype
        Element types of arguments and of results.
    device : torch.device
        Where the operator's data are.
    """

    shape_in: Shape
    shape_out: Shape
    dtype_in: torch.dtype
    dtype_out: torch.dtype
    device: torch.device

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """:math:`Kx`, of shape ``(*batch, *shape_out)``, for `x` of shape ``(*batch, *shape_in)``."""

    def adjoint(self, y: Tensor) -> Tensor:
        r""":math:`K^*y`, of shape ``(*batch, *shape_in)``, for `y` of shape ``(*batch, *shape_out)``.

        It satisfies :math:`\langle Kx, y\rangle = \langle x, K^*y\rangle`. The default is the
        vector-Jacobian product of `forward`, differentiable in `y` and in the operator's data.
        """
        return self._vjp(y)

    @functools.cached_property
    def _vjp(self) -> KeptVjp:
        return KeptVjp(self)

    def __call__(self, x: Tensor) -> Tensor:
        return self.forward(x)

    @property
    def T(self) -> LinearOperator:
        """The adjoint as an operator."""
        from cvxprox.operators.algebra import transpose

        return transpose(self)

    def __matmul__(self, other: LinearOperator) -> LinearOperator:
        from cvxprox.operators.algebra import compose

        if not isinstance(other, LinearOperator):
            return NotImplemented
        return compose(self, other)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        from cvxprox.operators.algebra import Sum

        if not isinstance(other, LinearOperator):
            return NotImplemented
        return Sum((self, other))

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        return self + (-other)

    def __mul__(self, scalar: Scalar) -> Scaled:
        from cvxprox.operators.algebra import Scaled

        if not isinstance(scalar, numbers.Number | Tensor):
            return NotImplemented
        return Scaled(scalar, self)

    __rmul__ = __mul__

    def __neg__(self) -> Scaled:
        return self * -1.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shape_in} -> {self.shape_out})"


class KeptVjp:
    """The vector-Jacobian product of an operator, with its graph kept between calls.

    Recording `forward` once and replaying its backward pass takes 0.4 ms where a fresh vjp takes
    1 ms (differences of a 256 x 256 image, one core). The graph of the latest batch shape is kept.
    """

    def __init__(self, operator: LinearOperator) -> None:
        self.operator = operator
        self.batch: Shape | None = None
        self.x: Tensor
        self.out: Tensor

    def __reduce__(self) -> tuple[type[KeptVjp], tuple[LinearOperator]]:
        # Copies and pickles start without a graph: tensors inside one cannot be copied.
        return KeptVjp, (self.operator,)

    def record(self, batch: Shape) -> None:
        K = self.operator
        with torch.enable_grad():
            self.x = torch.zeros(batch + K.shape_in, dtype=K.dtype_in, device=K.device, requires_grad=True)
            self.out = K.forward(self.x)
        self.batch = batch

    def __call__(self, y: Tensor) -> Tensor:
        batch = tuple(y.shape[: y.dim() - len(self.operator.shape_out)])
        if batch != self.batch:
            self.record(batch)
        if not self.out.requires_grad:  # the zero operator does not touch its argument
            return torch.zeros_like(self.x)
        # The operator's own batch dimensions may have widened the result.
        y = y.to(self.out.dtype).expand(self.out.shape)
        (grad,) = torch.autograd.grad(
            self.out,
            self.x,
            y,
            retain_graph=True,
            create_graph=torch.is_grad_enabled(),
            materialize_grads=True,
        )
        return grad


def batch_shape(x: Tensor, shape: Shape) -> Shape:
    """The leading dimensions of `x` when its last ones are `shape`."""
    return tuple(x.shape[: x.dim() - len(shape)])


def recording(x: Tensor) -> bool:
    """Whether a transform of torch (autograd, vmap, forward mode) looks at what is done with `x`.

    If not, results may be written in place, and an `autograd.Function` need not be applied (60 µs).
    """
    return (
        (x.requires_grad and torch.is_grad_enabled())
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    )


def watched() -> bool:
    """Whether a transform of torch may look at what is done now, with whatever tensors."""
    return (
        torch.is_grad_enabled()
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    )


def differentiated(x: Tensor) -> bool:
    """Whether `x` has a graph, a tangent, or a function transform around it."""
    level = torch.autograd.forward_ad._current_level
    return (
        x.requires_grad
        or torch._C._functorch.is_functorch_wrapped_tensor(x)
        or (level >= 0 and torch.autograd.forward_ad.unpack_dual(x).tangent is not None)
    )


def plain(x: Tensor) -> Tensor:
    """The numbers of `x`, hidden from all transforms of torch."""
    with outside_transforms():
        while torch._C._functorch.is_functorch_wrapped_tensor(x):
            x = torch._C._functorch.get_unwrapped(x)
        return x.detach()


def outside_transforms() -> contextlib.AbstractContextManager[object]:
    """In it function transforms are suspended, so that tensors that are `plain` become arrays of NumPy."""
    if torch._C._are_functorch_transforms_active():
        return temporarily_clear_interpreter_stack()
    return contextlib.nullcontext()


def match_kind(y: Tensor, dtype: torch.dtype) -> Tensor:
    """`y`, or its real part when `dtype` is real: the adjoint of reading a real tensor as complex."""
    return y.real if y.is_complex() and not dtype.is_complex else y


def declare(
    K: LinearOperator,
    shape_in: Shape,
    shape_out: Shape,
    dtype_in: torch.dtype,
    dtype_out: torch.dtype,
    device: torch.device,
) -> None:
    """Fill in the attributes of the interface; called from ``__post_init__`` of a frozen dataclass."""
    fields = {
        "shape_in": tuple(shape_in),
        "shape_out": tuple(shape_out),
        "dtype_in": dtype_in,
        "dtype_out": dtype_out,
        "device": device,
    }
    for name, value in fields.items():
        set_field(K, name, value)
    if math.prod(K.shape_in) >= IMAGE:
        keep_freed_memory()


def set_field(K: LinearOperator, name: str, value: object) -> None:
    """Fill in a field of a frozen dataclass in its ``__post_init__``."""
    object.__setattr__(K, name, value)
