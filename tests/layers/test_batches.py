"""Batches: mixed, of several dimensions, with samples that fail; types; warm starts."""

from __future__ import annotations

import warnings

import cvxpy as cp
import pytest
import torch
from torch import Tensor

import cvxprox
from cvxprox.status import Status

from .problems import DOUBLE, least_absolute, normal, quadratic_program

LANES = ["auto", "assembled"]
"""All samples in one program of dense matrices, and one sparse program for each."""


def box(lane: str = "auto", **options: object) -> cvxprox.ProxLayer:
    """The nearest point between two bounds; infeasible where the lower one is larger."""
    x, y, low, high = cp.Variable(2), cp.Parameter(2), cp.Parameter(2), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - y)), [x >= low, x <= high])
    return cvxprox.ProxLayer(problem, [y, low, high], [x], lane=lane, **options)


def one_by_one(layer: cvxprox.ProxLayer, tensors: tuple[Tensor, ...], batch: tuple[int, ...]) -> list[Tensor]:
    """The results for every sample by itself, stacked."""
    sizes = [p.ndim for p in layer.parameters_given]
    wide = [t.expand(*batch, *t.shape[t.dim() - n :]).reshape(-1, *t.shape[t.dim() - n :])
            for t, n in zip(tensors, sizes, strict=True)]  # fmt: skip
    rows = [layer(*sample) for sample in zip(*wide, strict=True)]
    return [torch.stack(column).reshape(*batch, *column[0].shape) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(
    ("first", "second"), [((3,), ()), ((), (3,)), ((2, 3), (3,)), ((2, 1), (1, 2)), ((1,), ())]
)
def test_batches_are_the_samples_stacked(lane: str, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    case = least_absolute()
    x, (A, b) = case.layer.problem.variables()[0], case.layer.parameters_given
    layer = cvxprox.ProxLayer(case.layer.problem, [A, b], [x], lane=lane)
    batch = torch.broadcast_shapes(first, second)
    mine = [
        normal(*first, 3, 2, seed=5).requires_grad_(True),
        normal(*second, 3, seed=6).requires_grad_(True),
    ]
    theirs = [t.detach().clone().requires_grad_(True) for t in mine]
    weight = normal(*batch, 2, seed=7)
    (together,), (apart,) = layer(*mine), one_by_one(layer, tuple(theirs), batch)
    assert together.shape == (*batch, 2)
    torch.testing.assert_close(together, apart, atol=1e-7, rtol=1e-6)
    (together * weight).sum().backward()
    (apart * weight).sum().backward()
    for own, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("lane", LANES)
def test_failed_samples_do_not_touch_the_others(lane: str) -> None:
    layer = box(lane)
    y = torch.tensor([[0.5, 2.0], [0.1, 0.2], [3.0, 0.4], [0.3, 0.3]], dtype=DOUBLE)
    y[3, 1] = float("nan")
    low = torch.zeros(4, 2, dtype=DOUBLE)
    low[1] = 5.0
    high = torch.ones(2, dtype=DOUBLE)
    inputs = [t.requires_grad_(True) for t in (y, low, high)]
    with pytest.warns(RuntimeWarning, match=r"2 of 4 samples failed: 3 \(.*finite\), 1 \(infeasible\)"):
        (x,) = layer(*inputs)
    assert x[[1, 3]].isnan().all()
    torch.testing.assert_close(
        x[[0, 2]], torch.tensor([[0.5, 1.0], [1.0, 0.4]], dtype=DOUBLE), atol=1e-6, rtol=0
    )
    assert layer.failed.tolist() == [False, True, False, True]
    assert list(layer.status) == [Status.OPTIMAL, Status.INFEASIBLE, Status.OPTIMAL, None]
    x[[0, 2]].sum().backward()
    expected = torch.tensor([[1.0, 0.0], [0, 0], [0, 1], [0, 0]], dtype=DOUBLE)
    torch.testing.assert_close(y.grad, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(high.grad, torch.ones(2, dtype=DOUBLE), atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_nothing_but_failures_has_zero_gradients(batch: tuple[int, ...]) -> None:
    layer = box()
    y = normal(*batch, 2).requires_grad_(True)
    one = torch.ones(2, dtype=DOUBLE)
    with pytest.warns(RuntimeWarning, match="failed"):
        (x,) = layer(y, one, -one)
    assert x.isnan().all() and bool(layer.failed.all())
    x.sum().backward()
    assert y.grad is not None and not y.grad.any()


def test_unbounded_samples_fail() -> None:
    x, c = cp.Variable(2), cp.Parameter(2)
    layer = cvxprox.ProxLayer(cp.Problem(cp.Minimize(c @ x), [x >= 0]), [c], [x])
    with pytest.warns(RuntimeWarning, match=r"unbounded"):
        layer(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=DOUBLE))
    assert layer.failed.tolist() == [False, True]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_results_have_the_type_of_the_tensors(dtype: torch.dtype) -> None:
    layer, tensors = quadratic_program()
    (exact,) = layer(*tensors)
    inputs = [t.to(dtype).requires_grad_(True) for t in tensors]
    (x,) = layer(*inputs)
    assert x.dtype == dtype
    torch.testing.assert_close(x.double(), exact, atol=20 * torch.finfo(dtype).eps, rtol=0)
    x.sum().backward()
    assert all(t.grad is not None and t.grad.dtype == dtype for t in inputs)


def test_solves_in_single_precision_on_request() -> None:
    layer, tensors = quadratic_program()
    x = layer.problem.variables()[0]
    single = cvxprox.ProxLayer(
        layer.problem, layer.parameters_given, [x], dtype="float32", eps_abs=1e-4, eps_rel=1e-4
    )
    found = single(*(t.float() for t in tensors))[0]
    torch.testing.assert_close(found, layer(*tensors)[0].float(), atol=1e-2, rtol=0)


@pytest.mark.parametrize("lane", LANES)
def test_warm_starts_take_fewer_iterations(lane: str) -> None:
    case = quadratic_program()
    tensors = [torch.stack([t, 1.001 * t]) for t in case.tensors]
    z = case.layer.problem.variables()[0]
    iterations = {}
    for warm in (False, True):
        layer = cvxprox.ProxLayer(
            case.layer.problem, case.layer.parameters_given, [z], lane=lane, warm_start=warm, polish=False
        )
        first = layer(*tensors)[0]
        again = layer(*tensors)[0]
        torch.testing.assert_close(first, again, atol=1e-4, rtol=0)
        iterations[warm] = layer.info["iterations"]
    assert iterations[True] < iterations[False]


def test_one_warning_for_a_batch() -> None:
    layer = box()
    one = torch.ones(3, 2, dtype=DOUBLE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer(one, one, -one)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_programs_without_rows_have_batches_too() -> None:
    A, b, x = cp.Parameter((5, 3)), cp.Parameter(5), cp.Variable(3)
    layer = cvxprox.ProxLayer(
        cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b) + cp.sum_squares(x))), [A, b], [x]
    )
    matrix, data = normal(4, 5, 3), normal(2, 4, 5)
    expected = torch.linalg.solve(
        matrix.mT @ matrix + torch.eye(3, dtype=DOUBLE), (matrix.mT @ data[..., None])
    )
    torch.testing.assert_close(layer(matrix, data)[0], expected[..., 0])
    assert layer(matrix[:0], data[:, :0])[0].shape == (2, 0, 3)
