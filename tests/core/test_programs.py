"""Programs: their optima, against Clarabel, and how they print."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

import cvxprox
from cvxprox import prox
from cvxprox.operators import as_dense
from cvxprox.status import Status

from .programs import random_program, run


@pytest.mark.parametrize("quadratic", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_solutions_of_random_programs(seed: int, quadratic: bool) -> None:
    """Programs with bounds, cones and an l1 term, written again in CVXPY for Clarabel."""
    program = random_program(seed, quadratic)
    K, b, q = as_dense(program.K).numpy(), program.b.numpy(), program.q.numpy()
    x = cp.Variable(program.variables)
    z = K @ x + b
    bounds, weight = program.blocks[0].function, program.blocks[1].weight
    assert isinstance(bounds, prox.Box) and weight is not None
    low, high = bounds.lower.numpy(), bounds.upper.numpy()
    objective = q @ x + weight.numpy() @ cp.abs(z[11:16])
    if program.P is not None:
        objective += 0.5 * cp.quad_form(x, cp.psd_wrap(as_dense(program.P).numpy()))
    finite = [np.flatnonzero(np.isfinite(v)) for v in (low, high)]
    constraints = [z[finite[0]] >= low[finite[0]], z[finite[1]] <= high[finite[1]]]
    constraints += [cp.SOC(z[k], z[k + 1 : k + 4]) for k in (16, 20)]
    expected = cp.Problem(cp.Minimize(objective), constraints).solve(solver=cp.CLARABEL)
    result = run(program)
    assert result.status is Status.OPTIMAL
    assert result.residuals.objective == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert float(program.objective(result.primal)) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_programs_print_their_mathematics() -> None:
    text = str(random_program())
    for part in (
        "½xᵀPx + qᵀx",
        "x: 9, z: 24",
        "Box: 11 points",
        "Abs: 5 points",
        "SecondOrderCone: 2 points of size 4",
    ):
        assert part in text
    assert "½" not in str(random_program(quadratic=False))
    assert cvxprox.Options().eps_abs == 1e-6
