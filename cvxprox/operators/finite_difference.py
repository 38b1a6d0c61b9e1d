"""Forward differences along axes of a tensor."""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass, replace

import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.as_sparse import along_axis, as_sparse
from cvxprox.operators.axes import negative_axes, sizes
from cvxprox.operators.base import CPU, LinearOperator, Shape, batch_shape, declare, recording, set_field
from cvxprox.operators.bases import Basis, CosineBasis, FourierBasis, along
from cvxprox.operators.boundary import boundary
from cvxprox.operators.gram import gram
from cvxprox.operators.move import Device, move, moved_kind
from cvxprox.operators.norm import norm
from cvxprox.operators.spectrum import Spectrum, gram_spectrum
from cvxprox.operators.weighted_column_norms import weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class FiniteDifference(LinearOperator):
    r"""Forward differences along some axes, :math:`(Kx)_{a,i} = x_{i + e_a} - x_i`.

    The result has the shape ``(len(axes), *shape)``: the discrete gradient of an image, one
    component after the other. The adjoint is minus the divergence.

    Parameters
    ----------
    shape : tuple of int
        Shape of the tensor.
    axes : tuple of int, optional
        Axes of `shape`; all of them if omitted. Components are in the order of the tensor's axes.
    boundary : {"reflect", "circular", "zero"}
        What follows the last entry along an axis: itself, so that the last difference is 0
        (Neumann); the first entry; or 0.
    dtype_in, device
        Element type of the tensors and where they are.
    """

    shape: Shape
    axes: tuple[int, ...] | None = None
    boundary: str = "reflect"
    dtype_in: torch.dtype = torch.float64
    device: torch.device = CPU

    def __post_init__(self) -> None:
        shape = tuple(self.shape)
        axes = tuple(range(len(shape))) if self.axes is None else tuple(self.axes)
        set_field(self, "axes", negative_axes(axes, shape))
        boundary(self.boundary)
        declare(self, shape, (len(axes), *shape), self.dtype_in, self.dtype_in, self.device)

    @property
    def over(self) -> tuple[int, ...]:
        """The axes, negative and increasing."""
        assert self.axes is not None
        return self.axes

    @property
    def component(self) -> int:
        """The axis of the components in the result."""
        return -len(self.shape) - 1

    def forward(self, x: Tensor) -> Tensor:
        if recording(x):
            return torch.stack([_shifted(x, a, self.boundary) - x for a in self.over], self.component)
        out = x.new_empty(batch_shape(x, self.shape) + self.shape_out)
        for d, axis in zip(out.unbind(self.component), self.over, strict=True):
            _write_difference(d, x, axis, self.boundary)
        return out

    def adjoint(self, y: Tensor) -> Tensor:
        parts = list(zip(y.unbind(self.component), self.over, strict=True))
        if recording(y):
            terms = [_shifted_back(d, axis, self.boundary) for d, axis in parts]
            return functools.reduce(operator.add, terms)
        out = y.new_empty(batch_shape(y, self.shape_out) + self.shape)
        (first, axis), *rest = parts
        _write_adjoint(out, first, axis, self.boundary)
        for d, axis in rest:
            _add_adjoint(out, d, axis, self.boundary)
        return out


def _ends(x: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All but the last entry along an axis, all but the first, the first and the last."""
    n = x.shape[axis]
    return x.narrow(axis, 0, n - 1), x.narrow(axis, 1, n - 1), x.narrow(axis, 0, 1), x.narrow(axis, n - 1, 1)


def _shifted(x: Tensor, axis: int, rule: str) -> Tensor:
    """The entries that follow those of `x`."""
    _, tail, first, last = _ends(x, axis)
    end = {"circular": first, "zero": torch.zeros_like(last), "reflect": last}[rule]
    return torch.cat([tail, end], dim=axis)


def _shifted_back(y: Tensor, axis: int, rule: str) -> Tensor:
    """The adjoint of ``_shifted(x) - x``."""
    head, _, first, last = _ends(y, axis)
    start = last if rule == "circular" else torch.zeros_like(first)
    if rule == "reflect":
        y = torch.cat([head, torch.zeros_like(last)], dim=axis)
    return torch.cat([start, head], dim=axis) - y


def _write_difference(d: Tensor, x: Tensor, axis: int, rule: str) -> None:
    head, tail, first, last = _ends(x, axis)
    inside, _, _, end = _ends(d, axis)
    torch.sub(tail, head, out=inside)
    match rule:
        case "circular":
            torch.sub(first, last, out=end)
        case "zero":
            torch.neg(last, out=end)
        case _:
            end.zero_()


def _write_adjoint(out: Tensor, y: Tensor, axis: int, rule: str) -> None:
    head, tail, first, last = _ends(y, axis)
    _, rest, start, end = _ends(out, axis)
    torch.sub(head, tail, out=rest)
    match rule:
        case "circular":
            torch.sub(last, first, out=start)
        case "zero":
            torch.neg(first, out=start)
        case _:
            torch.neg(first, out=start)
            # The last difference is no difference: it does not count.
            before = head.narrow(axis, max(head.shape[axis] - 1, 0), min(head.shape[axis], 1))
            end.copy_(before) if head.shape[axis] else end.zero_()


def _add_adjoint(out: Tensor, y: Tensor, axis: int, rule: str) -> None:
    head, _, _, last = _ends(y, axis)
    inside, rest, start, end = _ends(out, axis)
    rest.add_(head)
    inside.sub_(head)
    match rule:
        case "circular":
            start.add_(last)
            end.sub_(last)
        case "zero":
            end.sub_(last)


@gram_spectrum.register
def _(K: FiniteDifference) -> Spectrum | None:
    """The Laplacian: :math:`\\sum_a 2 - 2\\cos\\omega_a`."""
    lengths = sizes(K.shape, K.over)
    match K.boundary:
        case "circular":
            basis: Basis = FourierBasis(K.over, lengths, not K.dtype_in.is_complex)
            periods = lengths
        case "reflect":
            basis, periods = CosineBasis(K.over, lengths), tuple(2 * n for n in lengths)
        case _:
            return None
    values = torch.zeros((), dtype=K.dtype_in.to_real(), device=K.device)
    for axis, n, period in zip(K.over, lengths, periods, strict=True):
        angle = torch.arange(n, dtype=values.dtype, device=K.device) * (math.pi / period)
        values = values + along(4 * torch.sin(angle).square(), axis)
    return Spectrum(basis, basis.halved(values) if isinstance(basis, FourierBasis) else values)


@gram.register
def _(K: FiniteDifference) -> LinearOperator:
    # Two passes of differences take a tenth of the time of two transforms.
    return K.T @ K


@move.register
def _(K: FiniteDifference, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, dtype_in=moved_kind(K.dtype_in, dtype), device=torch.device(device))


@norm.register
def _(K: FiniteDifference, tol: float = 0.0, max_iter: int = 0) -> Tensor:
    r"""In closed form: :math:`4\sin^2(\omega/2)` along every axis, at the highest frequency there is."""
    square = 0.0
    for n in sizes(K.shape, K.over):
        match K.boundary:
            case "circular":
                highest = 2 * math.pi * (n // 2) / n
            case "reflect":
                highest = math.pi * (n - 1) / n
            case _:
                highest = math.pi * (2 * n - 1) / (2 * n + 1)
        square += 4 * math.sin(highest / 2) ** 2
    return torch.tensor(math.sqrt(square), dtype=K.dtype_in.to_real(), device=K.device)


@as_sparse.register
def _(K: FiniteDifference) -> sp.csr_array:
    return sp.csr_array(
        sp.vstack([along_axis(_matrix(K.shape[axis], K.boundary), K.shape, axis) for axis in K.over])
    )


def _matrix(n: int, rule: str) -> sp.lil_array:
    D = sp.lil_array(sp.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(n, n)))
    if rule == "reflect":
        D[n - 1, n - 1] = 0
    if rule == "circular":
        D[n - 1, 0] += 1
    return D


@weighted_column_norms.register
def _(K: FiniteDifference, weight: Tensor) -> Tensor:
    """Every entry is in the differences that start and that end at it."""
    total = torch.zeros(K.shape_in, dtype=weight.dtype, device=weight.device)
    for w, axis in zip(weight.expand(K.shape_out).unbind(0), K.over, strict=True):
        if K.shape[axis] == 1 and K.boundary == "circular":
            continue  # the difference of an entry with itself
        # The adjoint along the axis is (ending) - (starting).
        starting = torch.cat([*_ends(w, axis)[:1], torch.zeros_like(_ends(w, axis)[3])], dim=axis)
        starting = starting if K.boundary == "reflect" else w
        total = total + _shifted_back(w, axis, K.boundary) + 2 * starting
    return total
