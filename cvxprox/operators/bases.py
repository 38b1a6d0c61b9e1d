"""Fast unitary bases in which operators are diagonal."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from cvxprox.operators.base import Shape, recording
from cvxprox.operators.dct import dct, idct


class Basis(abc.ABC):
    """A unitary transform (up to a factor that `inverse` takes back) of the last dimensions of a tensor.

    Bases are values: two are equal if they are the same transform of the same axes.
    """

    axes: tuple[int, ...]
    """The transformed axes, negative and increasing."""

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The coefficients of `x`."""

    @abc.abstractmethod
    def inverse(self, coefficients: Tensor) -> Tensor:
        """The tensor with these coefficients."""


@dataclass(frozen=True)
class PixelBasis(Basis):
    """The entries themselves."""

    axes = ()

    def forward(self, x: Tensor) -> Tensor:
        return x

    def inverse(self, coefficients: Tensor) -> Tensor:
        return coefficients


@dataclass(frozen=True)
class FourierBasis(Basis):
    """The discrete Fourier transform over some axes.

    Real tensors have the coefficients of `torch.fft.rfftn`, the last axis halved.

    Attributes
    ----------
    axes : tuple of int
        Negative, increasing.
    sizes : tuple of int
        Length of the axes.
    real : bool
        Whether tensors are real.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    real: bool

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfftn(x, dim=self.axes) if self.real else torch.fft.fftn(x, dim=self.axes)

    def inverse(self, coefficients: Tensor) -> Tensor:
        if self.real:
            return torch.fft.irfftn(coefficients, s=self.sizes, dim=self.axes)
        return torch.fft.ifftn(coefficients, dim=self.axes)

    def full(self, values: Tensor) -> Tensor:
        r"""Values at every frequency from those of a real operator at half of them, by
        :math:`\lambda_{-k} = \bar\lambda_k`."""
        if not self.real or length(values, self.axes[-1]) == 1:
            return values
        last, count = self.axes[-1], (self.sizes[-1] - 1) // 2
        rest = values.narrow(last, 1, count).flip(last)
        mirrored = torch.conj_physical(negated_frequencies(rest, self.axes[:-1]))
        return torch.cat([values, mirrored], dim=last)

    def halved(self, values: Tensor) -> Tensor:
        """The part of values at every frequency that the coefficients of a real tensor need."""
        if not self.real or length(values, self.axes[-1]) == 1:
            return values
        return values.narrow(self.axes[-1], 0, self.sizes[-1] // 2 + 1)


@dataclass(frozen=True)
class CosineBasis(Basis):
    """The orthonormal type-II discrete cosine transform over some axes.

    It is the basis of convolutions with symmetric kernels at half-sample symmetric boundaries, and of
    the Laplacian with Neumann conditions.

    Attributes
    ----------
    axes : tuple of int
        Negative, increasing.
    sizes : tuple of int
        Length of the axes.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        return dct(x, self.axes)

    def inverse(self, coefficients: Tensor) -> Tensor:
        return idct(coefficients, self.axes)


def joined(a: Basis, b: Basis) -> Basis | None:
    """A basis in which operators diagonal in `a` and in `b` can both be diagonal."""
    if a == b:
        return a
    match a, b:
        case (PixelBasis(), _):
            return b
        case (_, PixelBasis()):
            return a
        case (FourierBasis(), FourierBasis()) if a.real == b.real:
            return FourierBasis(*_union(a, b), a.real)
        case (CosineBasis(), CosineBasis()):
            return CosineBasis(*_union(a, b))
    return None


def _union(a: FourierBasis | CosineBasis, b: FourierBasis | CosineBasis) -> tuple[Shape, Shape]:
    sizes = dict(zip(a.axes + b.axes, a.sizes + b.sizes, strict=True))
    axes = tuple(sorted(sizes))
    return axes, tuple(sizes[axis] for axis in axes)


def rewritten(values: Tensor, source: Basis, target: Basis) -> Tensor | None:
    """Eigenvalues in `source` as eigenvalues in `target`, which transforms more axes.

    None unless they are constant along the axes that only `target` transforms: the operator is
    then the identity in them, up to the values.
    """
    if values.dim() == 0 or source == target:
        return values
    extra = tuple(axis for axis in target.axes if axis not in source.axes)
    match source, target:
        case (FourierBasis(), FourierBasis()):
            constant = _constant_along(source.full(values), extra)
            return None if constant is None else target.halved(constant)
    return _constant_along(values, extra)


def _constant_along(values: Tensor, axes: tuple[int, ...]) -> Tensor | None:
    for axis in axes:
        if length(values, axis) > 1:
            first = values.narrow(axis, 0, 1)
            if values.requires_grad or not bool((values == first).all()):
                return None
            values = first
    return values


def length(values: Tensor, axis: int) -> int:
    """The size along a negative axis of a tensor that broadcasts."""
    return values.shape[axis] if values.dim() >= -axis else 1


def negated_frequencies(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Values at the frequencies -k, over the axes given, of a tensor that broadcasts."""
    axes = tuple(axis for axis in axes if length(values, axis) > 1)
    return values.flip(axes).roll((1,) * len(axes), axes) if axes else values


def times(coefficients: Tensor, values: Tensor) -> Tensor:
    """Values times coefficients that nobody else holds: in place where that is possible."""
    fits = torch.broadcast_shapes(coefficients.shape, values.shape) == coefficients.shape
    kind = torch.promote_types(coefficients.dtype, values.dtype) == coefficients.dtype
    if fits and kind and not (recording(coefficients) or recording(values)):
        return coefficients.mul_(values)
    return coefficients * values


def along(values: Tensor, axis: int) -> Tensor:
    """A vector as a tensor that broadcasts along a negative axis."""
    return values.reshape((-1,) + (1,) * (-axis - 1))
