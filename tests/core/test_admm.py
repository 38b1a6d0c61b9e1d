"""The step of ADMM."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cvxprox.algorithms import ADMM
from cvxprox.linear_solve import DenseCholesky, SparseLDL

from .linear_solves import dense_answer
from .programs import F64, random_program


@pytest.mark.parametrize("alpha", [1.0, 1.6])
def test_step_is_admm(alpha: float) -> None:
    """The recursion in (z, y), as in the literature, for two steps."""
    program = random_program()
    sigma = torch.full_like(program.q, 0.1)
    rho = torch.linspace(0.5, 2, program.rows, dtype=F64)
    rho[16:20], rho[20:24] = 1.0, 1.5
    admm = ADMM(program, DenseCholesky(), sigma, rho, alpha)
    rng = np.random.default_rng(0)
    v = torch.from_numpy(rng.standard_normal(program.rows))
    state = admm.init()._replace(x=torch.from_numpy(rng.standard_normal(program.variables)), v=v)
    x, z = state.x, program.prox(v, program.steps(rho))
    y = rho * (v - z)
    for _ in range(2):
        state = admm.step(state)
        x_half, _ = dense_answer(program, sigma, rho, sigma * x - program.q, z - y / rho - program.b)
        x_tilde = torch.from_numpy(x_half)
        x = alpha * x_tilde + (1 - alpha) * x
        relaxed = alpha * (program.K.forward(x_tilde) + program.b) + (1 - alpha) * z
        z = program.prox(relaxed + y / rho, program.steps(rho))
        y = y + rho * (relaxed - z)
        point = admm.point(state)
        torch.testing.assert_close(point.x, x)
        torch.testing.assert_close(point.z, z)
        torch.testing.assert_close(point.y, y, rtol=1e-6, atol=1e-9)


def test_states_are_values() -> None:
    program = random_program()
    admm = ADMM(program, SparseLDL(), torch.full_like(program.q, 0.1), torch.ones_like(program.b))
    state = admm.step(admm.init())
    x, v = state.x.clone(), state.v.clone()
    first, second = admm.step(state), admm.step(state)
    assert torch.equal(state.x, x) and torch.equal(state.v, v)
    assert torch.equal(first.v, second.v) and not torch.equal(first.v, v)
