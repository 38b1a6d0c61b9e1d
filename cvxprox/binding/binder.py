"""From a problem and tensors for its parameters to programs that carry their graphs."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import torch
from cvxpy.problems.problem import Problem
from cvxpy.reductions.solvers.constant_solver import ConstantSolver
from cvxpy.reductions.solvers.solver import Solver
from torch import Tensor

from cvxprox.algorithms.registry import ALGORITHMS
from cvxprox.atoms.data import to_tensor, value_of
from cvxprox.binding.bound import Bound
from cvxprox.binding.inversion import Inversion
from cvxprox.differentiation import Task
from cvxprox.operators import batched_dense
from cvxprox.planning import Plan
from cvxprox.program import ProxProgram
from cvxprox.reductions.affine_map import Evaluation
from cvxprox.reductions.bound_matrices import BoundMatrices
from cvxprox.reductions.bound_programs import (
    Numbers,
    dense_program,
    sparse_program,
    structured_plan,
    with_batch,
)
from cvxprox.reductions.chain import PLAIN_ALGORITHMS, Flavour, construct_chain
from cvxprox.reductions.detached import detached
from cvxprox.reductions.leaf_maps import Tensors, lowered
from cvxprox.reductions.lifted_parameter import LiftedParameter
from cvxprox.reductions.parameter_expression import ParameterExpressions
from cvxprox.reductions.parametric import ParametricProgram
from cvxprox.reductions.priors import has_priors, is_structured
from cvxprox.reductions.structured import Evaluated
from cvxprox.reductions.stuffing import operators_and_simple, operators_only
from cvxprox.reductions.theta import Theta
from cvxprox.reductions.torch_operator_batch import reverse

DENSE_VARIABLES = 1500
"""Variables up to which a problem is a program of dense matrices."""

DENSE_WITH_OPERATORS = 300
"""The same for problems with operators of this library."""

FLAVOURS = {
    "dense": Flavour(squares=True, choose=operators_only),
    "sparse": Flavour(squares=False, choose=operators_only),
    "structured": Flavour(squares=True, choose=operators_and_simple),
}


class Binder:
    """A problem compiled for tensors in the place of its parameters.

    Problems need not be DPP: expressions of parameters that are not affine in them are evaluated in
    torch, and so are constraints that multiply parameters through a variable.

    Parameters
    ----------
    problem : Problem
    solver : Solver
        A `NablaADMM` with the options that count: `algorithm`, `lane`, `dtype`, `device`.
    gp : bool
        Whether it is a geometric program.
    lane : str
        "dense" (a batch of dense matrices), "sparse", "structured" (operators), or "auto".
    balls : bool
        Whether norm balls are projections. Their dual values are no multiples of single entries of y then.

    Attributes
    ----------
    parameters, variables : list
        The user's.
    dense : bool
        Whether one program holds a batch of samples.
    lane : str
        The one taken.
    """

    def __init__(
        self, problem: Problem, solver: Solver, gp: bool = False, lane: str = "auto", balls: bool = True
    ) -> None:
        self.problem = problem
        self.solver = solver
        self.gp = gp
        self.parameters: list[cp.Parameter] = problem.parameters()
        self.variables: list[cp.Variable] = problem.variables()
        self.lane = self._lane() if lane == "auto" else lane
        self.flavour = replace(FLAVOURS[self.lane], balls=balls)
        self._compile()

    @property
    def dense(self) -> bool:
        """Whether one program holds a batch of samples."""
        return self.lane == "dense"

    def _lane(self) -> str:
        options = self.solver.options
        if options.lane == "matrix_free" or options.algorithm in PLAIN_ALGORITHMS:
            return "structured"
        size = sum(v.size for v in self.variables)
        if is_structured(self.problem):
            small = size <= DENSE_WITH_OPERATORS and not has_priors(self.problem)
            return "dense" if small else "structured"
        if size <= DENSE_VARIABLES and options.lane != "assembled":
            return "dense"
        return "sparse" if self.problem.is_dpp("dgp" if self.gp else "dcp") else "structured"

    def _compile(self) -> None:
        chain = construct_chain(self.problem, self.solver, self.gp, solver_opts={}, flavour=self.flavour)
        if isinstance(chain.reductions[0], ConstantSolver):
            raise ValueError("the problem has no variables, so there is nothing to differentiate.")
        program: Any = self.problem
        self.reductions, self.inverse = chain.reductions[:-1], []
        with warnings.catch_warnings():  # CVXPY's own reading of a sparse parameter
            warnings.filterwarnings("ignore", "Reading from a sparse CVXPY expression", RuntimeWarning)
            for reduction in self.reductions:
                program, inverse = reduction.apply(program)
                self.inverse.append(inverse)
        self.parametric: ParametricProgram = program
        self.inner = self.parametric.parameters
        self.probe: Tensor | None = None
        self.columns = self._theta_columns()
        starts = np.cumsum([0, *(p.size for p in self.inner)])
        self.matrices = BoundMatrices(self.parametric, self.columns, starts, apart=self.lane != "sparse")
        self._shared: dict[frozenset[int], bool] = {}
        self.inversion = Inversion(
            self.problem, self.reductions, self.inverse, self.parametric, self.matrices
        )

    def _theta_columns(self) -> np.ndarray:
        """The position, in parameters flattened in C order, of every column of CVXPY's tensors."""
        columns = np.zeros(1 + sum(p.size for p in self.inner), dtype=np.int64)
        start = 0
        for p in self.inner:
            where = self.parametric.parameter_offsets[p.id]
            positions = np.arange(p.size).reshape(p.shape).ravel(order="F")
            columns[where : where + p.size] = start + positions
            start += p.size
        columns[-1] = start
        return columns

    def bind(self, values: Mapping[cp.Parameter, Tensor], batch: tuple[int, ...] = ()) -> Bound:
        """The program at tensors of shape ``(*batch, *shape)`` (or without batch) for parameters.

        Parameters that are not given keep their ``.value``.

        Raises
        ------
        ValueError
            If a parameter has neither, or a number is such that the problem makes no sense.
        """
        dtype, device = self.solver.options.torch_dtype(), self.solver.options.torch_device()
        given = {p.id: value.to(device, dtype.to_complex() if value.is_complex() else dtype)
                 for p, value in values.items()}  # fmt: skip
        for p in self.parameters:
            if p.id not in given:
                value = value_of(p)
                if value is None:
                    raise ValueError(f"the parameter `{p.name()}` has no tensor and no value.")
                given[p.id] = to_tensor(value, p.shape, dtype, device)
        size = torch.Size(batch)
        program, plan, evaluated = self._program(given, dtype, device, size)
        if self.dense:
            return Bound(Task(program, detached(program)), self.inversion, None, evaluated)
        constants = {key: value.detach() for key, value in given.items()}
        with torch.no_grad():
            frozen, _, _ = self._program(constants, dtype, device, size)
        return Bound(Task(program, frozen), self.inversion, plan, evaluated)

    def shares_operators(self, batched: Collection[cp.Parameter]) -> bool:
        """Whether samples that differ in these parameters have the same operators, weights and functions.

        Then `bind` makes one program of them in the lanes "sparse" and "structured" too, whose q and b
        have batch dimensions.
        """
        key = frozenset(p.id for p in batched)
        if key not in self._shared:
            self._shared[key] = not key or self._find_shared(key)
        return self._shared[key]

    def _find_shared(self, batched: frozenset[int]) -> bool:
        if self.parametric.objective is not None:
            return False
        given: Tensors = {}
        dtype, device = self.solver.options.torch_dtype(), self.solver.options.torch_device()
        for p in self.parameters:
            kind = dtype.to_complex() if p.is_complex() else dtype
            given[p.id] = torch.ones((1,) * (p.id in batched) + p.shape, dtype=kind, device=device)
        with torch.no_grad():
            theta, evaluation = self._arguments(given, dtype, device)
            part, matrices = self.parametric.structured, self.matrices
            fixed = [matrices.A.values, matrices.costs]
            if matrices.P is not None:
                fixed.append(matrices.P.values)
            if any(theta.batched_for(values) for values in fixed):
                return False
            if part is not None:
                costs = matrices.costs(theta.of(matrices.costs))[..., :-1]
                part.evaluate(costs.abs(), self._probe(costs), evaluation)
        return not evaluation.differs

    def _arguments(
        self, given: Tensors, dtype: torch.dtype, device: torch.device
    ) -> tuple[Theta, Evaluation]:
        """What the numbers and the operators are functions of."""
        values = lowered(self.reductions, given)
        expressions = ParameterExpressions(values, dtype, device)
        for p in self.inner:
            if isinstance(p, LiftedParameter):
                values[p.id] = expressions(p)
        theta = Theta(self.inner, values, torch.empty(0, dtype=dtype, device=device))
        return theta, Evaluation(dtype, device, expressions)

    def _program(
        self, given: Tensors, dtype: torch.dtype, device: torch.device, batch: torch.Size
    ) -> tuple[ProxProgram, Plan | None, Evaluated | None]:
        theta, evaluation = self._arguments(given, dtype, device)
        matrices = self.matrices
        costs = matrices.costs(theta.of(matrices.costs))[..., :-1]
        if self.parametric.objective is not None:
            costs = self._symbolic_costs(evaluation, costs, len(batch))
        numbers = Numbers(matrices, theta, costs)
        q = costs[..., torch.from_numpy(matrices.kept).to(device)]
        part = self.parametric.structured
        evaluated = None if part is None else part.evaluate(costs, self._probe(costs), evaluation)
        if self.dense:
            return dense_program(matrices, numbers, q, evaluated, batch), None, evaluated
        if evaluated is None or part is None:
            return with_batch(sparse_program(matrices, numbers, q), batch), None, None
        form = ALGORITHMS[self.solver.options.algorithm].form
        plan = structured_plan(matrices, numbers, q, evaluated, part, form)
        return with_batch(plan.program, batch), plan, evaluated

    def _probe(self, costs: Tensor) -> Tensor:
        """Numbers for the columns of the costs that are equal where these are the same functions."""
        if self.parametric.objective is not None:
            return torch.arange(costs.shape[-1], device=costs.device, dtype=torch.float64)
        if self.probe is None:
            generator = torch.Generator().manual_seed(0)
            theta = torch.rand(self.columns.size, generator=generator, dtype=torch.float64)
            theta[-1] = 1.0
            self.probe = self.matrices.costs(theta[torch.from_numpy(self.matrices.costs.positions)])[:-1]
        return self.probe.to(costs.device)

    def _symbolic_costs(self, evaluation: Evaluation, costs: Tensor, dims: int) -> Tensor:
        """The coefficients of an objective that is not affine in its parameters."""
        affine = evaluation.map(self.parametric.objective)
        for key, K in affine.operators.items():
            slope = batched_dense(K, dims)[..., 0, :]
            lead, shape = slope.shape[:-1], K.shape_in
            flat = reverse(slope.reshape((*lead, *shape)), len(shape)).reshape((*lead, -1))
            start = self.parametric.offsets[key]
            index = torch.arange(start, start + flat.shape[-1], device=evaluation.device)
            costs = costs.expand(*lead, -1).index_add(-1, index, flat)
        return costs
