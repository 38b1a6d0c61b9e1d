"""Batches of dense programs: all samples at once."""

from cvxprox.differentiation.dense.engine import DenseEngine as DenseEngine
from cvxprox.differentiation.dense.sensitivity import DenseSensitivity as DenseSensitivity
