"""Linear solves whose derivatives are solves with the same factor."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from cvxprox.linear_solve.base import LinearSolve
from cvxprox.operators.base import differentiated, plain, watched
from cvxprox.program import ProxProgram

_order: ContextVar[int] = ContextVar("order", default=1)


@contextlib.contextmanager
def derivatives(order: int) -> Iterator[None]:
    """Solves recorded inside have exact derivatives up to `order`; each one costs a residual more."""
    token = _order.set(order)
    try:
        yield
    finally:
        _order.reset(token)


@dataclass(frozen=True)
class System:
    r"""The matrix :math:`M = P + \Sigma + K^TRK` with the graphs of its numbers."""

    program: ProxProgram
    sigma: Tensor
    rho: Tensor

    def residual(self, x: Tensor, f: Tensor, r: Tensor) -> Tensor:
        r""":math:`f + K^TR(r - Kx) - Px - \Sigma x`."""
        K = self.program.K
        e = f + K.adjoint(self.rho * (r - K.forward(x))) - self.sigma * x
        return e if self.program.P is None else e - self.program.P.forward(x)


class ImplicitSolve(LinearSolve):
    r"""A solve by methods that torch cannot look into, differentiated by the equation that it solves.

    Let :math:`x_0` be the solution without graph, and
    :math:`e(x, \theta) = f + K^TR(r - Kx) - Px - \Sigma x` with graph. Then

    .. math:: x = x_0 + M^{-1} e(x_0, \theta)

    has the value :math:`x_0` and the first derivatives of the solution in everything: f, r,
    :math:`\Sigma`, R and what P and K consist of. :math:`M` is symmetric, so the derivatives of
    the correction are solves with the factor that is there. One correction more, at the corrected x,
    makes second derivatives exact (`derivatives`).

    The states of `init` have the attribute `system`.

    Attributes
    ----------
    exact : bool
        Whether `solve_plain` solves to full accuracy, which derivatives need.
    """

    exact: ClassVar[bool] = True

    @abc.abstractmethod
    def solve_plain(self, state: Any, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """``(x, Kx - r)`` for tensors without graph, in an iteration."""

    @abc.abstractmethod
    def apply_inverse(self, state: Any, f: Tensor) -> Tensor:
        """:math:`M^{-1}f` for a tensor without graph, to full accuracy, leaving the state as it is."""

    def solve(self, state: Any, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        if not watched():
            return self.solve_plain(state, f, r)
        system: System = state.system
        x = _Constant.apply(self, state, f, r)
        e = system.residual(x, f, r)
        if differentiated(e) and not self.exact:
            x = x + _Constant.apply(self, state, e, None)
            e = system.residual(x, f, r)
        if differentiated(e):
            x = _Correction.apply(self, state, _order.get(), x, e)
            for _ in range(_order.get() - 1):
                x = _Correction.apply(self, state, _order.get(), x, system.residual(x, f, r))
        return x, system.program.K.forward(x) - r


class _Constant(torch.autograd.Function):
    """The solution without derivatives, or M⁻¹f to full accuracy where it is asked for."""

    @staticmethod
    def forward(solver: ImplicitSolve, state: Any, f: Tensor, r: Tensor | None) -> Tensor:
        with torch.no_grad():
            if r is None:
                return solver.apply_inverse(state, plain(f))
            return solver.solve_plain(state, plain(f), plain(r))[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, None]:
        return None, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> None:
        return None


class _Correction(torch.autograd.Function):
    """:math:`x + M^{-1}e` for e = 0: the value is x, the derivatives are those of the sum."""

    @staticmethod
    def forward(solver: ImplicitSolve, state: Any, order: int, x: Tensor, e: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.solver, ctx.state, ctx.order = inputs[:3]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, grad, _Inverse.apply(ctx.solver, ctx.state, ctx.order, grad)

    @staticmethod
    def jvp(ctx: Any, _solver: None, _state: None, _order: None, dx: Tensor | None, de: Tensor) -> Tensor:
        step = _Inverse.apply(ctx.solver, ctx.state, 2, de)
        return step if dx is None else dx + step


class _Inverse(torch.autograd.Function):
    """:math:`M^{-1}f` with a constant M."""

    @staticmethod
    def forward(solver: ImplicitSolve, state: Any, order: int, f: Tensor) -> Tensor:
        with torch.no_grad():
            return solver.apply_inverse(state, plain(f))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.solver, ctx.state, ctx.order = inputs[:3]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, Tensor]:
        if ctx.order < 2:
            raise RuntimeError(
                "these solves were recorded for first derivatives. For second derivatives give the "
                "differentiation mode order=2, or record the steps under `derivatives(2)`."
            )
        return None, None, None, _Inverse.apply(ctx.solver, ctx.state, ctx.order, grad)

    @staticmethod
    def jvp(ctx: Any, _solver: None, _state: None, _order: None, tangent: Tensor) -> Tensor:
        return _Inverse.apply(ctx.solver, ctx.state, ctx.order, tangent)
