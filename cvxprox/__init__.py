"""Proximal algorithms on torch for CVXPY problems: ``prob.solve(solver="NABLA_ADMM")``."""

from cvxprox.algorithms.schedule import Constant as Constant
from cvxprox.algorithms.schedule import LogDescent as LogDescent
from cvxprox.algorithms.schedule import Schedule as Schedule
from cvxprox.atoms import ConvexAtom as ConvexAtom
from cvxprox.atoms import FunctionAtom as FunctionAtom
from cvxprox.atoms import IndicatorAtom as IndicatorAtom
from cvxprox.atoms import LinearAtom as LinearAtom
from cvxprox.atoms import LinearMap as LinearMap
from cvxprox.atoms import NonConvexAtom as NonConvexAtom
from cvxprox.atoms import ProxForm as ProxForm
from cvxprox.atoms import binary as binary
from cvxprox.atoms import box as box
from cvxprox.atoms import channel_matmul as channel_matmul
from cvxprox.atoms import conv as conv
from cvxprox.atoms import correlate as correlate
from cvxprox.atoms import dct as dct
from cvxprox.atoms import deep_prior as deep_prior
from cvxprox.atoms import fft2 as fft2
from cvxprox.atoms import fftn as fftn
from cvxprox.atoms import grad as grad
from cvxprox.atoms import group_norm as group_norm
from cvxprox.atoms import hinge as hinge
from cvxprox.atoms import idct as idct
from cvxprox.atoms import ifft2 as ifft2
from cvxprox.atoms import ifftn as ifftn
from cvxprox.atoms import l1_ball as l1_ball
from cvxprox.atoms import l2_ball as l2_ball
from cvxprox.atoms import learned_linop as learned_linop
from cvxprox.atoms import linf_ball as linf_ball
from cvxprox.atoms import linop as linop
from cvxprox.atoms import masked_fft as masked_fft
from cvxprox.atoms import mosaic as mosaic
from cvxprox.atoms import norm0 as norm0
from cvxprox.atoms import nuclear_ball as nuclear_ball
from cvxprox.atoms import phase_retrieval as phase_retrieval
from cvxprox.atoms import pixel_matmul as pixel_matmul
from cvxprox.atoms import poisson as poisson
from cvxprox.atoms import quantile as quantile
from cvxprox.atoms import rank as rank
from cvxprox.atoms import simplex as simplex
from cvxprox.atoms import sparse_k as sparse_k
from cvxprox.atoms import subsample as subsample
from cvxprox.atoms import tv as tv
from cvxprox.atoms import unit_norm as unit_norm
from cvxprox.atoms import warp as warp
from cvxprox.atoms import weighted_norm1 as weighted_norm1
from cvxprox.errors import ReductionError as ReductionError
from cvxprox.explain import explain as explain
from cvxprox.explanation import Explanation as Explanation
from cvxprox.options import Options as Options
from cvxprox.plot import plot_convergence as plot_convergence
from cvxprox.prox import ProxFunction as ProxFunction
from cvxprox.reductions.prox_of import prox_atoms as prox_atoms
from cvxprox.reductions.prox_of import prox_of as prox_of
from cvxprox.reductions.prox_term import ProxSpec as ProxSpec
from cvxprox.reductions.torch_operator import torch_operator as torch_operator
from cvxprox.reductions.torch_operator_affine import AffineFunction as AffineFunction
from cvxprox.reductions.torch_operator_affine import compile_affine as compile_affine
from cvxprox.registration import register as register
from cvxprox.solver import NablaADMM as NablaADMM
from cvxprox.template import Template as Template

__version__ = "0.1.0"

register()
