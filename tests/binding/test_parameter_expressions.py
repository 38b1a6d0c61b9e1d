"""Expressions of parameters in torch against CVXPY's values and finite differences."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor

from cvxprox.reductions.lifted_parameter import LiftedParameter
from cvxprox.reductions.matrix_root import MatrixRoot
from cvxprox.reductions.parameter_expression import ParameterExpressions
from cvxprox.reductions.torch_function import torch_function

RNG = np.random.default_rng(0)
p = cp.Parameter(3, name="p", value=RNG.random(3) + 0.5)
q = cp.Parameter(name="q", value=0.7, pos=True)
M = cp.Parameter((2, 3), name="M", value=RNG.standard_normal((2, 3)))
S = cp.Parameter((2, 2), name="S", PSD=True, value=np.array([[2.0, 0.3], [0.3, 1.0]]))

IN_TORCH = {
    "abs": cp.abs(M), "exp": cp.exp(M), "log": cp.log(p), "log1p": cp.log1p(p), "entr": cp.entr(p),
    "logistic": cp.logistic(M), "power": cp.power(p, 3), "sqrt": cp.sqrt(p), "inv_pos": cp.inv_pos(q),
    "maximum": cp.maximum(M, q), "minimum": cp.minimum(p, q, 1.0), "sum_squares": cp.sum_squares(M),
    "quad_over_lin": cp.quad_over_lin(p, q), "root": MatrixRoot(S),
}  # fmt: skip
BY_CVXPY = {
    "norm": cp.norm(p), "norm1": cp.norm1(M), "log_sum_exp": cp.log_sum_exp(p), "huber": cp.huber(p, 0.7),
    "max": cp.max(p), "sum_largest": cp.sum_largest(p, 2),
}  # fmt: skip
NESTED = {
    "product": q * p, "quotient": p / q, "affine": 2 * M @ p + 1, "nested": cp.exp(q * cp.norm(M @ p)),
    "lifted": 2 * LiftedParameter(cp.square(q)) * M,
}  # fmt: skip
CASES = IN_TORCH | BY_CVXPY | NESTED


def tensors(expr: cp.Expression) -> dict[cp.Parameter, Tensor]:
    known = [x for x in (p, q, M, S) if any(x is leaf for leaf in _leaves(expr))]
    return {x: torch.tensor(np.asarray(x.value)).requires_grad_() for x in known}


def _leaves(expr: cp.Expression) -> list[cp.Parameter]:
    found = []
    for leaf in expr.parameters():
        found.extend(_leaves(leaf.source) if isinstance(leaf, LiftedParameter) else [leaf])
    return found


def evaluate(expr: cp.Expression, values: dict[cp.Parameter, Tensor]) -> Tensor:
    by_id = {x.id: value for x, value in values.items()}
    return ParameterExpressions(by_id, torch.float64, torch.device("cpu"))(expr)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    expr = CASES[name]
    values = tensors(expr)
    np.testing.assert_allclose(evaluate(expr, values).detach(), expr.value, rtol=1e-12)

    def function(*given: Tensor) -> Tensor:
        return evaluate(expr, dict(zip(values, given, strict=True)))

    assert torch.autograd.gradcheck(function, tuple(values.values()))


@pytest.mark.parametrize("name", CASES)
def test_batches(name: str) -> None:
    expr = CASES[name]
    values = {x: torch.stack([value, 1.1 * value]).detach() for x, value in tensors(expr).items()}
    together = evaluate(expr, values)
    assert together.shape == (2, *expr.shape)
    for i in range(2):
        alone = evaluate(expr, {x: value[i] for x, value in values.items()})
        torch.testing.assert_close(together[i], alone)


def test_which_atoms_are_in_torch() -> None:
    assert all(torch_function(expr) is not None for expr in IN_TORCH.values())
    assert all(torch_function(expr) is None for expr in BY_CVXPY.values())


def test_the_value_of_a_lifted_parameter_cannot_be_set() -> None:
    lifted = LiftedParameter(cp.square(q))
    assert lifted.is_nonneg()
    with pytest.raises(ValueError, match="is that of"):
        lifted.value = 3.0
