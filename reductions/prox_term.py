"""The pseudo-constraint that carries a prox term through CVXPY's reductions."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.constraints.constraint import Constraint
from cvxpy.expressions.expression import Expression
from cvxpy.utilities.canonical import Canonical

from cvxprox.atoms.function import FunctionAtom
from cvxprox.prox import ProxFunction
from cvxprox.reductions.describe import describe


@dataclass(frozen=True, eq=False)
class ProxSpec:
    """How an atom (or a norm ball) reads as a batch of one `ProxFunction`.

    Attributes
    ----------
    key : Hashable
        Terms of equal key and equal point shape are evaluated as one batch.
    build : callable
        Makes the function from its data arrays, each of shape ``(count,)``.
    index : ndarray of int
        Shape ``(count, *point)``. Positions in the argument, flattened in Fortran order. Row k is
        the point behind the k-th entry (Fortran order) of the atom. For a separable function the
        second axis holds the elements that are summed into that entry.
    data : tuple of Expression
        Constant or parametric numbers of the function: a radius, Huber's M. Scalars.
    argument : Expression or None
        The function's argument when it is not the atom's own: ``x + 1`` for ``log1p(x)``.
    sign : int
        -1 when the atom is the negative of the function (``log``, ``entr``, ``log_det``).
    scale : float
        The atom is ``sign * scale`` times the function.
    pad : bool
        Whether appending zeros to a point changes neither the function nor its prox.
    dual : callable or None
        For an indicator made of ``norm(X) <= r``: the multiplier from the dual points
        ``(count, *point)``.
    """

    key: Hashable
    build: Callable[..., ProxFunction]
    index: np.ndarray
    data: tuple[Expression, ...] = ()
    argument: Expression | None = None
    sign: int = 1
    scale: float = 1.0
    pad: bool = False
    dual: Callable[[np.ndarray], np.ndarray] | None = None


class Placeholder(cp.Variable):
    """Stands for the value of a prox term; its coefficient in the objective is the term's weight."""


class ProxTerm(Constraint):
    """``placeholder == atom(args[0])`` in the objective, or the indicator ``args[0] in ball``.

    ``args[1:]`` are the data expressions of the spec, so that parameters in them stay symbolic.
    """

    def __init__(
        self,
        *args: Any,
        constr_id: int | None = None,
    ) -> None:
        *expressions, spec, placeholder, origin = args
        self.spec: ProxSpec = spec
        self.placeholder: Placeholder | None = placeholder
        self.origin: Canonical = origin
        super().__init__(list(expressions), constr_id)

    def get_data(self) -> list[Any]:
        """What `copy` needs beside the arguments."""
        return [self.spec, self.placeholder, self.origin]

    def name(self) -> str:
        """The term in few words."""
        return describe(self.origin)

    def is_dcp(self, dpp: bool = False) -> bool:
        """Prox terms are made from DCP atoms with affine arguments only."""
        return all(arg.is_affine() for arg in self.args)

    def is_dgp(self, dpp: bool = False) -> bool:
        """Never: geometric programs are converted before."""
        return False

    def is_dqcp(self) -> bool:
        """As `is_dcp`."""
        return self.is_dcp()

    @property
    def residual(self) -> None:
        """Not defined: the term is part of the objective."""
        return None


class AtomTerm(ProxTerm):
    """``placeholder == atom`` in the objective, for an atom that gives its prox form itself.

    ``args[0]`` is the atom's argument, ``args[1:]`` are its data. `prox_form` of the atom is asked at every
    solve, with the numbers of the data.
    """

    def __init__(self, *args: Any, constr_id: int | None = None) -> None:
        *expressions, atom, placeholder = args
        self.atom: FunctionAtom = atom
        self.placeholder = placeholder
        self.origin = atom
        Constraint.__init__(self, list(expressions), constr_id)

    def get_data(self) -> list[Any]:
        """What `copy` needs beside the arguments."""
        return [self.atom, self.placeholder]
