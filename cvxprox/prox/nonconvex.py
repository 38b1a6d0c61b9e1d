"""The base of functions that are not convex."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from torch import Tensor

from cvxprox.prox.base import ProxFunction


class NonConvexFunction(ProxFunction):
    """A function that is not convex, or not known to be.

    Where several points minimise the definition of the prox, `prox` returns one of them. Recession
    functions and supports make certificates, which programs with such a function do not have.
    """

    convex: ClassVar[bool] = False

    def recession(self, d: Tensor, tol: float = 0.0) -> Tensor:
        self._refuse("recession function")

    def domain_support(self, y: Tensor, tol: float = 0.0) -> Tensor:
        self._refuse("support function of a domain")

    def domain_recession(self, d: Tensor) -> Tensor:
        self._refuse("recession cone of a domain")

    def recession_domain(self, d: Tensor) -> Tensor:
        self._refuse("domain of a recession function")

    def _refuse(self, what: str) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} is not convex: the {what} serves certificates of infeasibility and "
            "unboundedness, which exist for convex programs only. Ask `program.convex` first."
        )
