"""The interface of a function with a proximal operator."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar, Self

import torch
from torch import Tensor

VANISHING_STEP = 1e-20


class ProxFunction(abc.ABC):
    r"""A closed function :math:`f` with a known proximal operator.

    .. math:: \mathrm{prox}_{tf}(v) = \operatorname{argmin}_x\; f(x) + \tfrac{1}{2t}\|x - v\|_2^2

    The last `ndim` dimensions of a tensor are one point of the domain of `f`; all leading
    dimensions are a batch of independent points. A function with ``ndim == 0`` is separable:
    it acts on every element by itself.

    Subclasses are frozen dataclasses. Their tensor fields broadcast against the batch. Those with
    ``convex = False`` derive from `NonConvexFunction`.
    """

    ndim: ClassVar[int]
    convex: ClassVar[bool] = True
    twice: ClassVar[bool] = True
    """Whether autograd's second derivatives of `prox` are exact; the first ones always are."""

    @abc.abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """:math:`f(x)`, of the shape of the batch; ``inf`` outside the domain.

        The value of an indicator is 0: a point is a point of the set by construction
        (it comes out of `prox`), and distances to the set are residuals, not values.
        """

    @abc.abstractmethod
    def prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        """The proximal operator at `v` with step `t > 0`.

        `t` broadcasts against the shape of the batch (for ``ndim == 0`` against `v`).
        Differentiable by autograd in `v`, `t` and the tensor fields.
        """

    @abc.abstractmethod
    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        r"""The recession function :math:`\lim_{s\to\infty} f(x + s d)/s`, of the shape of the batch.

        ``inf`` where `d` leaves the recession cone of the domain by more than `tol`
        (in the infinity norm); smaller violations count as zero.
        """

    @abc.abstractmethod
    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        r"""The support function of the domain, :math:`\sup_{x \in \mathrm{dom} f} y^T x`.

        Of the shape of the batch. ``inf`` where `y` leaves the barrier cone of the domain by more
        than `tol` (in the infinity norm); smaller violations count as zero.
        """

    def domain_recession(self, d: Tensor) -> Tensor:
        r"""The projection of `d` onto the recession cone of the domain.

        ``d - domain_recession(d)`` is the projection onto the polar of that cone, the closure of
        the barrier cone. The default holds where the domain is a convex cone (the whole space,
        the positive numbers, a cone's indicator): there it is the limit of the prox at step 0.
        """
        return self.prox(d, VANISHING_STEP)

    def recession_domain(self, d: Tensor) -> Tensor:
        """The projection of `d` onto the directions in which the recession function is finite.

        By default those of `domain_recession`: functions of linear growth.
        """
        return self.domain_recession(d)

    def conj_prox(self, v: Tensor, t: Tensor | float) -> Tensor:
        r"""The proximal operator of the conjugate, by Moreau: ``v - t prox_{f/t}(v/t)``."""
        step = self.expand(t, v)
        return v - step * self.prox(v / step, 1 / t)

    def derivative(self, v: Tensor, t: Tensor | float) -> Tensor:
        """An element of the generalised Jacobian of ``prox(., t)`` at `v`.

        It is symmetric with eigenvalues in [0, 1]. Separable functions return its diagonal in
        the shape of `v`; the others a matrix of order ``prod(v.shape[-ndim:])`` (points
        flattened in C order) for every point of the batch.
        """
        with torch.enable_grad():
            v = v.detach().requires_grad_(True)
            z = self.prox(v, t)
            if self.ndim == 0:
                return torch.autograd.grad(z.sum(), v)[0]
            batch, size = v.shape[: v.dim() - self.ndim], math.prod(v.shape[v.dim() - self.ndim :])
            flat = z.reshape(*batch, size)
            unit = torch.eye(size, dtype=v.dtype, device=v.device)
            unit = unit.reshape(size, *(1,) * len(batch), size).expand(size, *batch, size)
            rows = torch.autograd.grad(flat, v, unit, is_grads_batched=True)[0]
        return rows.reshape(size, *batch, size).movedim(0, -2)

    def at(self, iteration: int) -> ProxFunction:
        """The function of one iteration, for those that change from one to the next."""
        return self

    def to(self, device: torch.device | str, dtype: torch.dtype) -> ProxFunction:
        """The same function with its tensors, and those of functions in it, moved."""
        return self._changed(
            lambda t: t.to(device, dtype.to_complex() if t.is_complex() else dtype),
            lambda f: f.to(device, dtype),
        )

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same function with other tensors, also in the functions that it is made of."""
        return self._changed(change, lambda f: f.mapped(change))

    def _changed(
        self, tensors: Callable[[Tensor], Tensor], functions: Callable[[ProxFunction], ProxFunction]
    ) -> Self:
        changed: dict[str, Tensor | ProxFunction] = {}
        for part in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, part.name)
            if isinstance(value, Tensor):
                changed[part.name] = tensors(value)
            elif isinstance(value, ProxFunction):
                changed[part.name] = functions(value)
        return dataclasses.replace(self, **changed) if changed else self  # type: ignore[type-var]

    def expand(self, t: Tensor | float, v: Tensor) -> Tensor:
        """`t` with `ndim` trailing dimensions added, to broadcast against points `v`."""
        if not isinstance(t, Tensor):
            return v.new_full((), t)  # as_tensor would copy from the host and wait for the device
        t = t.to(v)
        return t.reshape(t.shape + (1,) * self.ndim) if t.dim() else t
