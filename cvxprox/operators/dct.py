"""The orthonormal discrete cosine transform on top of torch's real FFT."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor


def dct(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    r"""The orthonormal type-II cosine transform over the negative `axes`,

    .. math:: X_k = c_k \sum_{j=0}^{n-1} x_j \cos\frac{\pi (2j+1) k}{2n}, \qquad
              c_0 = \sqrt{1/n}, \quad c_k = \sqrt{2/n}.

    One real FFT of length n an axis. Complex tensors are transformed part by part.

    References
    ----------
    Makhoul, *A fast cosine transform in one and two dimensions* (1980).
    """
    if x.is_complex():
        return torch.complex(dct(x.real, axes), dct(x.imag, axes))
    # Last axis first, and last in the inverse: each then works on a layout it left contiguous.
    for axis in reversed(axes):
        x = _dct_last(x.movedim(axis, -1)).movedim(-1, axis)
    return x


def idct(coefficients: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The inverse, and adjoint, of `dct`."""
    x = coefficients
    if x.is_complex():
        return torch.complex(idct(x.real, axes), idct(x.imag, axes))
    for axis in axes:
        x = _idct_last(x.movedim(axis, -1)).movedim(-1, axis)
    return x


def _dct_last(x: Tensor) -> Tensor:
    # Strided copies of a transposed tensor are slow, transposes are not.
    x = x.contiguous()
    n = x.shape[-1]
    half, middle = n // 2 + 1, (n + 1) // 2
    v = torch.empty_like(x)
    v[..., :middle] = x[..., ::2]
    v[..., middle:] = x[..., 1::2].flip(-1)
    z = torch.fft.rfft(v).mul_(_twiddles(n, x.dtype, x.device))
    out = torch.empty_like(x)
    out[..., :half] = z.real
    out[..., half:] = z.imag[..., 1 : n - half + 1].flip(-1).neg_()
    return out


def _idct_last(coefficients: Tensor) -> Tensor:
    coefficients = coefficients.contiguous()
    n = coefficients.shape[-1]
    half, middle = n // 2 + 1, (n + 1) // 2
    parts = coefficients.new_zeros((*coefficients.shape[:-1], half, 2))
    parts[..., 0] = coefficients[..., :half]
    parts[..., 1:, 1] = coefficients[..., n - half + 1 :].flip(-1).neg_()
    z = torch.view_as_complex(parts).mul_(_twiddles(n, parts.dtype, parts.device, -1))
    v = torch.fft.irfft(z, n=n)
    x = torch.empty_like(v)
    x[..., ::2] = v[..., :middle]
    x[..., 1::2] = v[..., middle:].flip(-1)
    return x


def _twiddles(n: int, dtype: torch.dtype, device: torch.device, power: int = 1) -> Tensor:
    """A power of :math:`c_k e^{-i \\pi k / 2n}`, for k up to n/2."""
    if torch._C._are_functorch_transforms_active():
        # What is made inside a transform belongs to it and cannot be kept.
        return _make_twiddles(n, dtype, device, power)
    return _kept_twiddles(n, dtype, device, power)


def _make_twiddles(n: int, dtype: torch.dtype, device: torch.device, power: int) -> Tensor:
    k = torch.arange(n // 2 + 1, dtype=torch.float64, device=device)
    size = torch.full_like(k, math.sqrt(2 / n))
    size[0] = math.sqrt(1 / n)
    return torch.polar(size**power, -math.pi / (2 * n) * power * k).to(dtype.to_complex())


@functools.lru_cache(maxsize=64)
def _kept_twiddles(n: int, dtype: torch.dtype, device: torch.device, power: int) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        return _make_twiddles(n, dtype, device, power)


def dct_squares(weight: Tensor, axes: tuple[int, ...]) -> Tensor:
    r"""The diagonal of :math:`C^T\mathrm{diag}(w)\,C` for the transform C: its squared entries on `w`."""
    for axis in axes:
        unit = torch.eye(weight.shape[axis], dtype=weight.dtype, device=weight.device)
        squares = dct(unit, (-1,)).square()  # entry j, frequency k
        weight = (weight.movedim(axis, -1) @ squares.mT).movedim(-1, axis)
    return weight
