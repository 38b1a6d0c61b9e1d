"""Linear solves: one interface; closed forms, direct and iterative."""

from cvxprox.linear_solve.base import LinearSolve as LinearSolve
from cvxprox.linear_solve.choose import choose_linear_solve as choose_linear_solve
from cvxprox.linear_solve.conjugate_gradient import ConjugateGradient as ConjugateGradient
from cvxprox.linear_solve.dense import DenseCholesky as DenseCholesky
from cvxprox.linear_solve.minres import MINRES as MINRES
from cvxprox.linear_solve.sparse_ldl import SparseLDL as SparseLDL
from cvxprox.linear_solve.spectral import SpectralSolve as SpectralSolve
from cvxprox.linear_solve.structure import SpectralStructure as SpectralStructure
from cvxprox.linear_solve.structure import spectral_structure as spectral_structure
