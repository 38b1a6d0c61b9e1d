"""What users are told."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import cvxpy as cp
import pytest
import torch

import cvxprox

from .problems import DOUBLE, normal


def layer() -> tuple[cvxprox.ProxLayer, cp.Problem, cp.Parameter, cp.Parameter, cp.Variable]:
    x, A, b = cp.Variable(2, name="x"), cp.Parameter((3, 2), name="A"), cp.Parameter(3, name="b")
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ x - b)), [x >= 0])
    return cvxprox.ProxLayer(problem, [A, b], [x]), problem, A, b, x


GOOD_A, GOOD_B = torch.ones(3, 2, dtype=DOUBLE), torch.ones(3, dtype=DOUBLE)


@pytest.mark.parametrize(
    ("tensors", "kind", "message"),
    [
        ((GOOD_A,), ValueError, "A tensor must be .* takes 2, for `A`, `b`, and was given 1"),
        (
            (GOOD_A.T, GOOD_B),
            ValueError,
            r"`A` has the shape \(2, 3\); expected \(3, 2\), or \(\*batch, 3, 2\)",
        ),
        ((GOOD_A, GOOD_B[0]), ValueError, r"`b` has the shape \(\); expected \(3,\)"),
        (
            (GOOD_A.expand(4, 3, 2), GOOD_B.expand(5, 3)),
            ValueError,
            r"do not fit together: \(4,\) of `A`, \(5,\) of `b`",
        ),
        (
            (GOOD_A, GOOD_B.float()),
            ValueError,
            r"different types: torch.float64 of `A`, torch.float32 of `b`.*\.to",
        ),
        ((GOOD_A, GOOD_B.to("meta")), ValueError, r"different devices: cpu of `A`, meta of `b`.*\.to"),
        ((GOOD_A, GOOD_B.long()), TypeError, "`b` is of type torch.int64; convert"),
        ((GOOD_A, GOOD_B * 1j), TypeError, "`b` is complex and the parameter is real: declare"),
        ((GOOD_A, [1.0, 2.0, 3.0]), TypeError, "`b` is a list; give a torch tensor"),
    ],
)
def test_wrong_tensors(tensors: tuple[object, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        layer()[0](*tensors)


@pytest.mark.parametrize(
    ("attributes", "tensor", "message"),
    [
        ({"nonneg": True}, -torch.eye(2), "nonnegative"),
        ({"nonpos": True}, torch.eye(2), "nonpositive"),
        ({"symmetric": True}, torch.tensor([[0.0, 1], [0, 0]]), "symmetric"),
        ({"PSD": True}, -torch.eye(2), "positive semidefinite"),
        ({"NSD": True}, torch.eye(2), "negative semidefinite"),
        ({"diag": True}, torch.ones(2, 2), "diagonal"),
        ({"bounds": [0, 1]}, 2 * torch.eye(2), "in its bounds"),
    ],
)
def test_tensors_have_the_attributes_of_their_parameters(
    attributes: dict[str, object], tensor: torch.Tensor, message: str
) -> None:
    S, x = cp.Parameter((2, 2), name="S", **attributes), cp.Variable(2)
    one = cvxprox.ProxLayer(cp.Problem(cp.Minimize(cp.sum_squares(S @ x - 1) + cp.norm1(x))), [S], [x])
    with pytest.raises(ValueError, match=f"`S` must be {message}, as the parameter is declared"):
        one(tensor)


def _make(change: Callable[..., dict[str, object]]) -> None:
    _, problem, A, b, x = layer()
    arguments = {"problem": problem, "parameters": [A, b], "variables": [x], **change(problem, A, b, x)}
    cvxprox.ProxLayer(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, A, b, x: {"parameters": [A]}, "the parameters `b` have no value and are not among"),
        (lambda p, A, b, x: {"parameters": [A, b, b]}, "`b` is twice in `parameters`"),
        (
            lambda p, A, b, x: {"parameters": [A, b, cp.Parameter(name="c")]},
            "`c` of `parameters` is not in the pro",
        ),
        (lambda p, A, b, x: {"variables": [cp.Variable(name="u")]}, "`u` of `variables` is not in.*are `x`"),
        (lambda p, A, b, x: {"duals": [x <= 1]}, "of `duals` is not in the problem"),
        (
            lambda p, A, b, x: {"differentiation": "kkt2"},
            "differentiation='kkt2' is unknown. The known modes are \"kkt\"",
        ),
        (lambda p, A, b, x: {"max_iters": 5}, "no option 'max_iters'. Did you mean 'max_iter'"),
    ],
)
def test_wrong_layers(change: Callable[..., dict[str, object]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _make(change)


def test_not_a_list() -> None:
    with pytest.raises(TypeError, match="variables is a Variable; it is a list"):
        _make(lambda p, A, b, x: {"variables": x})


def test_integers_are_not_differentiable() -> None:
    x, y = cp.Variable(2, boolean=True, name="x"), cp.Parameter(2)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x - y)))
    with pytest.raises(
        ValueError, match=r"not differentiable: the variables x are integer or boolean\. Relax"
    ):
        cvxprox.ProxLayer(problem, [y], [x])
    with pytest.raises(ValueError, match="not differentiable"):
        cvxprox.compile(problem)


def test_a_parameter_without_a_path_is_told_once() -> None:
    x, y, c = cp.Variable(2), cp.Parameter(2), cp.Parameter(name="c")
    one = cvxprox.ProxLayer(cp.Problem(cp.Minimize(cp.sum_squares(x - y) + c)), [y, c], [x])
    y0, c0 = normal(2).requires_grad_(True), torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="does not depend on `c`: gradients there are zero"):
        one(y0, c0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one(y0, c0)[0].sum().backward()
    assert float(c0.grad) == 0 and y0.grad.any()


def test_backward_twice_needs_the_graph() -> None:
    one = layer()[0]
    b = GOOD_B.clone().requires_grad_(True)
    (x,) = one(GOOD_A, b)
    loss = x.square().sum()
    loss.backward(retain_graph=True)
    first = b.grad.clone()
    loss.backward()
    torch.testing.assert_close(b.grad, 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_nothing_solved_yet() -> None:
    with pytest.raises(RuntimeError, match="nothing has been solved yet"):
        _ = layer()[0].status


def test_compiled_solvers() -> None:
    _, problem, A, b, _ = layer()
    A.value, b.value = GOOD_A.numpy(), GOOD_B.numpy()
    solver = cvxprox.compile(problem)
    cases = [
        (lambda: solver.solve({"B": GOOD_B}), "no parameter `B`.*Its parameters are A, b"),
        (lambda: solver.solve({cp.Parameter(name="b"): GOOD_B}), "no parameter `b`"),
        (lambda: solver.solve(x0=torch.ones(3)), r"x0 of `x` has the shape \(3,\); expected \(2,\)"),
        (lambda: solver.solve(x0={cp.Variable(name="u"): torch.ones(3)}), "`u`, which is not a variable"),
        (
            lambda: solver.solve({b: GOOD_B.expand(4, 3)}, x0=torch.ones(5, 2)),
            r"dimensions \(5,\); .* data are \(4,",
        ),
        (lambda: solver.solve(rhos=[1.0, -1.0]), "rhos must be positive"),
        (lambda: solver.solve(sigmas=torch.ones(2, 2)), r"sigmas has the shape \(2, 2\)"),
        (lambda: cvxprox.specialize(solver, "rl"), "differentiation='rl' is unknown"),
        (lambda: cvxprox.specialize(solver, "jfb", iterations=3), "no option 'iterations'"),
        (lambda: cvxprox.compile(problem, method="newton"), "algorithm must be one of"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
