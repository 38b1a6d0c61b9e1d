"""Parameters that hold tensors: in CVXPY, in copies, after steps of an optimiser."""

from __future__ import annotations

import copy
import pickle

import cvxpy as cp
import numpy as np
import pytest
import torch

import cvxprox


def test_the_value_is_a_current_copy_of_the_tensor() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    p = cvxprox.Parameter(2, value=weight, nonneg=True, name="p")
    assert p.tensor is weight and p.is_nonneg() and p.shape == (2,)
    value = p.value
    torch.optim.SGD([weight], lr=1.0).step(lambda: (-weight.sum()).backward())
    np.testing.assert_array_equal(value, [1, 2])
    np.testing.assert_array_equal(p.value, [2, 3])
    np.testing.assert_array_equal((2 * p).value, [4, 6])


def test_assignments_reach_both() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    learned, plain = cvxprox.Parameter(2, value=weight), cvxprox.Parameter(value=torch.ones(2))
    assert plain.shape == (2,)
    for p in (learned, plain):
        p.value = np.array([3.0, 4.0])
        assert p.tensor is not None and p.tensor.tolist() == [3, 4]
    assert learned.tensor is weight
    plain.tensor = 2 * weight
    np.testing.assert_array_equal(plain.value, [6, 8])
    assert plain.tensor.requires_grad
    plain.value = None
    assert plain.tensor is None and plain.value is None


def test_values_are_validated_as_by_cvxpy() -> None:
    with pytest.raises(ValueError, match=r"`p`: Invalid dimensions \(2,\)"):
        cvxprox.Parameter(3, value=torch.ones(2), name="p")
    with pytest.raises(ValueError, match="`p`: Parameter value must be positive semidefinite"):
        cvxprox.Parameter((2, 2), value=-torch.eye(2), PSD=True, name="p")
    with pytest.raises(ValueError, match="must be real"):
        cvxprox.Parameter(2, value=1j * torch.ones(2))
    weight = torch.nn.Parameter(torch.ones(2))
    p = cvxprox.Parameter(2, value=weight, nonneg=True, name="p")
    with torch.no_grad():
        weight.neg_()
    with pytest.raises(
        ValueError, match=r"`p`: Parameter value must be nonnegative\. Its tensor was changed in pl"
    ):
        _ = p.value


@pytest.mark.parametrize("solver", ["CLARABEL", "NABLA_ADMM"])
def test_any_solver_takes_it(solver: str) -> None:
    z, c = cp.Variable(2, complex=True), cvxprox.Parameter(2, complex=True)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(z - c)), [cp.real(z) >= 1])
    x, g = cp.Variable(pos=True), cvxprox.Parameter(pos=True)
    geometric = cp.Problem(cp.Minimize(1 / x), [x <= g])
    for factor in (1, 2):  # the second time from CVXPY's cache
        c.value, g.value = factor * np.array([1 + 2j, -3.0]), 2.0 * factor
        problem.solve(solver=solver)
        np.testing.assert_allclose(z.value, [factor * (1 + 2j), 1], atol=1e-3)
        geometric.solve(solver=solver, gp=True)
        np.testing.assert_allclose(x.value, g.value, rtol=1e-5)


def test_copies_have_tensors_of_their_own() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    p, computed = cvxprox.Parameter(2, value=weight), cvxprox.Parameter(2, value=2 * weight)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(cp.Variable(2) - p - computed)))
    for clone in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        first, second = clone.parameters()
        assert isinstance(first.tensor, torch.nn.Parameter) and first.tensor is not weight
        with torch.no_grad():
            first.tensor.zero_()
        assert (
            p.value.tolist() == [1, 1] and first.value.tolist() == [0, 0] and second.value.tolist() == [2, 2]
        )


def test_sparse_and_diagonal_values() -> None:
    D = cvxprox.Parameter((2, 2), diag=True, value=torch.diag(torch.tensor([1.0, 2.0])))
    S = cvxprox.Parameter((2, 2), sparsity=([0], [1]), value=torch.tensor([[0.0, 3.0], [0.0, 0.0]]))
    x = cp.Variable(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(D @ x + S @ x - 1)))
    with pytest.warns(RuntimeWarning, match="sparse CVXPY expression"):  # CVXPY warns of itself
        problem.solve(solver="NABLA_ADMM")
    np.testing.assert_allclose(x.value, [-0.5, 0.5], atol=1e-6)
    S.tensor = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert S.value_sparse.toarray()[0, 1] == 1
