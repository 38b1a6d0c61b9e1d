"""The choice of a linear solve for a program."""

from __future__ import annotations

from cvxprox.linear_solve.base import LinearSolve
from cvxprox.linear_solve.conjugate_gradient import ConjugateGradient
from cvxprox.linear_solve.dense import DenseCholesky
from cvxprox.linear_solve.sparse_ldl import SparseLDL
from cvxprox.program import ProxProgram

DENSE_LIMIT = 6000
"""Unknowns up to which a dense factor (288 MB in float64) is preferred on a GPU."""


def choose_linear_solve(name: str, program: ProxProgram) -> tuple[LinearSolve, str]:
    """The linear solve called `name` and the reason for it.

    "auto" is the sparse LDLᵀ factorisation on a CPU; on other devices, where no sparse
    factorisation is at hand, dense Cholesky up to `DENSE_LIMIT` unknowns and CG beyond.

    Raises
    ------
    ValueError
        If the factorisation is asked for on another device than the CPU.
    """
    device = program.q.device
    if name == "qdldl" and device.type != "cpu":
        raise ValueError(f'linear_solver="qdldl" runs on the CPU, not on {device}. Use "dense" or "cg".')
    if name == "qdldl":
        return SparseLDL(), "asked for"
    if name == "dense":
        return DenseCholesky(), "asked for"
    if name == "cg":
        return ConjugateGradient(), "asked for"
    if device.type == "cpu":
        return SparseLDL(), "sparse program on the CPU"
    if program.variables <= DENSE_LIMIT:
        return DenseCholesky(), f"{program.variables} unknowns on {device}"
    return ConjugateGradient(), f"{program.variables} unknowns on {device}, too many for a dense factor"
