"""Problems as torch modules: parameters that are tensors, compiled solvers, layers."""

from cvxprox.layers.compiled import CompiledSolver as CompiledSolver
from cvxprox.layers.compiled import compile as compile
from cvxprox.layers.parameter import Parameter as Parameter
from cvxprox.layers.prox_layer import ProxLayer as ProxLayer
from cvxprox.layers.specialize import specialize as specialize
