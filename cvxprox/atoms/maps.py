"""Linear operators that a user gives as torch functions or modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from cvxpy.expressions.expression import Expression
from torch import Tensor, nn

from cvxprox.atoms.data import Opaque
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.atoms.probing import Function, check_adjoint, check_linear, random, tolerance
from cvxprox.operators import FunctionOperator, LinearOperator
from cvxprox.operators.base import batch_shape


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A linear torch function that can be applied to expressions; made by `linop`.

    Attributes
    ----------
    function, transposed : callable
        The function and its adjoint (or None), on tensors without batch dimensions.
    shape_in, shape_out : tuple of int
        Shapes of its arguments and results.
    dtype, device
        Type and place of the tensors that it takes, or None for any.
    name : str
        How it prints.
    """

    function: Function
    shape_in: Shape
    transposed: Function | None = None
    dtype: torch.dtype | None = None
    device: torch.device | None = None
    name: str = "linop"
    shape_out: Shape = field(init=False)
    to_complex: bool = field(init=False)
    batched: bool = field(init=False)

    def __post_init__(self) -> None:
        dtype, device = self.dtype or torch.float64, self.device or torch.device("cpu")
        label = f"the function `{self.name}`"
        value = check_linear(label, self.function, self.shape_in, dtype, device)
        if self.transposed is not None:
            check_adjoint(label, self.function, self.transposed, self.shape_in, dtype, device)
        object.__setattr__(self, "shape_out", tuple(value.shape))
        object.__setattr__(self, "to_complex", value.is_complex() and not dtype.is_complex)
        object.__setattr__(self, "batched", self._takes_batches(dtype, device))

    def _takes_batches(self, dtype: torch.dtype, device: torch.device) -> bool:
        """Whether the functions themselves act on every sample of a batch, found by trying."""
        forms = [(self.function, self.shape_in, self.shape_out, dtype)]
        if self.transposed is not None:
            kind = dtype.to_complex() if self.to_complex else dtype
            forms.append((self.transposed, self.shape_out, self.shape_in, kind))
        for function, shape, result, kind in forms:
            x = random((2, *shape), kind, 4, device)
            try:
                with torch.no_grad():
                    together = function(x)
                    single = torch.stack([function(sample) for sample in x])
            except Exception:
                return False
            if together.shape != (2, *result):
                return False
            if not torch.allclose(
                together, single, rtol=0.0, atol=100 * tolerance(kind) * float(single.abs().max())
            ):
                return False
        return True

    def __str__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: dict) -> LinearMap:
        return self

    def __call__(self, x: Any) -> LinearAtom:
        """The function applied to an expression."""
        return MappedLinear(x, self)

    def __matmul__(self, x: Any) -> LinearAtom:
        return self(x)

    def apply(self, function: Function, x: Tensor, shape: Shape) -> Tensor:
        """One of the functions applied to arguments of `shape`, with any batch dimensions before them."""
        batch = batch_shape(x, shape)
        kind, place = x.dtype, x.device
        if self.dtype is not None:
            x = x.to(dtype=self.dtype.to_complex() if x.is_complex() else self.dtype)
        x = x if self.device is None else x.to(self.device)
        if not batch:
            value = function(x)
        else:
            flat = x.reshape((-1, *shape))
            value = function(flat) if self.batched else torch.stack([function(sample) for sample in flat])
            value = value.reshape(batch + tuple(value.shape[1:]))
        return value.to(place, kind.to_complex() if value.is_complex() else kind.to_real())


class MappedLinear(LinearAtom):
    """A function made by `linop` applied to an expression."""

    options: ClassVar[tuple[str, ...]] = ("map",)

    def __init__(self, x: Any, map: LinearMap) -> None:
        self.map = map
        super().__init__(x)

    @classmethod
    def label(cls) -> str:
        return "linop"

    def name(self) -> str:
        return f"{self.map.name}({self.args[0].name()})"

    def validate_arguments(self) -> None:
        super().validate_arguments()
        x, map = self.args[0], self.map
        if x.shape != map.shape_in:
            raise ValueError(
                f"`{map.name}` was declared for arguments of shape {map.shape_in}, but `{x.name()}` has "
                f"the shape "
                f"{x.shape}."
            )
        if x.is_complex():
            dtype = (map.dtype or torch.float64).to_complex()
            check_linear(
                f"the function `{map.name}`",
                map.function,
                map.shape_in,
                dtype,
                map.device or torch.device("cpu"),
            )

    def shape_from_args(self) -> Shape:
        """That of the function's results."""
        return self.map.shape_out

    def maps_to_complex(self) -> bool:
        return self.map.to_complex

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        map = self.map

        def forward(x: Tensor) -> Tensor:
            return map.apply(map.function, x, map.shape_in)

        def adjoint(y: Tensor) -> Tensor:
            assert map.transposed is not None
            x = map.apply(map.transposed, y, map.shape_out)
            return x.real if x.is_complex() and not dtype.is_complex else x

        back = None if map.transposed is None else adjoint
        return FunctionOperator(
            forward, map.shape_in, map.shape_out, back, dtype_in=dtype, device=torch.device(device)
        )


class LearnedLinear(LinearAtom):
    """Made by `learned_linop`."""

    options: ClassVar[tuple[str, ...]] = ("module", "size_out")

    def __init__(self, x: Any, module: Opaque, size_out: Shape | None = None) -> None:
        self.module, self.size_out = module, size_out
        super().__init__(x)

    @classmethod
    def label(cls) -> str:
        return "learned_linop"

    def name(self) -> str:
        return f"learned_linop({self.module}, {self.args[0].name()})"

    def validate_arguments(self) -> None:
        super().validate_arguments()
        x, label = self.args[0], f"the module {self.module} of `learned_linop`"
        dtype = torch.complex128 if x.is_complex() else torch.float64
        value = check_linear(label, self.applied, (1, *x.shape), dtype, torch.device("cpu"))
        if value.dim() < 1 or value.shape[0] != 1:
            raise ValueError(f"{label} maps one sample of shape {x.shape} to {tuple(value.shape)}.")
        if self.size_out is not None and tuple(value.shape[1:]) != tuple(self.size_out):
            raise ValueError(
                f"{label} returns the shape {tuple(value.shape[1:])}, not {tuple(self.size_out)}."
            )
        self.found, self.complex_result = tuple(value.shape[1:]), value.is_complex() and not x.is_complex()

    def shape_from_args(self) -> Shape:
        """What the module returns."""
        return self.found

    def maps_to_complex(self) -> bool:
        return self.complex_result

    def applied(self, x: Tensor) -> Tensor:
        """The module on a batch, its parameters converted to the type of `x` without being changed."""
        module: nn.Module = self.module.value
        state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        moved = {
            name: value.to(x.device, x.dtype.to_real() if value.is_floating_point() else value.dtype)
            for name, value in state.items()
        }
        return torch.func.functional_call(module, moved, (x,))

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        shape = tuple(self.args[0].shape)

        def forward(x: Tensor) -> Tensor:
            batch = batch_shape(x, shape)
            return self.applied(x.reshape((-1, *shape))).reshape(batch + self.shape)

        return FunctionOperator(forward, shape, self.shape, dtype_in=dtype, device=torch.device(device))


def linop(
    forward: Function,
    shape: Sequence[int],
    adjoint: Function | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    name: str | None = None,
) -> LinearMap:
    r"""A linear torch function as an operator on expressions: ``K = linop(...)``, then ``K(x)`` or ``K @ x``.

    The function is checked here, on random tensors: that it is linear, and that the adjoint is its adjoint,

    .. math:: \langle Kx, y\rangle = \langle x, K^*y\rangle, \qquad
              \langle x, y\rangle = \mathrm{Re} \sum_i \bar x_i y_i.

    Parameters
    ----------
    forward : callable
        From tensors of the given shape to tensors of any shape. If it accepts a leading batch dimension too
        (which is tried), batches are given to it at once, otherwise one sample after the other.
    shape : tuple of int
        The shape of its arguments.
    adjoint : callable, optional
        Its adjoint; found by automatic differentiation if omitted.
    dtype, device : optional
        Type and place of the tensors that the function takes, where it does not take any: arguments are
        converted to them, and results back.
    name : str, optional
        How the operator prints; the name of the function by default.

    Returns
    -------
    LinearMap

    Raises
    ------
    ValueError
        If the function fails, is not linear, or the adjoint is not its adjoint.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox, torch
    >>> K = cvxprox.linop(lambda x: x.cumsum(-1), (5,), name="cumsum")
    >>> print(K @ cp.Variable(5, name="x"))
    cumsum(x)
    """
    own = getattr(forward, "__name__", type(forward).__name__)
    chosen = name or ("linop" if own == "<lambda>" else own)
    place = None if device is None else torch.device(device)
    return LinearMap(forward, tuple(int(n) for n in shape), adjoint, dtype, place, chosen)


def learned_linop(module: nn.Module, x: Expression, shape: Sequence[int] | None = None) -> LearnedLinear:
    r"""A linear torch module applied to an expression; its parameters stay trainable.

    The module is called with tensors of shape ``(N, *x.shape)``, and its parameters take part in gradients
    through the solution. The adjoint comes from automatic differentiation.

    Parameters
    ----------
    module : torch.nn.Module
        Linear in its input: layers without bias and without activation. This is checked numerically.
    x : Expression
        What it is applied to.
    shape : tuple of int, optional
        The shape of the result, for a check.

    Raises
    ------
    ValueError
        If the module fails, is not linear (it has a bias, say), or returns another shape.
    """
    held = Opaque(module, type(module).__name__)
    return LearnedLinear(x, held, None if shape is None else tuple(shape))
