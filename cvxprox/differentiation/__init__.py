"""Differentiation of the solutions of programs in all their numbers."""

from cvxprox.differentiation.base import Differentiation as Differentiation
from cvxprox.differentiation.base import Engine as Engine
from cvxprox.differentiation.base import Run as Run
from cvxprox.differentiation.base import Solved as Solved
from cvxprox.differentiation.base import Task as Task
from cvxprox.differentiation.engine import SessionEngine as SessionEngine
from cvxprox.differentiation.implicit import Implicit as Implicit
from cvxprox.differentiation.jacobian_free import JacobianFree as JacobianFree
from cvxprox.differentiation.registry import MODES as MODES
from cvxprox.differentiation.registry import differentiation_of as differentiation_of
from cvxprox.differentiation.shine import Shine as Shine
from cvxprox.differentiation.unroll import Unroll as Unroll
