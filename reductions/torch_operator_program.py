"""An affine expression tree as a list of steps on numbered slots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy.sparse as sp
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.atom import Atom
from cvxpy.atoms.elementwise.power import Power
from cvxpy.expressions.constants.constant import Constant
from cvxpy.expressions.constants.parameter import Parameter
from cvxpy.expressions.expression import Expression
from cvxpy.expressions.variable import Variable
from torch import Tensor

import cvxprox.reductions.torch_operator_arrangement
import cvxprox.reductions.torch_operator_atoms  # noqa: F401  (registers)
from cvxprox.errors import ReductionError
from cvxprox.operators import SparseMatrix
from cvxprox.reductions.torch_operator import TorchFunction, torch_operator
from cvxprox.reductions.torch_operator_constants import dense, fold
from cvxprox.reductions.torch_operator_linear import Linearity, linearity
from cvxprox.reductions.torch_operator_products import sparse_operator
from cvxprox.reductions.torch_operator_sums import add

TorchValue = Tensor | SparseMatrix
Known = dict[int, TorchValue]


@dataclass(frozen=True, eq=False)
class Step:
    """Slot `target` is the function of the slots `arguments`."""

    target: int
    arguments: tuple[int, ...]
    function: TorchFunction
    atom: Atom


@dataclass(frozen=True, eq=False)
class Program:
    """The evaluation of an expression.

    Slots number the distinct nodes of the tree; `root` is that of `expr`. `constants` holds the
    folded constant subtrees that steps read, sparse ones for sparse products; `variables` and
    `parameters` are the slots of the leaves. `parameter_steps` depend on no variable and run once
    per binding; `variable_steps` run in every evaluation.
    """

    expr: Expression
    root: int
    constants: Mapping[int, np.ndarray | sp.csr_array]
    variables: Mapping[Variable, int]
    parameters: Mapping[Parameter, int]
    parameter_steps: tuple[Step, ...]
    variable_steps: tuple[Step, ...]

    def advance(self, steps: Sequence[Step], known: Known) -> None:
        """Run the steps, adding their results to `known`."""
        for step in steps:
            known[step.target] = step.function(*(known[slot] for slot in step.arguments))

    def run(self, steps: Sequence[Step], known: Known) -> Tensor:
        """Run the steps; the value of the root."""
        self.advance(steps, known)
        value = known[self.root]
        assert isinstance(value, Tensor)
        return value

    def linear_part(
        self, slots: Sequence[int], known: Known, zeros: Callable[[Expression], Tensor]
    ) -> Callable[[Known], Tensor] | None:
        """The evaluation without offset, linear in the variables of `slots`, other variables at zero.

        None if the expression does not depend on these variables.
        `known` holds the constants and parameter values at which products are taken; zeros that
        steps need are added to it.
        """
        live = set(slots)
        steps = []
        for step in self.variable_steps:
            if live.isdisjoint(step.arguments):
                continue  # it depends on other variables only
            steps.append(_linear_step(step, live, known, zeros))
            live.add(step.target)
        return (lambda values: self.run(steps, values)) if self.root in live else None


def _linear_step(step: Step, live: set[int], known: Known, zeros: Callable[[Expression], Tensor]) -> Step:
    atom, arguments = step.atom, step.arguments
    kind = linearity(atom)
    if isinstance(atom, AddExpression):
        kept = [i for i, slot in enumerate(arguments) if slot in live]
        function = add([atom.args[i].ndim for i in kept], atom.shape)
        return Step(step.target, tuple(arguments[i] for i in kept), function, atom)
    fixed = [slot for slot in arguments if slot not in live]
    if kind is Linearity.EACH:
        # A product with another variable is not affine, so the rest is constant.
        return step
    if kind is Linearity.JOINT:
        named = {slot: -2 - slot for slot in fixed}
        for slot, arg in zip(arguments, atom.args, strict=True):
            if slot in named:
                known[named[slot]] = zeros(arg)
        return Step(step.target, tuple(named.get(slot, slot) for slot in arguments), step.function, atom)
    function = _without_value_at_zero(step, live, known, zeros)
    return Step(step.target, tuple(slot for slot in arguments if slot in live), function, atom)


def _without_value_at_zero(
    step: Step, live: set[int], known: Known, zeros: Callable[[Expression], Tensor]
) -> TorchFunction:
    pairs = list(zip(step.arguments, step.atom.args, strict=True))
    # Arguments that depend on other variables are zero like these variables.
    fixed = {slot: known[slot] if slot in known else zeros(arg) for slot, arg in pairs if slot not in live}
    at_zero = step.function(*(fixed.get(slot, zeros(arg)) for slot, arg in pairs))

    def linear(*xs: Tensor) -> Tensor:
        moving = iter(xs)
        return step.function(*(fixed[s] if s in fixed else next(moving) for s, _ in pairs)) - at_zero

    return linear


def build_program(expr: Expression) -> Program:
    """The program of an affine expression.

    Raises
    ------
    ReductionError
        If the expression is not affine, or contains an atom without a torch equivalent.
    """
    if not expr.is_affine():
        raise ReductionError(
            f"the expression `{expr}` is {expr.curvature.lower()}, not affine{_culprit(expr)}. "
            "Only affine expressions are functions Kx + b."
        )
    slots: dict[int, int] = {}
    folded: dict[int, np.ndarray | sp.csr_array] = {}
    variables: dict[Variable, int] = {}
    parameters: dict[Parameter, int] = {}
    depends: set[int] = set()
    early: list[Step] = []
    late: list[Step] = []
    nodes = _postorder(expr)
    for slot, node in enumerate(nodes):
        slots[id(node)] = slot
        match node:
            case Variable():
                variables[node] = slot
                depends.add(slot)
                continue
            case Parameter():
                parameters[node] = slot
                continue
            case Constant():
                folded[slot] = _as_array(node.value, node.shape)
                continue
        atom = cast(Atom, node)
        arguments = tuple(slots[id(arg)] for arg in atom.args)
        if all(argument in folded for argument in arguments):
            folded[slot] = fold(atom, [folded[argument] for argument in arguments])
            continue
        if _ignores_arguments(atom):
            folded[slot] = fold(atom, [np.zeros(arg.shape) for arg in atom.args])
            continue
        varying = not depends.isdisjoint(arguments)
        step = Step(slot, arguments, torch_operator(atom), atom)
        (late if varying else early).append(step)
        if varying:
            depends.add(slot)
    root = slots[id(expr)]
    ordered = {v: variables[v] for v in expr.variables() if v in variables}
    constants: dict[int, np.ndarray | sp.csr_array] = {}
    early = [_with_constants(step, folded, constants, len(nodes)) for step in early]
    late = [_with_constants(step, folded, constants, len(nodes)) for step in late]
    if root in folded:
        constants[root] = dense(folded[root])
    return Program(expr, root, constants, ordered, parameters, tuple(early), tuple(late))


def _with_constants(
    step: Step,
    folded: Mapping[int, np.ndarray | sp.csr_array],
    constants: dict[int, np.ndarray | sp.csr_array],
    count: int,
) -> Step:
    """Enter the constants that a step reads: sparse where the step multiplies by it, else dense."""
    sparse = [slot for slot in step.arguments if slot in folded and sp.issparse(folded[slot])]
    product = sparse_operator(step.atom) if sparse else None
    if product is not None:
        # A slot of its own: another step may need the same constant dense.
        named = {slot: slot + count for slot in sparse}
        constants.update({own: folded[slot] for slot, own in named.items()})
        return Step(step.target, tuple(named.get(slot, slot) for slot in step.arguments), product, step.atom)
    for slot in step.arguments:
        if slot in folded:
            constants[slot] = dense(folded[slot])
    return step


def _postorder(expr: Expression) -> list[Expression]:
    """Every distinct node after its arguments."""
    order: list[Expression] = []
    seen: set[int] = set()
    stack: list[tuple[Expression, bool]] = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(cast(Atom, node).args))
    return order


def _as_array(value: object, shape: tuple[int, ...]) -> np.ndarray | sp.csr_array:
    if sp.issparse(value):
        return sp.csr_array(value)
    return np.asarray(value).reshape(shape)


def _ignores_arguments(node: Atom) -> bool:
    """Whether the value is the same for all arguments: nothing at all, or the power 0."""
    return 0 in node.shape or (isinstance(node, Power) and node.p_used == 0)


def _culprit(expr: Expression) -> str:
    """Where the expression stops being affine."""
    for node in _postorder(expr):
        if not node.is_affine():
            return "" if node is expr else f" because of the term `{node}`"
    return ""
