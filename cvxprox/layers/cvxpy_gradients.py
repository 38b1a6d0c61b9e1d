"""CVXPY's own derivatives: ``solve(requires_grad=True)``, then ``backward()`` and ``derivative()``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import cvxpy.settings as s
import torch
from cvxpy.error import SolverError
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.problems.problem import Problem
from torch import Tensor

from cvxprox.algorithms import Point, Session
from cvxprox.differentiation import Engine, Implicit, Solved, Task
from cvxprox.layers.differentiable import Differentiable
from cvxprox.layers.effective import effective_parameters
from cvxprox.layers.perturbations import change_of, dense, gradient_of, perturbation_of, value_of
from cvxprox.layers.tensors import Inputs
from cvxprox.options import Options
from cvxprox.solver import FIXED_POINT
from cvxprox.status import Status

GRADIENT = "gradient"
"""Where the accuracy of derivatives stands in ``problem.solver_stats.extra_stats``."""

TOLERANCE = 1e-9
"""Of the solution that is differentiated, `eps_abs` and `eps_rel` of `Options`, unless the solve had less."""

_REFUSED = (
    "{} infeasible/unbounded problems is not possible: there is no solution, the status is {}. Look at "
    "`problem.status` before you ask for derivatives."
)


@dataclass(frozen=True)
class Conditions(Implicit):
    """``Implicit("kkt")`` for products with a Jacobian and with its transpose.

    The former are derivatives of the latter in what they multiply, in which they are linear: exact, though
    the second derivatives of the solution, which `Implicit` of order 1 refuses, are not there.
    """

    backward: str = "kkt"

    def solve(self, engine: Engine, task: Task, start: Point | None = None) -> Solved:
        """The solution, refined, with a graph."""
        return self._by_conditions(engine, task, engine.run(task, start))


@dataclass(frozen=True)
class Attached:
    """A solution with a graph from the parameters to the variables that depend on them, by id."""

    parameters: dict[Parameter, Tensor]
    variables: dict[int, Tensor]
    info: dict[str, Any]


class Derivatives:
    r"""What a problem's solver cache keeps for ``backward()`` and ``derivative()``.

    A solve with ``requires_grad=True`` records the values of the parameters. The first derivative
    after it refines the solution and builds a graph from the parameters to the variables, by the
    optimality conditions of the program (`cvxprox.differentiation.Implicit`); later ones use the same
    graph. The residuals of the solution and of the linear system are left in
    ``problem.solver_stats.extra_stats["gradient"]``.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.ready = False
        self._values: dict[Parameter, Tensor] = {}
        self._options = Options()
        self._compiled: Differentiable | None = None
        self._points: dict[int, Point] = {}
        self._attached: dict[int, Attached] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """A copied problem has other variables: it is solved again before it is differentiated."""

    def forget(self) -> None:
        """The problem is going to be solved again."""
        self.ready = False
        self._attached.clear()
        self._points.clear()

    def record(self, options: Options, gp: bool) -> None:
        """The problem was solved, with these options, as a geometric program or not."""
        self.ready = True
        self._options = replace(
            options, verbose=False, callback=None, time_limit=None, check_interval=None, dtype="float64",
            polish="auto", max_iter=Session.MAX_ITER if self._convex else options.max_iter,
            algorithm="admm" if self._convex else options.algorithm,
            eps_abs=min(options.eps_abs, TOLERANCE), eps_rel=min(options.eps_rel, TOLERANCE),
        )  # fmt: skip
        self._values = {p: torch.from_numpy(value_of(p)) for p in self.problem.parameters()}
        if self._compiled is None or self._compiled.gp != gp:
            self._compiled = Differentiable(self.problem, self._options, None, gp)

    def backward(self) -> None:
        """Set ``parameter.gradient`` from ``variable.gradient``, by default ones.

        A parameter that the solution does not depend on gets zeros, with a warning.

        Raises
        ------
        SolverError
            If there is no solution.
        ValueError
            If a gradient does not have the shape of its variable.
        """
        problem = self.problem
        if problem.status not in s.SOLUTION_PRESENT:
            raise SolverError(_REFUSED.format("Backpropagating through", problem.status))
        given = {
            v.id: torch.from_numpy(dense(v, 1.0 if v.gradient is None else v.gradient, "gradient"))
            for v in problem.variables()
        }
        gradients, effective = self._pull(given), effective_parameters(problem)
        for p in problem.parameters():
            if p not in effective:
                warnings.warn(
                    f"no variable depends on the parameter `{p.name()}`: its gradient is zero.", stacklevel=3
                )
            gradient = gradients.get(p)
            p.gradient = gradient_of(p, torch.zeros_like(self._values[p]) if gradient is None else gradient)

    def derivative(self) -> None:
        """Set ``variable.delta`` from ``parameter.delta``, by default zeros.

        Raises
        ------
        ValueError
            If there is no solution, or a perturbation does not have the shape of its parameter.
        """
        problem = self.problem
        if problem.status not in s.SOLUTION_PRESENT:
            raise ValueError(_REFUSED.format("Differentiating through", problem.status))
        changes = self._push({p: perturbation_of(p, p.delta) for p in problem.parameters()})
        for v in problem.variables():
            change = changes.get(v.id)
            v.delta = change_of(v, torch.from_numpy(dense(v, 0.0, "delta")) if change is None else change)

    def _pull(self, gradients: dict[int, Tensor]) -> dict[Parameter, Tensor | None]:
        """The vector-Jacobian product; nothing where there is no path."""
        attached = self._attach(order=1)
        if not attached.variables:
            return {}
        pulled = torch.autograd.grad(
            list(attached.variables.values()), list(attached.parameters.values()),
            [gradients[key].to(x.device) for key, x in attached.variables.items()],
            retain_graph=True, allow_unused=True,
        )  # fmt: skip
        self._report(attached)
        return dict(zip(attached.parameters, pulled, strict=True))

    def _push(self, deltas: dict[Parameter, Tensor]) -> dict[int, Tensor]:
        r"""The Jacobian-vector product, as the derivative of :math:`u \mapsto J^Tu`, which is linear."""
        attached = self._attach(order=2)
        if not attached.variables:
            return {}
        u = [torch.zeros_like(x, requires_grad=True) for x in attached.variables.values()]
        pulled = torch.autograd.grad(
            list(attached.variables.values()), list(attached.parameters.values()), u,
            create_graph=True, allow_unused=True,
        )  # fmt: skip
        reached = [(g, deltas[p]) for p, g in zip(attached.parameters, pulled, strict=True) if g is not None]
        if not reached:  # the graph leads to networks in the problem only
            return {}
        outputs, directions = zip(*reached, strict=True)
        changes = torch.autograd.grad(outputs, u, directions, retain_graph=True, allow_unused=True)
        self._report(attached)
        return {key: c for key, c in zip(attached.variables, changes, strict=True) if c is not None}

    @property
    def _convex(self) -> bool:
        """Whether the solution counts, and not the algorithm that found it."""
        return bool(self.problem.status != FIXED_POINT)

    def _attach(self, order: int) -> Attached:
        """The graph for derivatives up to an order, made at the first call."""
        order = 1 if self._convex else order
        if order not in self._attached:
            leaves = {p: value.clone().requires_grad_() for p, value in self._values.items()}
            empty = not leaves or not self.problem.variables()
            self._attached[order] = Attached(leaves, {}, {}) if empty else self._solve(leaves, order)
        return self._attached[order]

    def _solve(self, leaves: dict[Parameter, Tensor], order: int) -> Attached:
        assert self._compiled is not None and self.problem._solution is not None
        found = self.problem._solution.primal_vars
        device = self._options.torch_device()
        start = {
            v.id: torch.from_numpy(dense(v, found[v.id], "value")).to(device)
            for v in self.problem.variables()
        }
        self._compiled.mode = Conditions() if self._convex else Implicit("anderson", order=order)
        values = {p: leaf.to(device) for p, leaf in leaves.items()}
        inputs = Inputs(values, (), torch.float64, device)
        solution = self._compiled(inputs, self._options, self._points, start)
        if solution.outcomes.reasons:
            raise SolverError(f"the solution could not be refined: {solution.outcomes.reasons[0]}.")
        info = solution.outcomes.infos[0]
        if solution.outcomes.statuses[0] is Status.ITERATION_LIMIT:
            warnings.warn(
                f"the solution was refined only to residuals of {info['forward_residual']:.1e}; its "
                "derivatives are not more accurate.",
                stacklevel=6,
            )
        return Attached(leaves, {key: x for key, x in solution.primal.items() if x.requires_grad}, info)

    def _report(self, attached: Attached) -> None:
        """Leave the accuracy where users look for statistics."""
        info = attached.info
        accuracy = {name: info[name] for name in ("forward_residual", "backward_residual") if name in info}
        self.problem.solver_stats.extra_stats[GRADIENT] = accuracy
