"""The linear system of a proximal step."""

from __future__ import annotations

import abc
from typing import Any

from torch import Tensor

from cvxprox.program import ProxProgram


class LinearSolve(abc.ABC):
    r"""Solves the quadratic step that ADMM and its relatives share:

    .. math:: \operatorname{argmin}_x\; \tfrac12 x^T P x - f^T x
              + \tfrac12 \|x\|_\Sigma^2 + \tfrac12 \|Kx - r\|_R^2

    with diagonal :math:`\Sigma, R`. `init` factors once, `solve` is called in every iteration.
    """

    name: str

    def unbound(self) -> LinearSolve:
        """This solve without what it knows of the numbers of a program."""
        return self

    @abc.abstractmethod
    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> Any:
        """Factor (or prepare) the system; returns the state that `solve` needs."""

    @abc.abstractmethod
    def update(self, state: Any, program: ProxProgram, sigma: Tensor, rho: Tensor) -> Any:
        """The state for other penalties on the same matrices, reusing symbolic work."""

    @abc.abstractmethod
    def solve(self, state: Any, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """``(x, Kx - r)``. The multiplier of ``Kx = r`` is ``rho * (Kx - r)``."""
