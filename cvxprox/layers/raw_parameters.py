"""A compilation that leaves a problem as it is: the form in which other layers hand over parameters.

Libraries of layers compile a problem by ``problem.get_problem_data(solver)`` to a program
:math:`(P, q, A)(\\theta)` that is affine in the stacked parameters :math:`\\theta`, evaluate it, and
give the numbers to a solver. Here the program is :math:`q(\\theta) = (\\theta, 1)` without P and A: the
numbers are the parameters themselves, of the problem that comes with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cvxpy.settings as s
import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.constraints import PSD, Zero
from cvxpy.constraints.constraint import Constraint
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.expressions.leaf import Leaf
from cvxpy.expressions.variable import Variable
from cvxpy.problems.problem import Problem
from cvxpy.reductions.reduction import Reduction
from cvxpy.reductions.solution import Solution
from cvxpy.reductions.solvers.solver import Solver
from cvxpy.reductions.solvers.solving_chain import SolvingChain
from torch import Tensor

PROGRAM = "program"
"""Where a `RawProgram` stands in what readers take for the dimensions of cones."""


@dataclass(frozen=True)
class Reduced:
    """A matrix of coefficients, as CVXPY's programs hold it; None for no matrix at all."""

    reduced_mat: sp.csr_array | None


class RawProgram:
    """A problem that poses as CVXPY's program with parameters.

    Parameters
    ----------
    problem : Problem
    options : mapping
        What was asked of the solver when the problem was compiled.

    Attributes
    ----------
    q, reduced_P, reduced_A, param_id_to_col, var_id_to_col, constr_map
        What a reader of CVXPY's ``ParamConeProg`` looks for.
    """

    def __init__(self, problem: Problem, options: Mapping[str, Any]) -> None:
        self.problem = problem
        self.options = dict(options)
        self.param_id_to_col, count = _starts([(p, p.size) for p in problem.parameters()])
        self.q = sp.eye_array(count + 1, format="csr")
        self.reduced_P = Reduced(None)
        self.reduced_A = Reduced(sp.csr_array((0, count + 1)))
        self.var_id_to_col, _ = _starts([(v, packed_size(v)) for v in problem.variables()])
        semidefinite = [con for con in problem.constraints if isinstance(con, PSD)]
        others = [con for con in problem.constraints if not isinstance(con, PSD)]
        self.constr_map = {Zero: others, PSD: semidefinite}

    def parameters(self, q: Tensor, shared: set[int]) -> dict[Parameter, Tensor]:
        """The tensors of the parameters in rows ``(batch, count + 1)`` of stacked parameters.

        Those whose ids are in `shared` are the same in all rows and come without a batch dimension.
        """
        values = {}
        for p in self.problem.parameters():
            start = self.param_id_to_col[p.id]
            rows = q[0] if p.id in shared else q
            values[p] = from_columns(rows[..., start : start + p.size], p.shape)
        return values

    def primal(self, variables: Mapping[int, Tensor], batch: tuple[int, ...]) -> Tensor:
        """All variables, stacked in the last dimension."""
        parts = [_packed(v, variables[v.id], batch) for v in self.problem.variables()]
        return torch.cat(parts, -1)

    def dual(self, duals: Mapping[int, Tensor], batch: tuple[int, ...], like: Tensor) -> Tensor:
        """The dual values of all constraints, stacked in the last dimension; zeros for those not given.

        They have the type of `like`.
        """
        parts = [like.new_zeros((*batch, 0))]
        for con in (con for group in self.constr_map.values() for con in group):
            if con.id in duals:
                parts.append(_packed_dual(con, duals[con.id], batch))
            else:
                parts.append(like.new_zeros((*batch, _dual_size(con))))
        return torch.cat(parts, -1)


class RawStuffing(Reduction):
    """From a problem to its `RawProgram`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def accepts(self, problem: Problem) -> bool:
        """Everything."""
        return True

    def apply(self, problem: Problem) -> tuple[RawProgram, None]:
        """The program."""
        return RawProgram(problem, self.options), None

    def invert(self, solution: Solution, inverse_data: None) -> Solution:
        """The solution itself."""
        return solution


class RawSolver(Solver):
    """Stands where CVXPY expects a solver when it compiles to a `RawProgram`; it does not solve."""

    MIP_CAPABLE = False

    def name(self) -> str:
        """Not one that CVXPY lists."""
        return "NABLA_RAW"

    def import_solver(self) -> None:
        """Everything needed is imported with the package."""

    def cite(self, data: dict[str, Any]) -> str:
        """Nothing."""
        return ""

    def accepts(self, problem: RawProgram) -> bool:
        """Raw programs."""
        return isinstance(problem, RawProgram)

    def apply(self, problem: RawProgram) -> tuple[dict[str, Any], dict[str, Any]]:
        """The program; in the place of the dimensions of its cones a dict, new for every layer."""
        return {s.PARAM_PROB: problem, "dims": {PROGRAM: problem}}, {}

    def invert(self, solution: Any, inverse_data: Any) -> Solution:
        """Never called."""
        raise NotImplementedError

    def solve_via_data(self, *args: Any, **kwargs: Any) -> Any:
        """Refused.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError('problems are compiled, not solved, by NABLA_RAW. Solve with solver="NABLA_ADMM".')


def raw_chain(solver: RawSolver, options: Mapping[str, Any] | None) -> SolvingChain:
    """The two steps to a `RawProgram`."""
    return SolvingChain(reductions=[RawStuffing(options or {}), solver])


def from_columns(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Entries in Fortran order in the last dimension, as ``(*batch, *shape)``."""
    batch = flat.dim() - 1
    lifted = flat.reshape((*flat.shape[:-1], *reversed(shape)))
    return lifted.permute((*range(batch), *reversed(range(batch, lifted.dim()))))


def to_columns(full: Tensor, ndim: int) -> Tensor:
    """The inverse of `from_columns`, for a shape of length `ndim`."""
    batch = full.dim() - ndim
    turned = full.permute((*range(batch), *reversed(range(batch, full.dim()))))
    return turned.reshape((*full.shape[:batch], -1))


def packed_size(v: Leaf) -> int:
    """Entries of a variable that are read: the upper triangle of symmetric ones."""
    return v.shape[0] * (v.shape[0] + 1) // 2 if _is_triangle(v) else v.size


def _is_triangle(v: Leaf) -> bool:
    return v.ndim >= 2 and v.is_symmetric()


def _packed(v: Variable, value: Tensor, batch: tuple[int, ...]) -> Tensor:
    value = value.expand(*batch, *v.shape)
    if not _is_triangle(v):
        return to_columns(value, v.ndim)
    rows, columns = np.triu_indices(v.shape[0])
    return value[..., rows, columns]


def _packed_dual(con: Constraint, value: Tensor, batch: tuple[int, ...]) -> Tensor:
    value = value.reshape((*batch, -1))
    if isinstance(con, PSD):
        rows, columns = np.triu_indices(con.shape[0])  # of a symmetric matrix: its lower triangle by columns
        scale = value.new_tensor(np.where(rows == columns, 1.0, np.sqrt(2.0)))
        return value[..., rows * con.shape[0] + columns] * scale
    return value[..., _dual_places(con, value.shape[-1])]


def _dual_size(con: Constraint) -> int:
    return con.shape[0] * (con.shape[0] + 1) // 2 if isinstance(con, PSD) else con.size


def _dual_places(con: Constraint, size: int) -> np.ndarray:
    """Where the entries of all dual variables of a constraint stand in its dual value, in C order."""
    scratch = con.copy()
    places = np.arange(size)
    single = len(con.dual_variables) == 1
    scratch.save_dual_value(places.reshape(con.dual_variables[0].shape) if single else places)
    return np.concatenate([np.ravel(v.value, order="F") for v in scratch.dual_variables]).astype(np.int64)


def _starts(sizes: list[tuple[Leaf, int]]) -> tuple[dict[int, int], int]:
    """The first place of every leaf, and the number of places."""
    starts, stop = {}, 0
    for leaf, size in sizes:
        starts[leaf.id] = stop
        stop += size
    return starts, stop
