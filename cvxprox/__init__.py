"""Proximal algorithms on torch for CVXPY problems: ``prob.solve(solver="NABLA_ADMM")``."""

from cvxprox.errors import ReductionError as ReductionError
from cvxprox.options import Options as Options
from cvxprox.prox import ProxFunction as ProxFunction
from cvxprox.reductions.prox_of import prox_atoms as prox_atoms
from cvxprox.reductions.prox_of import prox_of as prox_of
from cvxprox.reductions.prox_term import ProxSpec as ProxSpec
from cvxprox.reductions.torch_operator import torch_operator as torch_operator
from cvxprox.reductions.torch_operator_affine import AffineFunction as AffineFunction
from cvxprox.reductions.torch_operator_affine import compile_affine as compile_affine
from cvxprox.registration import register as register
from cvxprox.solver import NablaADMM as NablaADMM

__version__ = "0.1.0"

register()
