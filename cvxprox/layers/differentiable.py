"""A problem as a differentiable function of tensors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast

import cvxpy as cp
from cvxpy.constraints.nonpos import Inequality
from torch import nn

from cvxprox.binding import Binder
from cvxprox.differentiation import Engine, SessionEngine
from cvxprox.differentiation.dense import DenseEngine
from cvxprox.layers.batch import Flat
from cvxprox.layers.modes import Mode, as_mode, by_conditions, unrolls
from cvxprox.layers.modules import bare, copied_problem
from cvxprox.layers.samples import NO_CONVERGENCE, NOT_FINITE, Outcomes
from cvxprox.layers.solves import Found, Points, Solution, Solves, Values
from cvxprox.layers.tensors import Inputs
from cvxprox.options import Options
from cvxprox.reductions.norm_balls import is_ball
from cvxprox.reductions.priors import is_structured
from cvxprox.solver import NablaADMM

HONOURED = {"algorithm", "lane", "device", "dtype", "eps_abs", "eps_rel", "max_iter", "time_limit", "alpha"}
"""Options that solves of a whole batch at once know; with others samples are solved one by one."""

ITERATED = {
    "schedule",
    "rho",
    "adaptive_rho",
    "sigma",
    "scaling",
    "linear_solver",
    "restart",
    "check_interval",
    "polish",
}
"""Those that they know besides where the algorithm itself is differentiated."""


class Differentiable:
    """Solves a problem for tensors in the place of its parameters.

    Parameters
    ----------
    problem : cvxpy.Problem
    options : Options
    mode : Differentiation or str, optional
        How solutions are differentiated.
    gp : bool
        Whether it is a geometric program.

    Raises
    ------
    ValueError
        If the problem has integer variables, or there is no such mode.
    """

    def __init__(self, problem: cp.Problem, options: Options, mode: Mode, gp: bool = False) -> None:
        as_mode(mode, convex=True)  # refuses what is not one
        refuse_integers(problem)
        self.problem, self.options, self.mode, self.gp = problem, options, mode, gp
        self.binders: dict[tuple[object, ...], Binder] = {}
        self.engines: dict[int, SessionEngine] = {}

    def binder(self, options: Options, alone: bool = False, duals: Sequence[int] = ()) -> Binder:
        """The problem compiled for a device, a type and an algorithm; kept.

        `alone`: never for batches; `duals`: the constraints whose dual values have to be there.
        """
        wanted = (c for c in self.problem.constraints if c.id in duals)
        balls = not any(isinstance(c, Inequality) and is_ball(c) for c in wanted)
        key = (
            alone,
            balls,
            options.algorithm,
            options.lane,
            options.device,
            options.dtype,
            options.use_quad_obj,
        )
        if key not in self.binders:
            solver = NablaADMM()
            solver.options = options
            binder = Binder(self.problem, solver, self.gp, balls=balls)
            if binder.dense and alone:
                affine = self.problem.is_dpp("dgp" if self.gp else "dcp")
                lane = "sparse" if affine and not is_structured(self.problem) else "structured"
                binder = Binder(self.problem, solver, self.gp, lane, balls)
            self.binders[key] = binder
        return self.binders[key]

    def engine(self, options: Options, binder: Binder, keep: bool) -> Engine:
        """What solves; kept where iterations are unrolled: penalties are constants of what is learned."""
        if binder.dense and by_conditions(self.mode):
            return cast(Engine, DenseEngine(options))  # without `splitting`, which no such mode asks for
        if not (keep or unrolls(self.mode)) or not isinstance(options.schedule, str | nn.Module | None):
            return SessionEngine(options)
        engine = self.engines.setdefault(id(binder), SessionEngine(options))
        engine.options = options
        return engine

    def __call__(
        self,
        inputs: Inputs,
        options: Options,
        warm: Points | None = None,
        x0: Values | None = None,
        duals: Sequence[int] = (),
        optional: bool = False,
    ) -> Solution:
        """Solve for every sample.

        Parameters
        ----------
        inputs : Inputs
            What it has no tensor for has the value of its parameter.
        options : Options
            Those of the solve.
        warm : dict of int to Point, optional
            Points to start from by the number of the sample, and where those reached are kept.
        x0 : dict of int to Tensor, optional
            Values of variables, by id, to start from.
        duals : sequence of int
            Ids of the constraints whose dual values are wanted.
        optional : bool
            Whether dual values may be missing.

        Raises
        ------
        ValueError
            If there is no dual value of a constraint.
        """
        binder = self.binder(options, _alone(options, by_conditions(self.mode)), duals)
        values, batch = inputs.cast(options.torch_dtype()), inputs.batch
        flat = Flat.of(values, {p: p.ndim for p in values}, batch)
        start = Flat.of(x0 or {}, {v.id: v.ndim for v in binder.variables}, batch)
        broken = inputs.failed().tolist()
        outcomes = Outcomes(
            batch, [None] * len(broken), {i: NOT_FINITE for i, bad in enumerate(broken) if bad}
        )
        engine = self.engine(options, binder, warm is not None)
        points = {} if warm is None else warm
        common = (flat, start, points, outcomes, tuple(duals), optional)
        solves = Solves(self.mode, binder, engine, options, *common)
        solves.run([i for i, bad in enumerate(broken) if not bad])
        stuck = [i for i, reason in outcomes.reasons.items() if reason == NO_CONVERGENCE]
        if stuck and isinstance(engine, DenseEngine):
            solves.found += self._again(stuck, options, common)
        return solves.solution()

    def _again(self, numbers: list[int], options: Options, common: tuple[Any, ...]) -> list[Found]:
        """Samples for which the solve of the batch did not converge, one by one by the whole solver."""
        flat, start, _, outcomes, duals, optional = common
        for number in numbers:
            del outcomes.reasons[number]
        binder, engine = self.binder(options, True, duals), SessionEngine(options)
        common = (flat, start, {}, outcomes, duals, optional)
        solves = Solves(self.mode, binder, engine, options, *common)
        solves.run(numbers)
        return solves.found

    def __getstate__(self) -> dict[str, Any]:
        """Without what was compiled, which can neither be copied nor pickled."""
        return {**self.__dict__, "problem": bare(self.problem), "binders": {}, "engines": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> Differentiable:
        """Of a copy of the problem, with networks of its own."""
        problem = copied_problem(self.problem, memo)
        return Differentiable(
            problem, copy.deepcopy(self.options, memo), copy.deepcopy(self.mode, memo), self.gp
        )


def refuse_integers(problem: cp.Problem) -> None:
    """Refuse problems whose solutions jump.

    Raises
    ------
    ValueError
        Naming the variables.
    """
    names = [v.name() for v in problem.variables() if v.attributes["integer"] or v.attributes["boolean"]]
    if names:
        raise ValueError(
            f"the solution is not differentiable: the variables {', '.join(names)} are integer or boolean. "
            "Relax them: to bounds 0 <= x <= 1, say, for boolean ones."
        )


def _alone(options: Options, by_conditions: bool) -> bool:
    """Whether an option that solves of batches do not know is not at its default."""
    usual, known = Options(), HONOURED if by_conditions else HONOURED | ITERATED
    own = [field.name for field in fields(Options) if field.name not in known]
    plain = by_conditions and options.algorithm != "admm"
    return plain or any(getattr(options, name) != getattr(usual, name) for name in own)
