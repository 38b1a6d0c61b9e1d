"""The instances as CVXPY problems, written as a user would write them."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp

from benchmarks.program import Program
from benchmarks.rows import Equal, Vector


@dataclass(frozen=True)
class Model:
    """A CVXPY problem with its variable and constraints, in the order of ``program.rows``.

    `parameters` are those of the varying data, empty in a problem of constants.
    """

    problem: cp.Problem
    x: cp.Variable
    constraints: list[cp.Constraint]
    parameters: dict[str, cp.Parameter]


def model(program: Program) -> Model:
    """The problem with all data constant."""
    return _model(program, program.q, [block.rhs for block in program.rows], {})


def parametrised_model(program: Program) -> Model:
    """The problem with the program's varying data as parameters, set to their values."""
    parameters: dict[str, cp.Parameter] = {}
    q: cp.Expression | Vector = program.q
    rhs: list[cp.Expression | Vector] = [block.rhs for block in program.rows]
    if program.varying == "q":
        q = parameters["q"] = cp.Parameter(program.q.size, value=program.q, name="q")
    else:
        for i, block in enumerate(program.rows):
            if isinstance(block, Equal):
                rhs[i] = parameters[f"rhs{i}"] = cp.Parameter(block.rhs.size, value=block.rhs, name=f"rhs{i}")
    return _model(program, q, rhs, parameters)


def assign(parameters: dict[str, cp.Parameter], program: Program) -> None:
    """Give the parameters of a `parametrised_model` the values of `program`."""
    values = {"q": program.q} | {f"rhs{i}": block.rhs for i, block in enumerate(program.rows)}
    for name, parameter in parameters.items():
        parameter.value = values[name]


def _model(
    program: Program,
    q: cp.Expression | Vector,
    rhs: list[cp.Expression | Vector],
    parameters: dict[str, cp.Parameter],
) -> Model:
    x = cp.Variable(program.q.size, name="x")
    objective = q @ x
    if program.P is not None and program.P.nnz:
        objective = 0.5 * cp.quad_form(x, cp.psd_wrap(program.P)) + objective
    constraints = [block.constraint(x, b) for block, b in zip(program.rows, rhs, strict=True)]
    return Model(cp.Problem(cp.Minimize(objective), constraints), x, constraints, parameters)
