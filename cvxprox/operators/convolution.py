"""Convolution over some axes of a tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators.as_sparse import as_sparse
from cvxprox.operators.axes import negative_axes, sizes, with_size
from cvxprox.operators.base import LinearOperator, Shape, declare, set_field
from cvxprox.operators.bases import CosineBasis, FourierBasis, times
from cvxprox.operators.boundary import Boundary, boundary, middle
from cvxprox.operators.move import Device, move, moved_kind, moved_tensor
from cvxprox.operators.spectrum import Spectrum, spectrum
from cvxprox.operators.weighted_column_norms import LARGE, weighted_column_norms


@dataclass(frozen=True, eq=False, repr=False)
class Convolution(LinearOperator):
    r"""Convolution that keeps the size, over some axes of a tensor,

    .. math:: y_i = \sum_j k_j\, x_{i + c - j}, \qquad c = \lfloor m/2 \rfloor

    for every multi-index i of the tensor: the middle element c of a kernel of size m is its origin.
    It is `scipy.ndimage.convolve` with the mode ``"wrap"``, ``"constant"`` or ``"reflect"``.

    Products are by FFT: of the size of the tensor at a circular boundary, of somewhat larger sizes
    without large prime factors at the others. The transform of the kernel is made once, unless the
    kernel requires gradients.

    Parameters
    ----------
    kernel : Tensor
        :math:`k`; its last ``len(axes)`` dimensions lie over `axes`. Dimensions before those broadcast
        against the other axes of the tensor (a kernel for every channel), dimensions before these
        are a batch. Real, or complex if the tensors are.
    shape : tuple of int
        Shape of the tensor.
    boundary : {"circular", "zero", "reflect"}
        What lies beyond the edges: the tensor again, zeros, or its mirror image with the entry at
        the edge repeated (half-sample symmetric).
    axes : tuple of int, optional
        Axes of `shape`; the last ``kernel.dim()`` if omitted.
    dtype_in : torch.dtype, optional
        Element type of the tensors; that of the kernel if omitted.

    Raises
    ------
    ValueError
        If the kernel does not fit the shape, the boundary is unknown, or the kernel is complex and
        the tensors are real.
    """

    kernel: Tensor
    shape: Shape
    boundary: str = "circular"
    axes: tuple[int, ...] | None = None
    dtype_in: torch.dtype = None  # type: ignore[assignment]
    aligned: Tensor = field(init=False)
    """The kernel with its dimensions where they lie in the tensor."""
    kept: Tensor | None = field(init=False)
    """The transform of a kernel that requires no gradients."""

    def __post_init__(self) -> None:
        shape, k = tuple(self.shape), self.kernel
        axes = range(-min(k.dim(), len(shape)), 0) if self.axes is None else self.axes
        set_field(self, "axes", negative_axes(tuple(axes), shape))
        set_field(self, "aligned", _aligned(k, shape, self.over))
        kind = self.dtype_in or k.dtype
        if k.is_complex() and not kind.is_complex:
            raise ValueError("a complex kernel acts on complex tensors; make the argument complex first.")
        declare(self, shape, shape, kind, kind, k.device)
        set_field(self, "kept", None if k.requires_grad else self._transfer())

    @property
    def over(self) -> tuple[int, ...]:
        """The axes, negative and increasing."""
        assert self.axes is not None
        return self.axes

    @property
    def taps(self) -> tuple[int, ...]:
        """The sizes of the kernel along the axes."""
        return tuple(self.kernel.shape[self.kernel.dim() - len(self.over) :])

    @property
    def rule(self) -> Boundary:
        """The boundary as an object."""
        return boundary(self.boundary)

    @property
    def basis(self) -> FourierBasis:
        """The transform in which the extended convolution is diagonal."""
        lengths = (
            self.rule.period(n, m) for n, m in zip(sizes(self.shape, self.over), self.taps, strict=True)
        )
        return FourierBasis(self.over, tuple(lengths), not self.dtype_in.is_complex)

    @property
    def transfer(self) -> Tensor:
        """The eigenvalues of the extended circular convolution."""
        return self._transfer() if self.kept is None else self.kept

    def _transfer(self) -> Tensor:
        k = self.aligned.to(self.dtype_in)
        for axis, n, m in zip(self.over, self.basis.sizes, self.taps, strict=True):
            k = wrapped(k, axis, n, self.rule.origin(m))
        return self.basis.forward(k)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_complex() and not self.dtype_in.is_complex:
            return torch.complex(self.forward(x.real), self.forward(x.imag))
        for axis, m in zip(self.over, self.taps, strict=True):
            x = self.rule.extend(x, axis, m)
        y = self._circular(x, self.transfer)
        for axis, n in zip(self.over, sizes(self.shape, self.over), strict=True):
            y = y.narrow(axis, 0, n)
        return y

    def adjoint(self, y: Tensor) -> Tensor:
        if y.is_complex() and not self.dtype_in.is_complex:
            return torch.complex(self.adjoint(y.real), self.adjoint(y.imag))
        x = self._circular(y, self.transfer.conj())
        for axis, n, m in zip(self.over, sizes(self.shape, self.over), self.taps, strict=True):
            x = self.rule.fold(x, axis, n, m)
        return x

    def _circular(self, x: Tensor, transfer: Tensor) -> Tensor:
        lengths = self.basis.sizes
        if self.basis.real:
            coefficients = torch.fft.rfftn(x, s=lengths, dim=self.over)
            return torch.fft.irfftn(times(coefficients, transfer), s=lengths, dim=self.over)
        coefficients = torch.fft.fftn(x, s=lengths, dim=self.over)
        return torch.fft.ifftn(times(coefficients, transfer), dim=self.over)


def correlation(
    kernel: Tensor,
    shape: Shape,
    boundary: str = "circular",
    axes: tuple[int, ...] | None = None,
    dtype_in: torch.dtype = None,  # type: ignore[assignment]
) -> Convolution:
    r"""Correlation that keeps the size, :math:`y_i = \sum_j k_j\, x_{i + j - \lfloor m/2 \rfloor}`.

    It is `scipy.ndimage.correlate`, made as the `Convolution` with the flipped kernel, whose arguments
    it takes.
    """
    dims = tuple(range(-(min(kernel.dim(), len(shape)) if axes is None else len(axes)), 0))
    flipped = kernel.flip(dims)
    # The origin c moves to m - 1 - c, which is the middle of the kernel only where m is odd.
    width = [pad for dim in reversed(dims) for pad in (1 - kernel.shape[dim] % 2, 0)]
    flipped = torch.nn.functional.pad(flipped, width)
    return Convolution(flipped, shape, boundary, axes, dtype_in)


def wrapped(kernel: Tensor, axis: int, n: int, origin: int) -> Tensor:
    """A kernel on a circle of n points, its element `origin` at point 0."""
    m = kernel.shape[axis]
    points = (torch.arange(m, device=kernel.device) - origin) % n
    zero = kernel.new_zeros(with_size(tuple(kernel.shape), axis, n))
    return zero.index_add(axis, points, kernel)


def _aligned(kernel: Tensor, shape: Shape, axes: tuple[int, ...]) -> Tensor:
    """The kernel with its last dimensions at `axes` and those before at the other axes of the tensor."""
    lead = kernel.dim() - len(axes)
    others = [n for axis, n in enumerate(shape, start=-len(shape)) if axis not in axes]
    if lead < 0 or not axes or 0 in kernel.shape:
        raise ValueError(f"a kernel of shape {tuple(kernel.shape)} does not lie over the axes {axes}.")
    before = tuple(kernel.shape[:lead])
    channels = before[max(lead - len(others), 0) :]
    if any(a not in (1, n) for a, n in zip(reversed(channels), reversed(others), strict=False)):
        raise ValueError(
            f"the dimensions {channels} of a kernel of shape {tuple(kernel.shape)}, before those over the "
            f"axes {axes}, do not broadcast to the other axes of a tensor of shape {tuple(shape)}."
        )
    ones = (1,) * max(len(others) - lead, 0)
    full = kernel.reshape(ones + tuple(kernel.shape))
    # Moving to increasing places, the axes end up where they belong.
    return full.movedim(tuple(range(-len(axes), 0)), tuple(axis + full.dim() for axis in axes))


@spectrum.register
def _(K: Convolution) -> Spectrum | None:
    if K.boundary == "circular":
        return Spectrum(K.basis, K.transfer)
    if K.boundary == "reflect" and _is_symmetric(K):
        return Spectrum(CosineBasis(K.over, sizes(K.shape, K.over)), _cosine_values(K))
    return None


def _is_symmetric(K: Convolution) -> bool:
    k = K.aligned.detach()
    # Known for the values only: gradients must not take it for granted.
    return not K.kernel.requires_grad and all(
        m % 2 == 1 and torch.equal(k, k.flip(axis)) for axis, m in zip(K.over, K.taps, strict=True)
    )


def _cosine_values(K: Convolution) -> Tensor:
    """The eigenvalues: the real transform of the kernel at the frequencies of the mirrored tensor."""
    values = K.aligned.to(K.dtype_in)
    for axis, m in zip(K.over, K.taps, strict=True):
        n = K.shape[axis]
        values = torch.fft.fft(wrapped(values, axis, 2 * n, middle(m)), dim=axis).narrow(axis, 0, n)
        values = values if K.dtype_in.is_complex else values.real
    return values.contiguous()


@move.register
def _(K: Convolution, device: Device, dtype: torch.dtype) -> LinearOperator:
    return replace(K, kernel=moved_tensor(K.kernel, device, dtype), dtype_in=moved_kind(K.dtype_in, dtype))


@as_sparse.register
def _(K: Convolution) -> sp.csr_array:
    """Every row has the entries of the kernel, at the positions that the boundary says."""
    if K.aligned.dim() > len(K.shape):
        raise ValueError(f"{K} holds a batch of kernels; take one of them.")
    dim = len(K.shape)
    taps = [K.aligned.shape[axis] if axis in K.over else 1 for axis in range(-dim, 0)]
    columns = np.zeros((1,) * (2 * dim), dtype=np.int64)
    inside = np.ones((1,) * (2 * dim), dtype=bool)
    for place, (n, m) in enumerate(zip(K.shape, taps, strict=True)):
        read = K.rule.positions(np.arange(n)[:, None] + middle(m) - np.arange(m), n)
        lie = [1] * (2 * dim)
        lie[place], lie[dim + place] = n, m
        columns = columns * n + read.reshape(lie)
        inside = inside & (read >= 0).reshape(lie)
    kernel = K.aligned.detach().to(K.dtype_in).cpu().numpy()
    rows = [1 if axis in K.over else kernel.shape[axis] for axis in range(-dim, 0)]
    # The other axes first, as those of the kernel come last in rows and taps alike.
    entries = np.moveaxis(kernel, K.over, range(-len(K.over), 0)).reshape((*rows, *taps))
    full = tuple(K.shape) + tuple(taps)
    size = math.prod(K.shape)
    kept, columns, entries = (
        np.broadcast_to(part, full).reshape(size, -1) for part in (inside, columns, entries)
    )
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    matrix = sp.csr_array((entries[kept], columns[kept], start), shape=(size, size))
    matrix.sum_duplicates()
    return matrix


@weighted_column_norms.register
def _(K: Convolution, weight: Tensor) -> Tensor:
    """The adjoint of the convolution with the squared kernel.

    At a mirror boundary several entries of the kernel add up in an entry of the matrix near the edge:
    there it is an estimate when the tensor is large.
    """
    if K.boundary == "reflect" and math.prod(K.shape) <= LARGE:
        return weighted_column_norms.dispatch(LinearOperator)(K, weight)
    kernel = K.kernel
    if K.boundary == "circular":
        # A kernel longer than the tensor meets its entries more than once.
        for place, (axis, m) in enumerate(zip(K.over, K.taps, strict=True), start=-len(K.over)):
            n = K.shape[axis]
            kernel = wrapped(kernel, place, n, middle(m) - middle(n)) if m > n else kernel
    squares = replace(K, kernel=kernel.abs().square(), dtype_in=K.dtype_in.to_real())
    return squares.adjoint(weight.expand(K.shape_out)).clamp_min(0)
