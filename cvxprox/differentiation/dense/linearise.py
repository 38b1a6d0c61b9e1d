"""Which way the linearised optimality conditions are solved."""

from __future__ import annotations

from torch import Tensor

from cvxprox.differentiation.dense.batch import DenseBatch
from cvxprox.differentiation.dense.functions import Slope
from cvxprox.differentiation.dense.linearised import Linearised
from cvxprox.differentiation.dense.reduced import Reduced
from cvxprox.differentiation.dense.restricted import Restricted


def linearise(data: DenseBatch, slope: Slope, rho: Tensor, typical: Tensor) -> Linearised:
    """J for the derivative `slope` of the prox; `typical` are penalties that suit the data."""
    if data.selector is not None and data.selector.injective and not slope.parts:
        return Restricted.at(data, slope, rho, typical)
    return Reduced.at(data, slope, rho, typical)
