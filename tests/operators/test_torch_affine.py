"""Affine expressions in torch against CVXPY's own values."""

from __future__ import annotations

import math
import zlib

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from cvxpy.atoms.affine.affine_atom import AffAtom
from torch.testing import assert_close

from cvxprox.errors import ReductionError
from cvxprox.operators import SparseMatrix, as_sparse
from cvxprox.reductions.torch_operator import torch_operator
from cvxprox.reductions.torch_operator_affine import AffineFunction, compile_affine
from cvxprox.reductions.torch_operator_linear import Linearity, linearity
from tests.operators.affine_cases import ALL, CASES, NOT_AFFINE, Case, concrete_affine_atoms, instance, modes

pytestmark = pytest.mark.filterwarnings("ignore:conv is deprecated")
every = pytest.mark.parametrize(("c", "mode"), [(c, m) for c in ALL for m in modes(c)], ids=str)


def make(c: Case, mode: str) -> tuple[cp.Expression, AffineFunction]:
    expr = instance(c, np.random.default_rng(zlib.crc32(f"{c}{mode}".encode())), mode)
    return expr, compile_affine(expr)


def test_every_affine_atom_has_a_case() -> None:
    atoms = concrete_affine_atoms()
    assert len(atoms) > 30
    assert not atoms - set(CASES) - NOT_AFFINE, "affine atoms of CVXPY without a case"
    for atom, cases in CASES.items():
        seen = {type(node) for c in cases for node in nodes(make(c, "real")[0])}
        assert any(issubclass(kind, atom) for kind in seen), f"the cases of {atom.__name__} do not use it"
        assert torch_operator.dispatch(atom) is not torch_operator.dispatch(object)
        assert linearity.dispatch(atom) is not linearity.dispatch(object)


def nodes(expr: cp.Expression) -> list[cp.Expression]:
    return [expr, *(node for arg in expr.args for node in nodes(arg))]


def value_of(expr: cp.Expression) -> torch.Tensor:
    """CVXPY's value, every node on dense arguments and in its own shape.

    `.value` alone fails for stacks of sparse constants, broadcast sparse constants, and what
    contains `upper_tri`.
    """
    return torch.from_numpy(np.array(dense_value(expr)))


def dense_value(expr: cp.Expression) -> np.ndarray:
    if 0 in expr.shape:
        return np.zeros(expr.shape)
    value = expr.numeric([dense_value(arg) for arg in expr.args]) if expr.args else expr.value
    return (value.toarray() if sp.issparse(value) else np.asarray(value)).reshape(expr.shape)


def point(f: AffineFunction) -> dict[cp.Variable, torch.Tensor]:
    return {v: torch.as_tensor(np.array(v.value)) for v in f.variables}


@every
def test_value(c: Case, mode: str) -> None:
    expr, f = make(c, mode)
    assert expr.is_affine()
    actual = f(point(f))
    expected = value_of(expr)
    assert tuple(actual.shape) == expr.shape
    assert_close(actual, expected.to(actual.dtype))
    assert actual.is_complex() or not expected.is_complex()


@every
def test_batches(c: Case, mode: str) -> None:
    expr, f = make(c, mode)
    points = [{v: scale * x for v, x in point(f).items()} for scale in (1.0, -0.5, 3.0)]
    batched = {v: torch.stack([p[v] for p in points]) for v in f.variables}
    expected = torch.stack([f(p) for p in points])
    assert_close(f(batched).expand(expected.shape), expected)
    # Some variables batched, twice over, and some not.
    mixed = dict(point(f))
    first = f.variables[0]
    mixed[first] = batched[first][:, None]
    single = [f({**point(f), first: p[first]}) for p in points]
    assert_close(f(mixed).expand(3, 1, *expr.shape), torch.stack(single)[:, None])


@every
def test_operator_and_offset(c: Case, mode: str) -> None:
    expr, f = make(c, mode)
    x = point(f)
    K = f.operator()
    stacked = torch.cat([x[v].reshape(-1).to(K.dtype_in) for v in f.variables])
    assert_close(K(stacked) + f.offset, f(x), check_dtype=False)
    parts = [f.operator(v)(x[v]) for v in f.variables]
    assert_close(sum(parts) + f.offset, f(x), check_dtype=False)
    assert K.shape_in == (sum(v.size for v in f.variables),) and K.shape_out == expr.shape
    for v in f.variables:
        x[v] = torch.zeros_like(x[v])
    assert_close(f.offset, f(x))
    assert_close(K(0 * stacked), torch.zeros_like(K(stacked)))


@every
def test_adjoint(c: Case, mode: str) -> None:
    _, f = make(c, mode)
    generator = torch.Generator().manual_seed(0)
    for K in (f.operator(), *(f.operator(v) for v in f.variables)):
        x = torch.randn((2, *K.shape_in), generator=generator, dtype=K.dtype_in)
        y = torch.randn((2, *K.shape_out), generator=generator, dtype=K.dtype_out)
        forward, back = (K(x).conj() * y).sum().real, (x.conj() * K.adjoint(y)).sum().real
        assert_close(forward, back)


@every
def test_matrix(c: Case, mode: str) -> None:
    """The matrix against differences of CVXPY's values, one unit vector at a time."""
    expr, f = make(c, mode)
    if 0 in expr.shape:
        assert as_sparse(f.operator()).shape[0] == 0
        return
    for v in f.variables:
        v.value = np.zeros(v.shape)
    base = value_of(expr)
    for v in f.variables:
        K = f.operator(v)
        columns = []
        for j in range(v.size):
            v.value = np.eye(v.size)[j].reshape(v.shape)
            columns.append((value_of(expr) - base).reshape(-1).to(K.dtype_out))
        v.value = np.zeros(v.shape)
        expected = torch.stack(columns, dim=1)
        if K.dtype_in.is_complex and conjugates(expr):
            with pytest.raises(ValueError, match="only over the reals"):
                as_sparse(K)
        else:
            assert_close(torch.from_numpy(as_sparse(K).toarray()), expected)


def conjugates(expr: cp.Expression) -> bool:
    kinds = ("real", "imag", "conj")
    return any(type(node).__name__ in kinds and node.variables() for node in nodes(expr))


@pytest.mark.parametrize("c", ALL, ids=str)
def test_gradients_reach_parameters(c: Case) -> None:
    expr, f = make(c, "parameter")
    x = point(f)
    ps = expr.parameters()
    tensors = [torch.tensor(np.array(p.value), requires_grad=True) for p in ps]

    def bound(*values: torch.Tensor) -> AffineFunction:
        return f.bind(dict(zip(ps, values, strict=True)))

    if 0 in expr.shape:
        return
    assert_close(bound(*tensors)(x), f(x))
    assert torch.autograd.gradcheck(lambda *values: bound(*values)(x), tensors)
    y = torch.randn(expr.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    adjoint = bound(*tensors).operator().adjoint(y)
    if adjoint.requires_grad:
        assert torch.autograd.gradcheck(lambda *values: bound(*values).operator().adjoint(y), tensors)
    # A batch of parameters is a batch of functions.
    batched = bound(*(torch.stack([t.detach(), 2 * t.detach()]) for t in tensors))
    single = torch.stack([bound(*tensors)(x), bound(*(2 * t for t in tensors))(x)]).detach()
    assert_close(batched(x).expand(single.shape), single)


def test_parameters_are_read_when_evaluated_and_checked() -> None:
    x, p = cp.Variable(2, name="x"), cp.Parameter(2, name="p")
    f = compile_affine(cp.multiply(p, x) + 1)
    one = torch.ones(2, dtype=torch.float64)
    with pytest.raises(ValueError, match="`p` has no value"):
        f({x: one})
    p.value = np.array([2.0, 3.0])
    assert_close(f({x: one}), torch.tensor([3.0, 4.0]).double())
    p.value = np.array([0.0, 1.0])
    assert_close(f({x: one}), torch.tensor([1.0, 2.0]).double())
    with pytest.raises(ValueError, match="`p` has shape"):
        f.bind({p: torch.ones(3, dtype=torch.float64)})
    with pytest.raises(ValueError, match="float32"):
        f.bind({p: torch.ones(2)})
    with pytest.raises(ValueError, match="not a parameter"):
        f.bind({cp.Parameter(name="q"): torch.ones(())})
    with pytest.raises(ValueError, match="no tensor was given for the variable `x`"):
        f({})
    with pytest.raises(ValueError, match="leading batch"):
        f({x: torch.ones(2, 3, dtype=torch.float64)})
    with pytest.raises(ValueError, match="not a variable"):
        f.operator(cp.Variable())


def test_other_precision() -> None:
    x, p = cp.Variable((3, 2)), cp.Parameter(value=2.0)
    A = sp.random_array((4, 3), density=0.5, rng=np.random.default_rng(0))
    f = compile_affine(p * (A @ x) + 1).to(dtype=torch.float32)
    assert f({x: torch.ones(3, 2)}).dtype == torch.float32
    assert f.operator(x).adjoint(torch.ones(4, 2)).dtype == torch.float32


def test_sparse_constants_stay_sparse() -> None:
    n = 30_000  # dense, any of these matrices takes 7 GB
    D = sp.diags_array([1.0, -1.0], offsets=[0, 1], shape=(n, n))
    x = cp.Variable(n)
    weights = np.linspace(1, 2, n)
    expr = cp.diag(weights) @ ((2 * D.T - cp.Constant(D) / 3).T[::2].T @ cp.Constant(D)[::2] @ x)
    f = compile_affine(expr)
    assert any(isinstance(value, SparseMatrix) for value in (f.constants or {}).values())
    v = np.random.default_rng(0).standard_normal(n)
    M = (2 * D.T - D / 3).T.tocsr()[::2].T @ D.tocsr()[::2]
    assert_close(f({x: torch.from_numpy(v)}), torch.from_numpy(weights * (M @ v)))


def test_nonlinear_functions_of_parameters_raise_or_work() -> None:
    x, p = cp.Variable(2), cp.Parameter(2, value=[2.0, 3.0])
    f = compile_affine(cp.multiply(cp.power(p, 2), x) + cp.cumprod(p))
    assert_close(f({x: torch.ones(2).double()}), torch.tensor([6.0, 15.0]).double())
    with pytest.raises(ReductionError, match=r"`entr` in the expression.*register"):
        compile_affine(cp.multiply(cp.entr(p), x))


def test_expressions_that_are_not_affine_name_the_term() -> None:
    x = cp.Variable(2, name="x")
    with pytest.raises(ReductionError, match=r"convex, not affine because of the term `exp\(x\)`"):
        compile_affine(1 + cp.sum(cp.exp(x)))
    with pytest.raises(ReductionError, match="convex, not affine"):
        compile_affine(cp.exp(x))


class AddOne(AffAtom):
    """An affine atom with an offset of its own."""

    def numeric(self, values: list[np.ndarray]) -> np.ndarray:
        return 2 * values[0] + 1

    def shape_from_args(self) -> tuple[int, ...]:
        return self.args[0].shape


def test_custom_atoms_are_registered_in_one_place() -> None:
    x = cp.Variable(3)
    with pytest.raises(ReductionError, match="`AddOne`"):
        compile_affine(AddOne(x))
    torch_operator.register(AddOne)(lambda atom: lambda x: 2 * x + 1)
    f = compile_affine(AddOne(x + 1))
    v = torch.arange(3.0).double()
    assert_close(f({x: v}), 2 * v + 3)
    assert linearity(AddOne(x)) is Linearity.UNKNOWN
    assert_close(f.operator(x)(v), 2 * v)
    assert_close(f.offset, torch.full((3,), 3.0).double())
    assert_close(f.operator(x).adjoint(v), 2 * v)


def test_an_expression_without_variables() -> None:
    p = cp.Parameter((2, 2), value=np.eye(2))
    f = compile_affine(cp.Constant(sp.eye_array(2)) @ p)
    assert f.variables == () and f.parameters == {}
    assert_close(f({}), torch.eye(2).double())
    assert_close(compile_affine(cp.Constant(sp.eye_array(2)) * 2).offset, 2 * torch.eye(2).double())


def test_mixed_real_and_complex_variables_stack() -> None:
    x, z = cp.Variable(2), cp.Variable(2, complex=True)
    K = compile_affine(cp.real(z) + x).operator()
    v = torch.tensor([1 + 5j, 2 + 5j, 3 + 1j, 4 + 1j], dtype=torch.complex128)
    assert_close(K(v), torch.tensor([4.0, 6.0]).double())
    assert_close(K.adjoint(torch.ones(2).double()), torch.ones(4, dtype=torch.complex128))


def test_hermitian_and_imaginary_variables() -> None:
    H, z = cp.Variable((2, 2), hermitian=True), cp.Variable((2, 2), imag=True)
    H.value = np.array([[1.0, 2 - 1j], [2 + 1j, 3]])
    z.value = 1j * np.eye(2)
    expr = cp.trace(H @ (1j * np.ones((2, 2)))) + cp.sum(z)
    f = compile_affine(expr)
    assert_close(f(point(f)), torch.tensor(expr.value))


def test_the_adjoint_of_a_large_tree_is_kept() -> None:
    x = cp.Variable((64, 64))
    f = compile_affine(cp.vstack([cp.vec(cp.diff(x, axis=a), order="F") for a in (0, 1)]))
    K = f.operator(x)
    y = torch.ones(K.shape_out, dtype=torch.float64)
    with torch.no_grad():
        first = K.adjoint(y)
        kept = K._vjp.out
        assert_close(K.adjoint(2 * y), 2 * first)
    assert K._vjp.out is kept
    assert math.prod(K.shape_out) == 2 * 63 * 64
