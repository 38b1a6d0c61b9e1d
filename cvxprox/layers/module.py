"""What the modules made of problems share."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cvxpy as cp
import torch
from torch import Tensor, nn

from cvxprox.layers.differentiable import Differentiable
from cvxprox.layers.duals import of_variables
from cvxprox.layers.graph import linked, without_path
from cvxprox.layers.modes import Mode
from cvxprox.layers.modules import learned_tensors, networks, torch_values
from cvxprox.layers.samples import Outcomes
from cvxprox.layers.solves import Points, Solution, Values
from cvxprox.layers.tensors import Given, check_inputs
from cvxprox.options import Options

CALLER = 5
"""Frames between a warning and who called the module."""


class ProblemModule(nn.Module):
    """A problem as a module.

    Its parameters are what can be learned in the problem: networks in its atoms, tensors of
    `cvxprox.Parameter` that are `torch.nn.Parameter`, and those of a schedule.

    Parameters
    ----------
    problem : cvxpy.Problem
    options : Options
    mode : Differentiation or str, optional
    gp : bool
    warm_start : bool
        Whether a call starts at the solutions of the last one with the same batch.
    """

    def __init__(
        self, problem: cp.Problem, options: Options, mode: Mode, gp: bool = False, warm_start: bool = False
    ) -> None:
        super().__init__()
        self.function = Differentiable(problem, options, mode, gp)
        self.warm_start = warm_start
        self.networks = nn.ModuleList(networks(problem))
        self.tensors = nn.ParameterDict(learned_tensors(problem))
        if isinstance(options.schedule, nn.Module):
            self.schedule = options.schedule
        self._warm: dict[tuple[object, ...], Points] = {}
        self._without_path: set[int] | None = None
        self._outcomes: Outcomes | None = None

    @property
    def problem(self) -> cp.Problem:
        """The problem."""
        return self.function.problem

    @property
    def status(self) -> Any:
        """How the last solve ended: a `Status`, or an array of the shape of the batch.

        None stands for samples that were not tried, since their tensors have entries that are not finite.
        """
        return self._last.status

    @property
    def failed(self) -> Tensor:
        """Which samples of the last solve have no solution, of the shape of the batch."""
        return self._last.failed()

    @property
    def info(self) -> dict[str, Any]:
        """Of the last solve: "iterations", "forward_residual"; after the backward pass "backward_residual".

        Of samples that were solved one by one the largest.
        """
        return self._last.info

    @property
    def _last(self) -> Outcomes:
        if self._outcomes is None:
            raise RuntimeError("nothing has been solved yet: call the module first.")
        return self._outcomes

    def solution(
        self,
        given: Given,
        changes: Mapping[str, Any],
        keys: tuple[Sequence[int], Sequence[int]],
        x0: Values | None = None,
        warm_start: bool | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Solve for tensors; the values of variables and of dual variables, by their ids in `keys`."""
        held = {p: t for p, t in torch_values(self.problem).items() if p not in given}
        inputs = check_inputs(given)
        first = next(iter(held.values()), None)
        dtype = inputs.dtype or (None if first is None else first.dtype.to_real())
        options = self.function.options.with_changes(changes)
        device = inputs.device or (torch.device("cpu") if first is None else first.device)
        if options.device == "auto":
            options = replace(options, device=str(device))
        inputs = inputs.to(options.torch_device()).with_more(held)
        warm = None
        if self.warm_start if warm_start is None else warm_start:
            warm = self._warm.setdefault((inputs.batch, options), {})
        asked = set(keys[1])
        duals = [c.id for c in self.problem.constraints if asked & {v.id for v in c.dual_variables}]
        found = self.function(inputs, options, warm, x0, duals)
        self._outcomes = found.outcomes
        found.outcomes.warn(CALLER)
        results = self._linked(found, keys, {**held, **given})
        kind = dtype or options.torch_dtype()
        cast = [t.to(device, kind.to_complex() if t.is_complex() else kind) for t in results]
        return cast[: len(keys[0])], cast[len(keys[0]) :]

    def _linked(
        self, found: Solution, keys: tuple[Sequence[int], Sequence[int]], sources: Given
    ) -> list[Tensor]:
        """The results, with gradients of zero where no path leads from a tensor to them."""
        duals: Values = {}
        for c in self.problem.constraints:
            if c.id in found.dual:
                duals.update(of_variables(c, found.dual[c.id], len(found.outcomes.batch)))
        results = [*(found.primal[key] for key in keys[0]), *(duals[key] for key in keys[1])]
        asked = {p: t for p, t in sources.items() if t.requires_grad}
        if not asked or not torch.is_grad_enabled() or not results:
            return results
        if len(found.outcomes.reasons) == len(found.outcomes.statuses):
            return [linked(result, list(asked.values())) for result in results]
        parameters = list(asked)
        if self._without_path is None and found.program is not None:
            lost = [parameters[number] for number in without_path(found.program, list(asked.values()))]
            self._without_path = {p.id for p in lost}
            if lost:
                names = ", ".join(f"`{p.name()}`" for p in lost)
                warnings.warn(
                    f"the solution does not depend on {names}: gradients there are zero.",
                    RuntimeWarning,
                    stacklevel=CALLER,
                )
        lost_tensors = [t for p, t in asked.items() if p.id in (self._without_path or ())]
        return [linked(result, lost_tensors) for result in results] if lost_tensors else results

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles start cold."""
        return {**self.__dict__, "_warm": {}, "_outcomes": None, "_without_path": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> ProblemModule:
        """A module of its own problem, networks and tensors."""
        new = object.__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update({key: copy.deepcopy(value, memo) for key, value in self.__getstate__().items()})
        return new
