"""Discrete Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.atoms.axes import Axes, check_choice, check_ndim, negative_axes
from cvxprox.atoms.linear import LinearAtom, Shape
from cvxprox.operators import Diagonal, Fourier, Gather, InverseFourier, LinearOperator, RealPart

NORMS = ("backward", "ortho")


class Transform(LinearAtom):
    """What the transforms share."""

    options: ClassVar[tuple[str, ...]] = ("norm", "axes")
    kind: ClassVar[type[Fourier] | type[InverseFourier]]
    default_axes: ClassVar[tuple[int, ...] | None] = None

    def __init__(self, x: Any, norm: str = "backward", axes: Axes = None) -> None:
        self.norm, self.axes = norm, axes
        super().__init__(x)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_choice(self.label(), "norm", self.norm, NORMS)
        check_ndim(self.label(), self.args[0].shape, len(self.default_axes or (0,)))

    def name(self) -> str:
        return f"{self.label()}({self.args[0].name()})"

    @property
    def _axes(self) -> tuple[int, ...]:
        axes = self.default_axes if self.axes is None else self.axes
        return negative_axes(self.label(), axes, self.args[0].ndim)

    def shape_from_args(self) -> Shape:
        """The shape of the expression."""
        return tuple(self.args[0].shape)

    def maps_to_complex(self) -> bool:
        return True

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        return self.kind(self.shape, self._axes, self.norm, dtype_in=dtype, device=torch.device(device))


class fft2(Transform):
    r"""The two-dimensional discrete Fourier transform.

    .. math:: y_{kl} = \frac1s \sum_{mn} x_{mn} \exp\bigl(-2\pi i (km/M + ln/N)\bigr)

    as that of `numpy.fft`: with frequency zero first, complex.

    Parameters
    ----------
    x : Expression
        Real or complex, of at least two dimensions.
    norm : str
        "backward" (:math:`s = 1`, and :math:`s = MN` in the inverse) or "ortho" (:math:`s = \sqrt{MN}` in
        both, a unitary transform).
    axes : tuple of int, optional
        The last two by default.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox, numpy as np
    >>> x = cp.Variable((8, 8), value=np.ones((8, 8)))
    >>> complex(cvxprox.fft2(x).value[0, 0])
    (64+0j)
    """

    kind = Fourier
    default_axes: ClassVar[tuple[int, ...] | None] = (-2, -1)


class ifft2(Transform):
    """The inverse of `fft2` with the same `norm`."""

    kind = InverseFourier
    default_axes: ClassVar[tuple[int, ...] | None] = (-2, -1)


class fftn(Transform):
    """The discrete Fourier transform over any axes, all of them by default; otherwise as `fft2`."""

    kind = Fourier


class ifftn(Transform):
    """The inverse of `fftn` with the same `norm`."""

    kind = InverseFourier


class masked_fft(LinearAtom):
    r"""Samples of the Fourier transform, from one or several coils: magnetic resonance imaging.

    .. math:: y_c = m \odot F(s_c \odot x)

    Frequencies that are not sampled, those where the mask is 0, have the value 0: the result has the shape
    of the image, as have zero-filled measurements.

    Parameters
    ----------
    x : Expression
        Real or complex, of at least two dimensions.
    mask : array, Tensor, Constant or Parameter
        :math:`m`, real: weights of the frequencies in the order of `numpy.fft`, zero frequency first. Its
        shape is that of `x`, or of the last dimensions of `x`.
    coils : array, Tensor, Constant or Parameter, optional
        :math:`s`, the sensitivities, of shape ``(count, *x.shape)``, complex or real.
    norm : str
        "ortho" or "backward", see `fft2`.
    axes : tuple of int
        The axes that are transformed.

    Returns
    -------
    Expression
        Complex, of the shape of `x`, or of that of `coils`.

    Raises
    ------
    ValueError
        If the shapes of the mask or of the coils do not fit, or the mask is complex.
    """

    data_names: ClassVar[tuple[str, ...]] = ("mask", "coils")

    def __init__(
        self, x: Any, mask: Any, coils: Any = None, norm: str = "ortho", axes: Axes = (-2, -1)
    ) -> None:
        self.norm, self.axes = norm, axes
        super().__init__(x, mask, *([] if coils is None else [coils]))

    def get_data(self) -> list[Any]:
        """What the constructor takes after the arguments that are there."""
        return [None, self.norm, self.axes][len(self.args) - 2 :]

    def name(self) -> str:
        return super().name().replace(f", {self.norm}, {self.axes})", ")")

    def validate_arguments(self) -> None:
        super().validate_arguments()
        x, mask, *coils = self.args
        check_choice(self.label(), "norm", self.norm, NORMS)
        check_ndim(self.label(), x.shape, 2)
        if mask.is_complex():
            raise ValueError("the mask of `masked_fft` is complex; it weighs frequencies and has to be real.")
        if mask.ndim > x.ndim or mask.shape != x.shape[x.ndim - mask.ndim :] or mask.ndim < 1:
            raise ValueError(
                f"the mask of `masked_fft` has the shape {mask.shape}, but `{x.name()}` has the shape "
                f"{x.shape}; "
                f"it needs that shape, or {x.shape[-2:]}."
            )
        if coils and coils[0].shape[1:] != x.shape:
            raise ValueError(
                f"the coils of `masked_fft` have the shape {coils[0].shape}; for `{x.name()}` of shape "
                f"{x.shape} "
                f"they need (count, {', '.join(map(str, x.shape))})."
            )

    def shape_from_args(self) -> Shape:
        """The shape of the expression, or of the coils."""
        return tuple(self.args[2 if len(self.args) > 2 else 0].shape)

    def maps_to_complex(self) -> bool:
        return True

    def operator(
        self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str
    ) -> LinearOperator:
        mask, *coils = data
        shape, place = tuple(self.args[0].shape), torch.device(device)
        axes = negative_axes(self.label(), self.axes, len(shape))
        mask = mask.to(place, dtype.to_real())
        if not coils:
            return Diagonal(mask, shape) @ Fourier(shape, axes, self.norm, dtype_in=dtype, device=place)
        count = coils[0].shape[0]
        positions = torch.arange(self.args[0].size, device=place).reshape(shape).expand(count, *shape)
        copies: LinearOperator = Gather(positions.contiguous(), shape, dtype)
        kind = torch.promote_types(coils[0].dtype, dtype)
        if kind.is_complex and not dtype.is_complex:
            copies = RealPart(copies.shape_out, kind, place).T @ copies
        images = Diagonal(coils[0].to(place, kind)) @ copies
        return (
            Diagonal(mask, self.shape)
            @ Fourier(self.shape, axes, self.norm, dtype_in=kind, device=place)
            @ images
        )
