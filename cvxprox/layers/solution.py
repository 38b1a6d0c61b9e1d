"""Solutions of ``problem.solve`` as tensors with a graph: ``params=`` and ``variable.tensor``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import cvxpy as cp
import cvxpy.settings as s
import numpy as np
import torch
from torch import Tensor

from cvxprox.layers.differentiable import Differentiable
from cvxprox.layers.duals import of_variables
from cvxprox.layers.modules import torch_values
from cvxprox.layers.parameter import Parameter
from cvxprox.layers.tensors import check_inputs
from cvxprox.options import Options

_HELD = "_cvxprox_tensor"
_KEPT = "cvxprox.layers"
OWN_OPTIONS = {field.name for field in fields(Options)} - {"verbose", "callback"}


class _Held:
    """A tensor and the array of values that it belongs to; copies hold no graph."""

    def __init__(self, tensor: Tensor, value: Any) -> None:
        self.tensor, self.value = tensor, value

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(None), ())


class _Kept:
    """The compiled problem between solves; copies of the problem compile anew."""

    def __init__(self, function: Differentiable) -> None:
        self.function = function

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None


def tensor_of(variable: cp.Variable) -> Tensor | None:
    """The value as a tensor that is differentiable in the tensors of the last solve.

    It is there after a solve by NABLA_ADMM with ``params={…}`` or with a `cvxprox.Parameter` whose tensor
    requires gradients; None after other solves, or once another value is assigned.
    """
    held = variable.__dict__.get(_HELD)
    return held.tensor if held is not None and held.value is variable._value else None


@contextlib.contextmanager
def values_from(problem: cp.Problem, params: Mapping[cp.Parameter, Tensor]) -> Iterator[None]:
    """Give parameters the numbers of tensors for the time of a solve.

    Raises
    ------
    ValueError
        If a parameter is not in the problem or the tensor is not a value for it; batches are not.
    """
    known = {p.id for p in problem.parameters()}
    for p in params:
        if getattr(p, "id", None) not in known:
            names = ", ".join(f"`{one.name()}`" for one in problem.parameters())
            wrong = p.name() if isinstance(p, cp.Parameter) else p
            raise ValueError(
                f"`{wrong}` of params= is not a parameter of the problem, which has {names or 'none'}."
            )
    batch = check_inputs(params).batch
    if batch:
        raise ValueError(
            f"a tensor of params= has batch dimensions {batch}, and `solve` solves one problem. "
            "`cvxprox.compile` and `cvxprox.ProxLayer` take batches."
        )
    before = {p: p.state() if isinstance(p, Parameter) else p._value for p in params}
    try:
        for p, t in params.items():
            if isinstance(p, Parameter):
                p.tensor = t
            else:
                p.save_value(p._validate_value(t.detach().cpu().resolve_conj().numpy()))
        yield
    finally:
        for p, state in before.items():
            if isinstance(p, Parameter):
                p.restore(state)
            else:
                p._value = state


def attach_tensors(
    problem: cp.Problem,
    params: Mapping[cp.Parameter, Tensor] | None,
    options: Options,
    solve_options: Mapping[str, Any],
) -> None:
    """Give the variables of a solved problem, and its dual variables, their tensors.

    Parameters
    ----------
    problem : cvxpy.Problem
        Just solved.
    params : mapping of Parameter to Tensor, or None
        What `solve` was given.
    options : Options
        Those of the solver.
    solve_options : mapping
        The keywords of `solve`.
    """
    held = torch_values(problem)
    sources = {**held, **(params or {})}
    asked = params is not None or any(t.requires_grad for t in held.values())
    if not asked or not torch.is_grad_enabled() or problem.status not in s.SOLUTION_PRESENT:
        return
    own = {name: value for name, value in solve_options.items() if name in OWN_OPTIONS}
    options = options.with_changes(own)
    if options.device == "auto":
        options = replace(options, device="cpu")
    kept = problem._solver_cache.get(_KEPT)
    gp = bool(solve_options.get("gp", False))
    if kept is None or kept.function.gp != gp:
        kept = _Kept(Differentiable(problem, options, None, gp))
        problem._solver_cache[_KEPT] = kept
    variables = problem.variables()
    inputs = check_inputs({}).with_more(sources)
    x0 = {v.id: torch.as_tensor(np.array(_dense_value(v))) for v in variables}
    found = kept.function(inputs, options, x0=x0, duals=[c.id for c in problem.constraints], optional=True)
    found.outcomes.warn(5)
    if found.outcomes.reasons:
        return
    for v in variables:
        v.__dict__[_HELD] = _Held(found.primal[v.id], v._value)
    for c in problem.constraints:
        tensors = of_variables(c, found.dual[c.id], 0) if c.id in found.dual else {}
        for v in c.dual_variables:
            if v.id in tensors:
                v.__dict__[_HELD] = _Held(tensors[v.id], v._value)


def teach_variables() -> None:
    """Give CVXPY's variables the property `tensor`."""
    cp.Variable.tensor = property(tensor_of)


def _dense_value(variable: cp.Variable) -> Any:
    if variable.sparse_idx is not None:
        return variable.value_sparse.toarray()
    return variable.value
