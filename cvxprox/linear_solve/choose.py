"""The choice of a linear solve for a program."""

from __future__ import annotations

from cvxprox.linear_solve.assembled import assembled
from cvxprox.linear_solve.base import LinearSolve
from cvxprox.linear_solve.conjugate_gradient import ConjugateGradient
from cvxprox.linear_solve.dense import DenseCholesky
from cvxprox.linear_solve.minres import MINRES
from cvxprox.linear_solve.sparse_ldl import SparseLDL
from cvxprox.linear_solve.spectral import SpectralSolve
from cvxprox.linear_solve.structure import NoStructure, analyse
from cvxprox.program import ProxProgram

DENSE_LIMIT = 6000
"""Unknowns up to which a dense factor (288 MB in float64) is preferred on a GPU."""

FEW = 1e-6
"""The tolerance of the first solves where iterations are few, so that errors have no time to be made good."""

OPERATOR_DENSE_LIMIT = 1000
"""Unknowns up to which operators are made matrices and factored."""


def choose_linear_solve(name: str, program: ProxProgram) -> tuple[LinearSolve, str]:
    """The linear solve called `name` and the reason for it.

    "auto" for matrices is the sparse LDLᵀ factorisation on a CPU; on other devices, where no sparse
    factorisation is at hand, dense Cholesky up to `DENSE_LIMIT` unknowns and CG beyond. For operators
    that can only be applied it is the closed form, where one is known; otherwise dense Cholesky up to
    `OPERATOR_DENSE_LIMIT` unknowns and CG beyond.

    Raises
    ------
    ValueError
        If the factorisation is asked for on another device than the CPU, or a closed form for a program
        without one.
    """
    device = program.q.device
    match name:
        case "qdldl":
            if device.type != "cpu":
                raise ValueError(
                    f'linear_solver="qdldl" runs on the CPU, not on {device}. Use "dense" or "cg".'
                )
            return SparseLDL(), "asked for"
        case "dense":
            return DenseCholesky(), "asked for"
        case "cg":
            return ConjugateGradient(), "asked for"
        case "minres":
            return MINRES(), "asked for"
        case "spectral":
            structure = analyse(program)
            if isinstance(structure, NoStructure):
                raise ValueError(
                    f'linear_solver="spectral" needs a closed form, and {structure.reason}. '
                    'Use "auto" or "cg".'
                )
            return SpectralSolve(structure), structure.reason
    return _for_matrices(program) if assembled(program) else _for_operators(program)


def _for_matrices(program: ProxProgram) -> tuple[LinearSolve, str]:
    device = program.q.device
    if device.type == "cpu":
        return SparseLDL(), "sparse program on the CPU"
    if program.variables <= DENSE_LIMIT:
        return DenseCholesky(), f"{program.variables} unknowns on {device}"
    return ConjugateGradient(), f"{program.variables} unknowns on {device}, too many for a dense factor"


def _for_operators(program: ProxProgram) -> tuple[LinearSolve, str]:
    structure = analyse(program)
    if not isinstance(structure, NoStructure):
        return SpectralSolve(structure), structure.reason
    if program.variables <= OPERATOR_DENSE_LIMIT:
        return DenseCholesky(), f"{program.variables} unknowns, and {structure.reason}"
    return ConjugateGradient() if program.convex else ConjugateGradient(FEW), structure.reason
