"""Atoms that apply a linear operator: values, matrices for other solvers, rules, copies."""

from __future__ import annotations

import copy
import pickle

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from cvxprox import atoms
from cvxprox.atoms.linear import LinearAtom
from cvxprox.reductions.torch_operator_affine import compile_affine
from tests.atoms.linear_cases import CASES, Case, linear_atoms, values

pytestmark = pytest.mark.filterwarnings("ignore:The problem has an expression with dimension greater than 2")
every = pytest.mark.parametrize("case", CASES, ids=str)


def tolerance(case: Case) -> float:
    return 1e-5 if "float32" in case.name else 1e-8


def test_every_linear_atom_has_a_case() -> None:
    assert linear_atoms() == {case.kind for case in CASES}


@every
def test_value(case: Case) -> None:
    for complex_ in [False] + [True] * case.complex_too:
        x = cp.Variable(case.shape, complex=complex_)
        atom = case.of(x)
        x.value = values(case.shape, complex_=complex_)
        expected = case.oracle(x.value, *case.data)
        assert atom.shape == expected.shape
        assert atom.is_complex() == np.iscomplexobj(expected)
        np.testing.assert_allclose(atom.value, expected, atol=tolerance(case))


@every
def test_value_in_torch(case: Case) -> None:
    x = cp.Variable(case.shape)
    f = compile_affine(case.of(x) + 0)
    points = torch.from_numpy(np.stack([values(case.shape, seed) for seed in range(3)]))
    expected = torch.from_numpy(np.stack([case.oracle(p, *case.data) for p in points.numpy()]))
    assert_close(f({x: points}), expected, atol=tolerance(case), rtol=0, check_dtype=False)
    K = f.operator(x)
    y = torch.randn((3, *K.shape_out), generator=torch.Generator().manual_seed(0), dtype=K.dtype_out)
    inner = (K(points).conj() * y).sum().real
    assert_close(
        (points.conj() * K.adjoint(y)).sum().real, inner, atol=tolerance(case) * 100, rtol=tolerance(case)
    )


@every
def test_operator_has_an_adjoint(case: Case) -> None:
    atom = case.of(cp.Variable(case.shape))
    data = [torch.from_numpy(d) for d in case.data]
    K = atom.operator(data, torch.float64, torch.device("cpu"))
    assert (K.shape_in, K.dtype_in) == (case.shape, torch.float64)
    assert K.shape_out == atom.shape and K.dtype_out.is_complex == atom.is_complex()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, *K.shape_in), generator=generator, dtype=K.dtype_in)
    y = torch.randn((2, *K.shape_out), generator=generator, dtype=K.dtype_out)
    back = K.adjoint(y)
    assert back.dtype == K.dtype_in
    assert_close(
        (K(x).conj() * y).sum().real, (x * back).sum(), atol=100 * tolerance(case), rtol=tolerance(case)
    )


def matrix(case: Case, complex_: bool) -> np.ndarray:
    """The real matrix, from the real and the imaginary parts of arguments to those of results, in C order."""
    size = int(np.prod(case.shape))
    units = [e.reshape(case.shape) for e in np.eye(size)]
    units += [1j * e for e in units] if complex_ else []
    columns = np.stack([case.oracle(e, *case.data).ravel() for e in units], axis=1)
    return np.concatenate([columns.real, columns.imag])


@every
def test_other_solvers_take_it(case: Case) -> None:
    for complex_ in [False] + [True] * case.complex_too:
        x = cp.Variable(case.shape, complex=complex_)
        atom = case.of(x)
        y = values(atom.shape, 1, atom.is_complex())
        problem = cp.Problem(cp.Minimize(cp.sum_squares(atom - y) + 0.1 * cp.sum_squares(x)))
        assert problem.is_dcp() and problem.is_dpp()
        problem.solve(solver=cp.CLARABEL)
        A = matrix(case, complex_)
        b = np.concatenate([np.real(y).ravel(), np.imag(y).ravel()])
        solution = np.linalg.solve(A.T @ A + 0.1 * np.eye(A.shape[1]), A.T @ b)
        found = np.concatenate([np.real(x.value).ravel(), np.imag(x.value).ravel()][: 1 + complex_])
        np.testing.assert_allclose(found, solution, atol=10 * tolerance(case))


@every
def test_gradient(case: Case) -> None:
    x = cp.Variable(case.shape)
    atom = case.of(x)
    x.value = values(case.shape)
    size = x.size
    columns = [
        case.oracle(e.reshape(case.shape, order="F"), *case.data).ravel(order="F") for e in np.eye(size)
    ]
    np.testing.assert_allclose(atom.grad[x].toarray(), np.stack(columns), atol=tolerance(case))


@every
def test_rules(case: Case) -> None:
    x = cp.Variable(case.shape)
    assert case.of(x).is_affine()
    assert not case.of(cp.square(x)).is_dcp()
    assert not case.of(cp.Variable(case.shape, nonneg=True)).is_nonneg()
    assert cp.sum_squares(cp.abs(case.of(x))).is_dcp()
    constant = case.of(cp.Constant(values(case.shape)))
    assert constant.is_constant()
    np.testing.assert_allclose(
        constant.value, case.oracle(values(case.shape), *case.data), atol=tolerance(case)
    )


@every
def test_name_and_copies(case: Case) -> None:
    x = cp.Variable(case.shape, name="x")
    atom = case.of(x)
    assert "x" in str(atom) and len(str(atom)) < 80 and "\n" not in str(atom)
    expected = values(atom.shape, 1)
    problem = cp.Problem(cp.Minimize(cp.sum(cp.abs(atom - expected)) + cp.sum_squares(x)))
    copies = [copy.deepcopy(problem), problem.copy(problem.args), cp.Problem(problem.objective.tree_copy())]
    if case.picklable:
        copies.append(pickle.loads(pickle.dumps(problem)))
    value = problem.solve(solver=cp.CLARABEL)
    for other in copies:
        assert str(other) == str(problem)
        assert abs(other.solve(solver=cp.CLARABEL) - value) < 1e-6
    again = atom.copy([cp.Constant(values(case.shape)), *atom.args[1:]])
    np.testing.assert_allclose(again.value, case.oracle(values(case.shape), *case.data), atol=tolerance(case))


WITH_DATA = [case for case in CASES if case.data]


@pytest.mark.parametrize("case", WITH_DATA, ids=str)
def test_parameters(case: Case) -> None:
    """Parameters in the data are DPP, reach gradients, and work with other solvers where that is possible."""
    x = cp.Variable(case.shape)
    ps = [cp.Parameter(d.shape, complex=np.iscomplexobj(d)) for d in case.data]
    atom = case.build(x, *ps)
    y = values(atom.shape, 1)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(atom - y) + cp.sum_squares(x)))
    assert problem.is_dpp()
    assert case.build(x + cp.Parameter(case.shape), *case.data).is_dpp()
    assert not case.build(x + cp.Parameter(case.shape), *ps).is_dpp()
    symbolic = len(ps) == 1 and atom.linear_in_data and not ps[0].is_complex()
    for factor in (1.0, 0.5):
        for p, d in zip(ps, case.data, strict=True):
            p.value = factor * d
        fixed = case.build(x, *(factor * d for d in case.data))
        best = cp.Problem(cp.Minimize(cp.sum_squares(fixed - y) + cp.sum_squares(x))).solve(
            solver=cp.CLARABEL
        )
        if symbolic:
            assert abs(problem.solve(solver=cp.CLARABEL) - best) < 1e-7
        else:
            fresh = cp.Problem(problem.objective)
            assert abs(fresh.solve(solver=cp.CLARABEL, ignore_dpp=True) - best) < 1e-7
    if not symbolic and atom.linear_in_data is False:
        with pytest.raises(cp.SolverError, match="ignore_dpp=True"):
            cp.Problem(problem.objective).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("case", WITH_DATA, ids=str)
def test_gradients_and_batches_of_data(case: Case) -> None:
    x = cp.Variable(case.shape)
    ps = [cp.Parameter(d.shape, complex=np.iscomplexobj(d)) for d in case.data]
    f = compile_affine(case.build(x, *ps))
    point = torch.from_numpy(values(case.shape))
    tensors = [torch.from_numpy(d).clone().requires_grad_(True) for d in case.data]
    assert torch.autograd.gradcheck(lambda *ts: f.bind(dict(zip(ps, ts, strict=True)))({x: point}), tensors)
    batch = [torch.stack([t.detach(), 2 * t.detach()]) for t in tensors]
    together = f.bind(dict(zip(ps, batch, strict=True)))({x: point})
    for i in range(2):
        alone = f.bind({p: b[i] for p, b in zip(ps, batch, strict=True)})({x: point})
        assert_close(together[i], alone)


def test_data_may_be_tensors_and_constants() -> None:
    x, kernel = cp.Variable((4, 4)), np.ones((3, 3))
    x.value = values((4, 4))
    expected = atoms.conv(x, kernel).value
    for given in (torch.from_numpy(kernel), torch.ones(3, 3), cp.Constant(kernel), kernel.tolist()):
        np.testing.assert_allclose(atoms.conv(x, given).value, expected)


def test_linear_maps_multiply() -> None:
    x = cp.Variable(4, value=np.arange(4.0))
    K = atoms.linop(lambda v: v.flip(-1), (4,), name="flip")
    np.testing.assert_allclose((K @ x).value, [3.0, 2.0, 1.0, 0.0])
    assert str(K @ x) == f"flip({x})"


def test_modules_stay_trainable_and_are_shared() -> None:
    module = torch.nn.Linear(4, 3, bias=False)
    x = cp.Variable(4)
    atom = atoms.learned_linop(module, x)
    assert copy.deepcopy(atom).module.value is module
    v = torch.randn(4, dtype=torch.float64)
    compile_affine(atom)({x: v}).sum().backward()
    assert_close(module.weight.grad, v.float().expand(3, 4))
    x.value = np.ones(4)
    before = atom.value
    with torch.no_grad():
        module.weight.mul_(2)
    np.testing.assert_allclose(atom.value, 2 * before)


def test_too_large_for_a_matrix() -> None:
    x = cp.Variable((1024, 1024), name="x")
    problem = cp.Problem(cp.Minimize(cp.sum_squares(atoms.conv(x, np.ones((9, 9))))))
    with pytest.raises(cp.SolverError, match=r"`conv\(x, kernel 9x9, circular\)` on 1024x1024 .*NABLA_ADMM"):
        problem.solve(solver=cp.CLARABEL)
    full = cp.Problem(cp.Minimize(cp.sum(atoms.dct(x))), [x >= 0])
    with pytest.raises(cp.SolverError, match="too large"):
        full.solve(solver=cp.CLARABEL)


def test_the_parts_of_an_atom_share_it() -> None:
    from cvxpy.reductions.complex2real.complex2real import Complex2Real

    x = cp.Variable((3, 4), complex=True)
    atom = atoms.fft2(x)
    reduced, _ = Complex2Real().apply(cp.Problem(cp.Minimize(0), [atom == 1]))
    parts = [
        node for con in reduced.constraints for node in nodes(con) if isinstance(node, atoms.PartOfLinear)
    ]
    assert len(parts) == 4 and {id(part.parent) for part in parts} == {id(atom)}


def nodes(expr: cp.Expression) -> list[cp.Expression]:
    return [expr, *(node for arg in expr.args for node in nodes(arg))]


def test_a_new_atom_needs_no_registration() -> None:
    class doubled(LinearAtom):
        def shape_from_args(self) -> tuple[int, ...]:
            return self.args[0].shape

        def operator(self, data, dtype, device):  # type: ignore[no-untyped-def]
            from cvxprox.operators import Identity

            return 2 * Identity(self.args[0].shape, dtype, device)

    z = cp.Variable(3, complex=True)
    problem = cp.Problem(cp.Minimize(cp.norm1(doubled(z) - np.array([2.0, 2j, 4]))))
    problem.solve(solver=cp.CLARABEL)
    np.testing.assert_allclose(z.value, [1, 1j, 2], atol=1e-6)
