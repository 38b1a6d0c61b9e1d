"""Losses: Poisson counts, hinge and quantile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import cvxpy as cp
import numpy as np
import torch
from cvxpy.constraints import ExpCone, NonNeg
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.expression import Expression
from torch import Tensor

from cvxprox.atoms.function import TOLERANCE, Canonical, ConvexAtom, ProxForm
from cvxprox.prox import Hinge, Poisson, Quantile


def check_nonneg(atom: str, name: str, value: Expression) -> None:
    """Refuse data that may be negative."""
    if value.is_complex() or not value.is_nonneg():
        raise ValueError(
            f"the {name} of `{atom}` may be negative; it has to be nonnegative. Declare a parameter so: "
            "`cvxpy.Parameter(shape, nonneg=True)`."
        )


def check_same_shape(atom: str, name: str, value: Expression, x: Expression) -> None:
    """Refuse data that are neither a number nor of the shape of the expression."""
    if value.shape not in ((), x.shape):
        raise ValueError(
            f"the {name} of `{atom}` has the shape {value.shape}; it needs that of `{x.name()}`, "
            f"{x.shape}, or to be "
            "a number."
        )


class poisson(ConvexAtom):
    r"""The negative log-likelihood of Poisson counts `b` with mean `x`, up to a constant.

    .. math:: f(x) = \sum_i x_i - b_i \log x_i, \qquad x \ge 0, \quad 0 \log 0 = 0

    Parameters
    ----------
    x : Expression
        The means.
    counts : array, Tensor, Constant or Parameter
        :math:`b \ge 0`, of the shape of `x`, or a number. A parameter has to be declared nonnegative.
    """

    data_names: ClassVar[tuple[str, ...]] = ("counts",)
    cones: ClassVar[tuple[type, ...]] = (ExpCone,)

    def __init__(self, x: Any, counts: Any) -> None:
        super().__init__(x, counts)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        check_same_shape("poisson", "counts", self.args[1], self.args[0])
        check_nonneg("poisson", "counts", self.args[1])

    def sign_from_args(self) -> tuple[bool, bool]:
        """Unknown."""
        return False, False

    def numeric(self, values: Sequence[Any]) -> Any:
        """The value; numbers that are negative by rounding (1e-6, relative) count as zero."""
        x, counts = np.asarray(values[0]), values[1]
        rounded = (x < 0) & (x >= -TOLERANCE * (1 + np.abs(x).max(initial=0.0)))
        return super().numeric([np.where(rounded, 0.0, x), counts])

    def _domain(self) -> list[Any]:
        return [self.args[0] >= 0]

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        counts = data[0].to(device, dtype)
        lead = counts.dim() - self.args[1].ndim
        return ProxForm(
            None, Poisson(counts.flatten(lead) if self.args[1].ndim else counts), (self.args[0].size,)
        )

    def cone_form(self, args: list[Expression]) -> Canonical:
        x, counts = args
        log = cp.Variable(x.shape)
        likelihood = cp.sum(x) - cp.sum(cp.multiply(counts, log))
        return likelihood, [ExpCone(log, Constant(np.ones(x.shape)), x)]


class hinge(ConvexAtom):
    r"""The hinge loss of margins, :math:`f(x) = \sum_i \max(1 - x_i, 0)`.

    For a support vector machine, `x` is ``cp.multiply(labels, scores)``.

    Parameters
    ----------
    x : Expression
        Real, of any shape.
    """

    cones: ClassVar[tuple[type, ...]] = (NonNeg,)

    def __init__(self, x: Any) -> None:
        super().__init__(x)

    def is_decr(self, idx: int) -> bool:
        """It falls with every margin."""
        return True

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        return ProxForm(None, Hinge(), (self.args[0].size,))

    def cone_form(self, args: list[Expression]) -> Canonical:
        loss = cp.Variable(args[0].shape)
        return cp.sum(loss), [loss >= 1 - args[0], loss >= 0]


class quantile(ConvexAtom):
    r"""The quantile loss of residuals, :math:`f(x) = \sum_i \max(\tau x_i, (\tau - 1) x_i)`.

    Minimising ``quantile(y - A @ b, tau)`` over `b` fits the quantile `tau` of `y`; for ``tau = 0.5`` it is
    half the sum of absolute values.

    Parameters
    ----------
    x : Expression
        Real, of any shape.
    tau : float, array or Parameter
        Between 0 and 1; a number, or of the shape of `x`. A parameter has to be declared nonnegative.
    """

    data_names: ClassVar[tuple[str, ...]] = ("tau",)
    cones: ClassVar[tuple[type, ...]] = (NonNeg,)

    def __init__(self, x: Any, tau: Any) -> None:
        super().__init__(x, tau)

    def validate_arguments(self) -> None:
        super().validate_arguments()
        tau = self.args[1]
        check_same_shape("quantile", "tau", tau, self.args[0])
        check_nonneg("quantile", "tau", tau)
        if not tau.parameters() and np.max(tau.value, initial=0.0) > 1:
            raise ValueError(
                f"the tau of `quantile` is {np.max(tau.value):.6g}; it has to lie between 0 and 1."
            )

    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        tau = data[0].to(device, dtype)
        lead = tau.dim() - self.args[1].ndim
        return ProxForm(None, Quantile(tau.flatten(lead) if self.args[1].ndim else tau), (self.args[0].size,))

    def cone_form(self, args: list[Expression]) -> Canonical:
        x, tau = args
        above, below = cp.Variable(x.shape), cp.Variable(x.shape)
        loss = cp.sum(cp.multiply(tau, above)) + cp.sum(cp.multiply(1 - tau, below))
        return loss, [above - below == x, above >= 0, below >= 0]
