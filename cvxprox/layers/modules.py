"""The learnable parts of a problem: networks in its atoms, tensors of its parameters."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cvxpy as cp
from torch import Tensor, nn

from cvxprox.atoms.data import Opaque
from cvxprox.atoms.maps import LinearMap
from cvxprox.atoms.prior import Frozen, Settings
from cvxprox.layers.parameter import Parameter
from cvxprox.reductions.recompile import forget_canonical_forms

Holder = Opaque | LinearMap | Settings
"""What holds networks in an atom, and is shared by the copies of the atom."""


def networks(problem: cp.Problem) -> list[nn.Module]:
    """The trainable modules in the atoms of a problem, in the order of the problem, each once."""
    found: dict[int, nn.Module] = {}
    for holder in holders(problem):
        for module in _held(holder):
            if not isinstance(module, Frozen):
                found.setdefault(id(module), module)
    return list(found.values())


def learned_tensors(problem: cp.Problem) -> dict[str, nn.Parameter]:
    """The `torch.nn.Parameter` tensors of the parameters of a problem, by the name of the parameter."""
    found: dict[str, nn.Parameter] = {}
    for p in problem.parameters():
        if isinstance(p, Parameter) and isinstance(p.tensor, nn.Parameter):
            name = p.name().replace(".", "_")
            found[name if name not in found else f"{name}_{p.id}"] = p.tensor
    return found


def torch_values(problem: cp.Problem) -> dict[cp.Parameter, Tensor]:
    """The tensors that parameters of a problem hold themselves."""
    return {p: p.tensor for p in problem.parameters() if isinstance(p, Parameter) and p.tensor is not None}


def copied_problem(problem: cp.Problem, memo: dict[int, Any]) -> cp.Problem:
    """A deep copy with networks of its own; copies of a problem otherwise share them.

    `memo` is that of `copy.deepcopy`, in which the networks may already be.
    """
    for holder in holders(problem):
        if id(holder) not in memo:
            memo[id(holder)] = _copied(holder, memo)
    copied = copy.deepcopy(bare(problem), memo)
    forget_canonical_forms([copied.objective, *copied.constraints])
    return copied


def bare(problem: cp.Problem) -> cp.Problem:
    """The same problem without what was compiled of it, which can neither be copied nor pickled."""
    return cp.Problem(problem.objective, problem.constraints)


def _copied(holder: Holder, memo: dict[int, Any]) -> Holder:
    if isinstance(holder, Opaque):
        return Opaque(copy.deepcopy(holder.value, memo), holder.label)
    if isinstance(holder, Settings):
        return replace(holder, networks=tuple(copy.deepcopy(n, memo) for n in holder.networks))
    function, transposed = (copy.deepcopy(f, memo) for f in (holder.function, holder.transposed))
    other = object.__new__(LinearMap)
    other.__dict__.update({**holder.__dict__, "function": function, "transposed": transposed})
    return other


def _held(holder: Holder) -> Iterator[nn.Module]:
    if isinstance(holder, Opaque):
        values: tuple[Any, ...] = (holder.value,)
    elif isinstance(holder, Settings):
        values = holder.networks
    else:
        values = (holder.function, holder.transposed)
    yield from (value for value in values if isinstance(value, nn.Module))


def holders(problem: cp.Problem) -> Iterator[Holder]:
    for root in (problem.objective, *problem.constraints):
        yield from _in_tree(root)


def _in_tree(node: Any) -> Iterator[Holder]:
    if node.args:
        yield from (
            datum for datum in node.get_data() or () if isinstance(datum, Opaque | LinearMap | Settings)
        )
    for arg in node.args:
        yield from _in_tree(arg)
