"""Equilibration: a metric that balances rows and columns."""

from __future__ import annotations

import pytest
import torch

from cvxprox.algorithms import ADMM
from cvxprox.algorithms.penalties import EQUALITY_FACTOR, initial_multiplier
from cvxprox.algorithms.scaling import equilibrate
from cvxprox.linear_solve import SparseLDL
from cvxprox.operators import as_dense

from .programs import only_rows, random_program, scaled


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("quadratic", [True, False])
def test_equilibration_is_a_metric(seed: int, quadratic: bool) -> None:
    """The iterates on the original data are those of the scaled program, mapped back."""
    program = random_program(seed, quadratic)
    metric = equilibrate(program, 10)
    assert float(metric.d.max() / metric.d.min()) > 3 and not 0.99 < metric.c < 1.01
    other = scaled(program, metric)
    multiplier = initial_multiplier(program, 0.1)
    assert torch.equal(multiplier, initial_multiplier(other, 0.1))
    assert set((multiplier / 0.1).round(decimals=6).tolist()) == {1.0, EQUALITY_FACTOR}
    admm = ADMM(program, SparseLDL(), metric.sigma(1e-2), metric.rho(multiplier))
    twin = ADMM(other, SparseLDL(), torch.full_like(other.q, 1e-2), multiplier)
    state, image = admm.init(), twin.init()
    for _ in range(40):
        state, image = admm.step(state), twin.step(image)
    point, mapped = admm.point(state), twin.point(image)
    assert float(point.x.abs().max()) > 1e-3
    torch.testing.assert_close(point.x, metric.d * mapped.x, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(point.z, mapped.z / metric.e, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(point.y, metric.e * mapped.y / metric.c, rtol=1e-6, atol=1e-8)


def test_equilibration_balances_rows_and_columns() -> None:
    program = random_program()
    metric = equilibrate(program, 20)
    balanced = scaled(program, metric)
    K, P = as_dense(balanced.K).abs(), as_dense(balanced.P).abs() / metric.c  # type: ignore[arg-type]
    columns = torch.maximum(K.amax(dim=0), P.amax(dim=0))
    assert float(columns.max() / columns.min()) < 1.5
    for block in program.blocks:
        rows = block.points(K.amax(dim=1)).reshape(block.shape[0], -1).amax(dim=1)
        assert float(rows.max() / rows.min()) < 1.5
        e = block.points(metric.e).reshape(block.shape[0], -1)
        assert bool((e == e[:, :1]).all())
    original = torch.maximum(as_dense(program.K).abs().amax(dim=0), torch.zeros(()))
    assert float(original.max() / original.min()) > 10
    none = equilibrate(program, 0)
    assert torch.equal(none.d, torch.ones_like(none.d)) and torch.equal(none.e, torch.ones_like(none.e))


def test_equilibration_of_zero_rows_and_columns() -> None:
    program = only_rows([[0.0, 0.0], [5.0, 0.0]])
    metric = equilibrate(program, 10)
    assert bool(torch.isfinite(metric.d).all()) and bool(torch.isfinite(metric.e).all())
    assert metric.d[1] == 1 and metric.e[0] == 1 and metric.c == 1
