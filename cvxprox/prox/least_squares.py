"""Least squares with an operator that a fast transform makes diagonal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from cvxprox.operators import LinearOperator, Spectrum, gram_spectrum, move, outer_gram_spectrum
from cvxprox.prox.base import ProxFunction
from cvxprox.prox.domain import is_zero, tracked, zero_or_inf


@dataclass(frozen=True, eq=False)
class LeastSquares(ProxFunction):
    r"""The squared residual :math:`f(x) = \|Fx - d\|_2^2`, without a ½.

    .. math:: \mathrm{prox}_{tf}(v) = (I + 2t F^*F)^{-1} (v + 2t F^*d)

    In closed form where the spectrum of :math:`F^*F` is known, or that of :math:`FF^*`, by

    .. math:: (I + 2tF^*F)^{-1} = I - 2t F^* (I + 2tFF^*)^{-1} F

    Parameters
    ----------
    operator : LinearOperator
        F, from real tensors. A point is such a tensor as a vector, in C order.
    target : Tensor
        d, of the shape of results of F.

    Raises
    ------
    ValueError
        If neither spectrum is known.

    References
    ----------
    Zhao, Wei, Basarab, Dobigeon, Kouamé and Tourneret, *Fast Single Image Super-Resolution Using a New
    Analytical Solution for l2-l2 Problems* (2016), section III, for the second form.
    """

    operator: LinearOperator
    target: Tensor
    ndim: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self._data.inner is None and self._data.outer is None:
            raise ValueError(
                f"No fast transform is known that makes F*F or FF* diagonal for F = {self.operator}, so "
                "‖Fx − d‖² has no closed-form prox. Leave F outside: the square of z − d has one, z = Fx."
            )

    @cached_property
    def _data(self) -> _Data:
        return self._compute()

    def _compute(self) -> _Data:
        F = self.operator
        with torch.enable_grad():
            inner = gram_spectrum(F)
            outer = outer_gram_spectrum(F) if inner is None else None
            return _Data(inner, outer, F.adjoint(self.target.to(F.dtype_out)))

    def _current(self) -> _Data:
        # a graph serves one backward pass, so what is differentiated is computed again
        return self._compute() if tracked(*self._data.tensors()) else self._data

    def value(self, x: Tensor) -> Tensor:
        residual = self.operator.forward(self._points(x)) - self.target
        return residual.abs().square().flatten(x.dim() - 1).sum(dim=-1)

    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        data, step = self._current(), self._expanded(t, v)
        w = self._points(v) + 2 * step * data.adjoint_target
        if data.inner is not None:
            return _divided(data.inner, 1 + 2 * step * data.inner.values).apply(w).reshape(v.shape)
        F, outer = self.operator, data.outer
        assert outer is not None
        step = self._expanded(t, v, len(F.shape_out))
        correction = _divided(outer, 1 / (2 * step) + outer.values).apply(F.forward(w))
        return (w - F.adjoint(correction)).reshape(v.shape)

    def recession_domain(self, d: Tensor) -> Tensor:
        return d - self._curved_part(d)

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(self._curved_part(d), tol, 1), d)

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        return zero_or_inf(is_zero(y, tol, 1), y)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> ProxFunction:
        kind = dtype.to_complex() if self.target.is_complex() else dtype
        return LeastSquares(move(self.operator, device, dtype), self.target.to(device, kind))

    def _curved_part(self, d: Tensor) -> Tensor:
        """The projection of `d` onto the range of F*."""
        data, x = self._data, self._points(d)
        if data.inner is not None:
            return _onto_range(data.inner, d.shape[-1]).apply(x).reshape(d.shape)
        F, outer = self.operator, data.outer
        assert outer is not None
        pinv = _pseudoinverse(outer, d.shape[-1])
        return F.adjoint(pinv.apply(F.forward(x))).reshape(d.shape)

    def _points(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], *self.operator.shape_in)

    def _expanded(self, t: Tensor | float, v: Tensor, dims: int | None = None) -> Tensor:
        """`t` with as many trailing dimensions as arguments of F have, or `dims`."""
        t = t.to(v) if isinstance(t, Tensor) else v.new_full((), t)
        dims = len(self.operator.shape_in) if dims is None else dims
        return t.reshape(t.shape + (1,) * dims) if t.dim() else t


@dataclass(frozen=True, eq=False)
class _Data:
    r"""The spectrum of :math:`F^*F`, or else that of :math:`FF^*`; and :math:`F^*d`."""

    inner: Spectrum | None
    outer: Spectrum | None
    adjoint_target: Tensor

    def tensors(self) -> list[Tensor]:
        return [self.adjoint_target, *(s.values for s in (self.inner, self.outer) if s is not None)]


def _divided(spectrum: Spectrum, denominator: Tensor) -> Spectrum:
    return replace(spectrum, values=1 / denominator)


def _curved(spectrum: Spectrum, size: int) -> Tensor:
    """Which values are not zero but for rounding."""
    values = spectrum.values.abs()
    return values > values.amax() * size * torch.finfo(values.dtype).eps


def _onto_range(spectrum: Spectrum, size: int) -> Spectrum:
    return replace(spectrum, values=_curved(spectrum, size).to(spectrum.values.dtype))


def _pseudoinverse(spectrum: Spectrum, size: int) -> Spectrum:
    curved = _curved(spectrum, size)
    return replace(spectrum, values=torch.where(curved, 1 / spectrum.values.masked_fill(~curved, 1.0), 0.0))
