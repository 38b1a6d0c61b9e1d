"""Affine atoms of CVXPY, each with expressions that exercise it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from cvxpy.atoms.affine.add_expr import AddExpression
from cvxpy.atoms.affine.affine_atom import AffAtom
from cvxpy.atoms.affine.binary_operators import BinaryOperator, DivExpression, MulExpression, multiply
from cvxpy.atoms.affine.broadcast_to import broadcast_to
from cvxpy.atoms.affine.concatenate import Concatenate
from cvxpy.atoms.affine.conj import conj
from cvxpy.atoms.affine.conv import conv, convolve
from cvxpy.atoms.affine.cumsum import cumsum
from cvxpy.atoms.affine.diag import diag_mat, diag_vec
from cvxpy.atoms.affine.hstack import Hstack
from cvxpy.atoms.affine.imag import imag
from cvxpy.atoms.affine.index import index, special_index
from cvxpy.atoms.affine.kron import kron
from cvxpy.atoms.affine.promote import Promote
from cvxpy.atoms.affine.real import real
from cvxpy.atoms.affine.reshape import reshape
from cvxpy.atoms.affine.sum import Sum
from cvxpy.atoms.affine.trace import Trace
from cvxpy.atoms.affine.transpose import transpose
from cvxpy.atoms.affine.unary_operators import NegExpression, UnaryOperator
from cvxpy.atoms.affine.upper_tri import upper_tri
from cvxpy.atoms.affine.vstack import Vstack
from cvxpy.atoms.affine.wraps import (
    Wrap,
    hermitian_wrap,
    nonneg_wrap,
    nonpos_wrap,
    nsd_wrap,
    psd_wrap,
    skew_symmetric_wrap,
    symmetric_wrap,
)
from cvxpy.atoms.cumprod import cumprod
from cvxpy.atoms.elementwise.power import Power

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """An expression built from arguments that vary, then from arguments that do not.

    `build` is called with expressions of the shapes `moving` and `fixed`.
    """

    name: str
    build: Callable[..., cp.Expression]
    moving: tuple[Shape, ...]
    fixed: tuple[Shape, ...] = ()
    real_only: bool = False
    atom: type | None = None

    def __str__(self) -> str:
        return f"{self.atom.__name__ if self.atom else 'tree'}: {self.name}"


def case(
    name: str, build: Callable[..., cp.Expression], *moving: Shape, fixed: tuple[Shape, ...] = ()
) -> Case:
    return Case(name, build, moving, fixed)


def real_case(name: str, build: Callable[..., cp.Expression], *moving: Shape) -> Case:
    return Case(name, build, moving, real_only=True)


ABSTRACT = {BinaryOperator, UnaryOperator}
NOT_AFFINE = {cumprod}

CASES: dict[type, list[Case]] = {
    AddExpression: [
        case("two", lambda x, y: x + y, (2, 3), (2, 3)),
        case("constant", lambda x, c: x + c, (2, 3), fixed=((2, 3),)),
        case("twice the same", lambda x: x + x, (3,)),
        case("broadcast", lambda x, y: x + y, (2, 1), (3,)),
        case("broadcast constant", lambda x, c: c + x, (3,), fixed=((2, 3),)),
        case("scalar", lambda x, y, c: x + y + c, (), (4,), fixed=((),)),
        case("3-d", lambda x, y: x + y, (2, 3, 2), (3, 1)),
        case("difference of many", lambda x, y, c: x - y - c + x, (2,), (2,), fixed=((2,),)),
    ],
    NegExpression: [case("matrix", lambda x: -x, (2, 3)), case("0-d", lambda x: -x, ())],
    multiply: [
        case("left", lambda x, c: cp.multiply(c, x), (2, 3), fixed=((2, 3),)),
        case("right", lambda x, c: cp.multiply(x, c), (2, 3), fixed=((2, 3),)),
        case("broadcast", lambda x, c: cp.multiply(c, x), (3,), fixed=((2, 1),)),
        case("scalar variable", lambda x, c: c * x, (), fixed=((2, 3),)),
        case("3-d", lambda x, c: cp.multiply(c, x), (2, 3, 2), fixed=((3, 2),)),
    ],
    DivExpression: [
        case("scalar", lambda x, c: x / c, (2, 3), fixed=((),)),
        case("elementwise", lambda x, c: x / c, (2, 3), fixed=((2, 3),)),
        case("broadcast", lambda x, c: x / c, (2, 3), fixed=((3,),)),
        case("0-d", lambda x, c: x / c, (), fixed=((),)),
    ],
    MulExpression: [
        case("matrix @ matrix", lambda x, c: c @ x, (3, 2), fixed=((4, 3),)),
        case("matrix @ vector", lambda x, c: c @ x, (3,), fixed=((4, 3),)),
        case("vector @ matrix", lambda x, c: x @ c, (3,), fixed=((3, 4),)),
        case("vector @ variable", lambda x, c: c @ x, (3, 2), fixed=((3,),)),
        case("variable @ vector", lambda x, c: x @ c, (2, 3), fixed=((3,),)),
        case("right matrix", lambda x, c: x @ c, (2, 3), fixed=((3, 4),)),
        case("both sides", lambda x, c, d: c @ x @ d, (3, 2), fixed=((4, 3), (2, 5))),
        case("dot", lambda x, c: x @ c, (3,), fixed=((3,),)),
        case("outer", lambda x, c: cp.outer(c, x), (3,), fixed=((2,),)),
        case("sizes one", lambda x, c: c @ x, (1, 1), fixed=((1, 1),)),
        case("batched both", lambda x, c: c @ x, (2, 3, 2), fixed=((2, 4, 3),)),
        case("batched variable", lambda x, c: c @ x, (2, 3, 2), fixed=((4, 3),)),
        case("batched constant", lambda x, c: c @ x, (3, 2), fixed=((2, 4, 3),)),
        case("batched @ vector", lambda x, c: x @ c, (2, 4, 3), fixed=((3,),)),
        case("vector @ batched", lambda x, c: c @ x, (2, 3, 4), fixed=((3,),)),
        case("4-d", lambda x, c: x @ c, (2, 1, 2, 3), fixed=((2, 3, 1),)),
        case("raw atom with 1-d", lambda x, c: MulExpression(x, c), (2, 4, 3), fixed=((3,),)),
    ],
    Sum: [
        case("all", lambda x: cp.sum(x), (2, 3)),
        case("axis 0", lambda x: cp.sum(x, axis=0), (2, 3)),
        case("axis 1 kept", lambda x: cp.sum(x, axis=1, keepdims=True), (2, 3)),
        case("all kept", lambda x: cp.sum(x, keepdims=True), (2, 3)),
        case("negative axis", lambda x: cp.sum(x, axis=-2), (2, 3, 4)),
        case("axes", lambda x: cp.sum(x, axis=(0, 2)), (2, 3, 4)),
        case("axes kept", lambda x: cp.sum(x, axis=(0, -1), keepdims=True), (2, 3, 4)),
        case("0-d", lambda x: cp.sum(x), ()),
        case("0-d with axis", lambda x: cp.sum(x, axis=0), ()),
        case("no axes", lambda x: Sum(x, axis=()), (2, 3)),
    ],
    Trace: [
        case("matrix", cp.trace, (3, 3)),
        case("3-d", cp.trace, (2, 3, 3)),
        case("one", cp.trace, (1, 1)),
    ],
    cumsum: [
        case("vector", cp.cumsum, (4,)),
        case("axis 1", lambda x: cp.cumsum(x, axis=1), (2, 3)),
        case("axis -1 of 3-d", lambda x: cp.cumsum(x, axis=-1), (2, 3, 2)),
        case("flattened", lambda x: cp.cumsum(x, axis=None), (2, 3)),
        case("0-d flattened", lambda x: cp.cumsum(x, axis=None), ()),
    ],
    real: [case("matrix", cp.real, (2, 3))],
    imag: [case("matrix", cp.imag, (2, 3))],
    conj: [case("matrix", cp.conj, (2, 3)), case("adjoint", lambda x: cp.conj(x).T + x.H, (2, 3))],
    Wrap: [case("plain", Wrap, (2, 2))],
    nonneg_wrap: [case("plain", nonneg_wrap, (2,))],
    nonpos_wrap: [case("plain", nonpos_wrap, (2,))],
    psd_wrap: [case("plain", psd_wrap, (2, 2))],
    nsd_wrap: [case("plain", nsd_wrap, (2, 2))],
    symmetric_wrap: [real_case("plain", symmetric_wrap, (2, 2))],
    hermitian_wrap: [case("plain", hermitian_wrap, (2, 2))],
    skew_symmetric_wrap: [real_case("plain", skew_symmetric_wrap, (2, 2))],
    reshape: [
        case("F", lambda x: cp.reshape(x, (3, 2), order="F"), (2, 3)),
        case("C", lambda x: cp.reshape(x, (3, 2), order="C"), (2, 3)),
        case("F to 3-d", lambda x: cp.reshape(x, (2, 2, 3), order="F"), (4, 3)),
        case("C from 3-d", lambda x: cp.reshape(x, (4, 3), order="C"), (2, 2, 3)),
        case("inferred", lambda x: cp.reshape(x, (-1, 2), order="F"), (3, 4)),
        case("0-d to 2-d", lambda x: cp.reshape(x, (1, 1), order="F"), ()),
        case("to 0-d", lambda x: cp.reshape(x, (), order="F"), (1, 1)),
        case("vec F", lambda x: cp.vec(x, order="F"), (2, 3)),
        case("vec C", lambda x: cp.vec(x, order="C"), (2, 3)),
        case("flatten", lambda x: x.flatten(order="F"), (2, 3, 2)),
        case("squeeze", lambda x: cp.squeeze(x, axis=1), (2, 1, 3)),
        case("no entries", lambda x: cp.reshape(x, (3, 0), order="F"), (0, 2)),
    ],
    transpose: [
        case("matrix", lambda x: x.T, (2, 3)),
        case("vector", lambda x: x.T, (3,)),
        case("3-d", lambda x: x.T, (2, 3, 4)),
        case("permuted", lambda x: cp.permute_dims(x, (1, 2, 0)), (2, 3, 4)),
        case("negative axes", lambda x: cp.transpose(x, (-1, 0, 1)), (2, 3, 4)),
        case("swapped", lambda x: cp.swapaxes(x, 0, -1), (2, 3, 4)),
        case("moved", lambda x: cp.moveaxis(x, 0, 2), (2, 3, 4)),
    ],
    Promote: [
        case("to matrix", lambda x: Promote(x, (2, 3)), ()),
        case("from size one", lambda x: Promote(x, (2, 3)), (1, 1)),
        case("size-one vector", lambda x: Promote(x, (3,)), (1,)),
    ],
    broadcast_to: [
        case("row", lambda x: cp.broadcast_to(x, (2, 3)), (3,)),
        case("column to 3-d", lambda x: cp.broadcast_to(x, (2, 3, 4)), (3, 1)),
        case("0-d", lambda x: cp.broadcast_to(x, (2,)), ()),
    ],
    index: [
        case("entry", lambda x: x[1, 2], (2, 3)),
        case("row", lambda x: x[1], (2, 3)),
        case("negative", lambda x: x[-1, 0:2], (2, 3)),
        case("slices", lambda x: x[0:2, ::2], (3, 5)),
        case("negative step", lambda x: x[::-1, 3:0:-2], (3, 5)),
        case("reversed vector", lambda x: x[::-1], (4,)),
        case("step to the start", lambda x: x[2::-1], (4,)),
        case("size-one slice kept", lambda x: x[1:2, :], (3, 2)),
        case("past the end", lambda x: x[1:99], (3,)),
        case("3-d", lambda x: x[:, 1, ::-1], (2, 3, 4)),
        case("nothing", lambda x: x[2:2], (3,)),
        case("numpy integers", lambda x: x[np.int64(1), np.int32(0)], (2, 3)),
        case("differences", lambda x: cp.diff(x, k=2, axis=1), (2, 4)),
        case("differences of 3-d", lambda x: cp.diff(x, axis=-1), (2, 3, 4)),
    ],
    special_index: [
        case("list", lambda x: x[[2, 0, 2]], (3, 2)),
        case("mask", lambda x: x[np.array([[True, False, True], [False, True, True]])], (2, 3)),
        case("row mask", lambda x: x[np.array([True, False, True])], (3, 2)),
        case("pairs", lambda x: x[np.array([0, 1]), np.array([2, 0])], (2, 3)),
        case("outer", lambda x: x[np.ix_([1, 0], [2, 2])], (2, 3)),
        case("2-d positions", lambda x: x[np.array([[0, 1], [2, 0]])], (3,)),
        case("with a slice", lambda x: x[[1, 0], ::-1], (2, 3)),
        case("newaxis", lambda x: x[:, None, ::-1], (2, 3)),
        case("leading newaxis", lambda x: x[None], (2, 3)),
        case("ellipsis", lambda x: x[..., 1], (2, 3, 4)),
        case("no entry", lambda x: x[np.zeros(3, dtype=bool)], (3,)),
    ],
    upper_tri: [
        case("matrix", cp.upper_tri, (4, 4)),
        case("3-d", cp.upper_tri, (2, 3, 3)),
        case("back", lambda x: cp.vec_to_upper_tri(x, strict=True), (6,)),
        case("in a tree", lambda x: cp.sum(cp.upper_tri(x), axis=1), (3, 3)),
    ],
    diag_vec: [
        case("main", lambda x: cp.diag(x), (3,)),
        case("above", lambda x: cp.diag(x, k=1), (3,)),
        case("below", lambda x: cp.diag(x, k=-2), (2,)),
    ],
    diag_mat: [
        case("main", lambda x: cp.diag(x), (3, 3)),
        case("above", lambda x: cp.diag(x, k=1), (3, 3)),
        case("below", lambda x: cp.diag(x, k=-2), (3, 3)),
    ],
    Hstack: [
        case("matrices", lambda x, y: cp.hstack([x, y]), (2, 3), (2, 1)),
        case("vectors and scalars", lambda x, y, c: cp.hstack([x, y, c]), (3,), (), fixed=((2,),)),
        case("constant", lambda x, c: cp.hstack([c, x]), (2, 3), fixed=((2, 2),)),
        case("3-d", lambda x, y: cp.hstack([x, y]), (2, 3, 2), (2, 1, 2)),
        case("blocks", lambda x, y, c: cp.bmat([[x, c], [y, x]]), (2, 2), (2, 2), fixed=((2, 2),)),
        case("mixed blocks", lambda x, y, c: cp.bmat([[x, y], [c, x]]), (), (2,), fixed=((2,),)),
    ],
    Vstack: [
        case("matrices", lambda x, y: cp.vstack([x, y]), (2, 3), (1, 3)),
        case("vectors", lambda x, y, c: cp.vstack([x, y, c]), (3,), (3,), fixed=((3,),)),
        case("scalars", lambda x, y: cp.vstack([x, y]), (), ()),
        case("matrix and vector", lambda x, c: cp.vstack([x, c]), (2, 3), fixed=((3,),)),
        case("3-d", lambda x, y: cp.vstack([x, y]), (2, 3, 2), (1, 3, 2)),
    ],
    Concatenate: [
        case("axis 0", lambda x, y: cp.concatenate([x, y], axis=0), (2, 3), (1, 3)),
        case("axis 1 constant", lambda x, c: cp.concatenate([c, x], axis=1), (2, 3), fixed=((2, 1),)),
        case("3-d", lambda x, y: cp.concatenate([x, y], axis=2), (2, 3, 1), (2, 3, 2)),
        case("flattened", lambda x, y: cp.concatenate([x, y], axis=None), (2, 3), (2,)),
        case("stack", lambda x, y: cp.stack([x, y], axis=1), (2, 3), (2, 3)),
        case("stack last", lambda x, c: cp.stack([c, x], axis=-1), (3,), fixed=((3,),)),
    ],
    kron: [
        case("left", lambda x, c: cp.kron(c, x), (2, 3), fixed=((3, 2),)),
        case("right", lambda x, c: cp.kron(x, c), (2, 3), fixed=((3, 2),)),
        case("one", lambda x, c: cp.kron(x, c), (1, 1), fixed=((1, 2),)),
    ],
    conv: [
        case("vectors", lambda x, c: cp.conv(c, x), (4,), fixed=((3,),)),
        case("columns", lambda x, c: cp.conv(c, x), (4, 1), fixed=((3, 1),)),
        case("column and vector", lambda x, c: cp.conv(c, x), (4,), fixed=((2, 1),)),
        case("longer kernel", lambda x, c: cp.conv(c, x), (2,), fixed=((5,),)),
    ],
    convolve: [
        case("vectors", lambda x, c: cp.convolve(c, x), (4,), fixed=((3,),)),
        case("one tap", lambda x, c: cp.convolve(c, x), (4,), fixed=((1,),)),
        case("scalar kernel", lambda x, c: cp.convolve(c, x), (4,), fixed=((),)),
    ],
    Power: [
        real_case("one", lambda x: cp.power(x, 1), (2, 3)),
        real_case("zero", lambda x, y: y + x**0, (2, 3), (2, 3)),
    ],
}
for _atom, _cases in CASES.items():
    CASES[_atom] = [Case(c.name, c.build, c.moving, c.fixed, c.real_only, _atom) for c in _cases]

TREES: list[Case] = [
    case("mean", lambda x: cp.mean(x, axis=0), (3, 2)),
    case("matrix inner product", lambda x, c: cp.trace(c.T @ x), (3, 2), fixed=((3, 2),)),
    case("scalar product", lambda x, c: cp.scalar_product(c, x), (3, 2), fixed=((3, 2),)),
    case("einsum", lambda x, c: cp.einsum("ij,jk->ki", c, x), (3, 2), fixed=((4, 3),)),
    case("partial trace", lambda x: cp.partial_trace(x, (2, 3), axis=1), (6, 6)),
    case("partial transpose", lambda x: cp.partial_transpose(x, (2, 2), axis=0), (4, 4)),
    case("symmetric partial trace", lambda x: cp.partial_trace(x + x.T, (2, 2), axis=0), (4, 4)),
    case("shared", lambda x, c: (c @ x) + cp.sum(c @ x), (3,), fixed=((2, 3),)),
    case("weights on constants", lambda x, c, d: (2 * c.T / 3 - d) @ x, (3,), fixed=((3, 2), (2, 3))),
    case("stacked constants", lambda x, c, d: cp.vstack([c, d]) @ x, (3,), fixed=((2, 3), (2, 3))),
    case("diagonal weights", lambda x, c: cp.diag(c) @ x, (3,), fixed=((3,),)),
    case("kronecker of constants", lambda x, c: cp.kron(c, np.eye(2)) @ x, (4,), fixed=((3, 2),)),
    case(
        "offsets", lambda x, y, c: 3 * (x + c) - cp.vstack([y, c[0]])[::-1] + 1, (2, 2), (2,), fixed=((2, 2),)
    ),
    case("zero weight", lambda x, c: c + 0 * cp.sum(x), (1,), fixed=((2, 3),)),
]
ALL = [c for cases in CASES.values() for c in cases] + TREES


def concrete_affine_atoms() -> set[type]:
    """Every affine atom of CVXPY, by walking the class tree."""

    def below(kind: type) -> set[type]:
        return set().union(*({sub} | below(sub) for sub in kind.__subclasses__()))

    return {atom for atom in below(AffAtom) if atom.__module__.startswith("cvxpy.")} - ABSTRACT


def leaf_value(rng: np.random.Generator, shape: Shape, complex_: bool) -> np.ndarray:
    """Entries away from zero, so that they can be divided by."""
    sign = rng.choice([-1.0, 1.0], size=shape)
    value = sign * rng.uniform(0.5, 2.0, size=shape)
    return value + 1j * rng.uniform(-1, 1, size=shape) if complex_ else value


def instance(c: Case, rng: np.random.Generator, mode: str) -> cp.Expression:
    """The expression of a case, with values on all its leaves.

    Modes: "real" and "complex" arguments and constants; "sparse" matrices for constants; "parameter":
    parameters for constants, and every argument an affine function of parameters and a variable.
    """
    complex_ = mode == "complex"
    moving = []
    for shape in c.moving:
        x = cp.Variable(shape, complex=complex_)
        x.value = leaf_value(rng, shape, complex_)
        if mode == "parameter":
            x = cp.multiply(parameter(rng, shape), x) - parameter(rng, shape)
        moving.append(x)
    fixed = []
    for shape in c.fixed:
        value = leaf_value(rng, shape, complex_)
        if mode == "parameter":
            fixed.append(parameter(rng, shape))
        elif mode == "sparse" and len(shape) == 2:
            keep = np.ones(shape, bool) if c.atom is DivExpression else rng.random(shape) < 0.7
            fixed.append(cp.Constant(sp.csc_array(value * keep)))
        else:
            fixed.append(cp.Constant(value))
    return c.build(*moving, *fixed)


def parameter(rng: np.random.Generator, shape: Shape) -> cp.Parameter:
    return cp.Parameter(shape, value=leaf_value(rng, shape, False))


def modes(c: Case) -> list[str]:
    """The modes that make sense for a case."""
    sparse = any(len(shape) == 2 for shape in c.fixed)
    return ["real", "parameter"] + ["complex"] * (not c.real_only) + ["sparse"] * sparse
