"""What atoms that are functions with a proximal operator share."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import cvxpy.atoms as cvxpy_atoms
import numpy as np
import scipy.sparse as sp
import torch
from cvxpy.constraints import SOC, ExpCone, NonNeg
from cvxpy.constraints.constraint import Constraint
from cvxpy.error import SolverError
from cvxpy.expressions.expression import Expression
from cvxpy.reductions.dcp2cone.canonicalizers import CANON_METHODS as CONE_FORMS
from cvxpy.utilities.solver_context import SolverInfo
from torch import Tensor

from cvxprox.atoms.data import to_tensors
from cvxprox.atoms.with_data import AtomWithData
from cvxprox.operators import Gather, LinearOperator
from cvxprox.prox import ProxFunction

Shape = tuple[int, ...]
Canonical = tuple[Expression, list[Constraint]]

ATOMS_OF_CONE = {
    SOC: cvxpy_atoms.SOC_ATOMS,
    ExpCone: cvxpy_atoms.EXP_ATOMS,
    NonNeg: cvxpy_atoms.NONPOS_ATOMS,
}
"""CVXPY's lists of the atoms that need a cone, by which it chooses solvers."""

TOLERANCE = 1e-6
"""How far, relative to its size, a value may be from a set and still count as one of it."""


@dataclass(frozen=True)
class ProxForm:
    r"""An atom as a sum of one prox function over many points, :math:`f(x) = \sum_i g((Kx)_i)`.

    Attributes
    ----------
    operator : LinearOperator or None
        :math:`K`, from tensors of the shape of the atom's argument; None for the identity.
    function : ProxFunction
        :math:`g`. Its tensors have the shape of the points, or broadcast against it.
    shape : tuple of int
        The result of `K`, flattened in C order, reads as points of shape ``(count, *point)``; the point
        has no dimensions where `g` is separable.
    leading : bool
        Whether the components come first, ``(*point, count)``.
    """

    operator: LinearOperator | None
    function: ProxFunction
    shape: Shape
    leading: bool = False

    def points(self, x: Tensor) -> Tensor:
        """The points, of shape ``(count, *point)``, of an argument."""
        y = (x if self.operator is None else self.operator.forward(x)).reshape(self.shape)
        return y.movedim(-1, 0) if self.leading else y

    def value(self, x: Tensor) -> Tensor:
        """The value of the atom, of no dimension."""
        return self.function.value(self.points(x)).sum()


def grouped(
    shape: Shape, axes: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
) -> tuple[LinearOperator | None, Shape, bool]:
    """How a tensor reads as points over some axes: the `operator`, `shape` and `leading` of a `ProxForm`."""
    ndim = len(shape)
    own = [axis % ndim for axis in axes]
    kept = [axis for axis in range(ndim) if axis not in own]
    size, count = math.prod(shape[a] for a in own), math.prod(shape[a] for a in kept)
    if own == list(range(ndim - len(own), ndim)):
        return None, (count, size), False
    if own == list(range(len(own))):
        return None, (size, count), True
    positions = torch.arange(math.prod(shape), device=device).reshape(shape)
    index = positions.permute(*kept, *own).reshape(count, size).contiguous()
    return Gather(index, shape, dtype), (count, size), False


class FunctionAtom(AtomWithData):
    """A scalar function of one expression that has a proximal operator.

    ``args[0]`` is the expression, ``args[1:]`` are data: constants, or expressions of parameters. NABLA_ADMM
    uses `prox_form`.
    """

    convex: bool = True
    """Whether the function is convex, and known to be."""

    @abc.abstractmethod
    def prox_form(self, data: Sequence[Tensor], dtype: torch.dtype, device: torch.device | str) -> ProxForm:
        """The function in terms of a prox function.

        Parameters
        ----------
        data : sequence of Tensor
            One tensor for each of ``args[1:]``, of its shape; gradients flow through it.
        dtype, device
            Type and place of the argument, which is real: CVXPY's reduction of complex numbers puts another
            atom, of real and imaginary parts, into the place of this one.
        """

    def shape_from_args(self) -> Shape:
        """A number."""
        return ()

    def sign_from_args(self) -> tuple[bool, bool]:
        """Nonnegative."""
        return True, False

    def is_atom_convex(self) -> bool:
        """Whether the function is convex, and known to be."""
        return self.convex

    def is_atom_concave(self) -> bool:
        """Never."""
        return False

    def is_incr(self, idx: int) -> bool:
        """Not known to be monotone."""
        return False

    def is_decr(self, idx: int) -> bool:
        """Not known to be monotone."""
        return False

    def numeric(self, values: Sequence[Any]) -> Any:
        """The value in double precision."""
        x, *data = to_tensors(self.args, values)
        with torch.no_grad():
            return np.asarray(self.prox_form(data, x.dtype, x.device).value(x).numpy())

    def _grad(self, values: Sequence[Any]) -> list[Any]:
        x, *data = to_tensors(self.args, values)
        if x.is_complex():  # CVXPY has gradients of real expressions only
            return [None for _ in self.args]
        x.requires_grad_(True)
        value = self.prox_form(data, x.dtype, x.device).value(x)
        if not bool(value.isfinite()):
            return [None for _ in self.args]
        (slope,) = torch.autograd.grad(value, x)
        column = sp.csc_array(slope.numpy().reshape(-1, 1, order="F"))
        return [column, *(sp.csc_array((d.size, 1)) if d.size > 1 else 0.0 for d in self.args[1:])]

    def graph_implementation(self, arg_objs: Any, shape: Shape, data: Any = None) -> NoReturn:
        """Refuse: this is not an affine atom.

        Raises
        ------
        cvxpy.error.SolverError
            Naming the solver that takes the atom.
        """
        raise SolverError(f'`{self.name()}` has no cone form; use solver="NABLA_ADMM".')


class ConvexAtom(FunctionAtom):
    """A convex function that has a cone form too, so that every conic solver takes it."""

    cones: ClassVar[tuple[type, ...]] = ()
    """The cones of that form."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        CONE_FORMS[cls] = cone_form_of
        for cone in cls.cones:
            ATOMS_OF_CONE[cone].append(cls)

    @abc.abstractmethod
    def cone_form(self, args: list[Expression]) -> Canonical:
        """An affine expression of new variables, and constraints, whose minimum over these is the function.

        `args` are affine expressions in the places of ``self.args``.
        """


def cone_form_of(
    expr: ConvexAtom, args: list[Expression], solver_context: SolverInfo | None = None
) -> Canonical:
    """The cone form of an atom, as CVXPY's reduction asks for it."""
    return expr.cone_form(args)


class NonConvexAtom(FunctionAtom):
    """A function that is not convex. Problems with it are not DCP; NABLA_ADMM looks for a local solution."""

    convex = False

    def _grad(self, values: Sequence[Any]) -> list[Any]:
        return [None for _ in self.args]


class IndicatorAtom(NonConvexAtom):
    """The indicator of a set that is not convex: 0 on the set, infinite elsewhere."""

    def numeric(self, values: Sequence[Any]) -> Any:
        """0 for a value that is up to rounding (1e-6, relative) in the set, else infinity."""
        x, *data = to_tensors(self.args, values)
        with torch.no_grad():
            form = self.prox_form(data, x.dtype, x.device)
            points = form.points(x)
            distance = (points - form.function.prox(points, 1.0)).abs()
            # A set may be nearest in several places; any of them has the same distance.
            inside = (
                bool((distance <= TOLERANCE * (1 + points.abs().max())).all()) if points.numel() else True
            )
        return np.asarray(0.0 if inside else np.inf)
