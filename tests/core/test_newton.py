"""Newton's polish: how fast it converges, that it never makes a point worse, what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox import prox
from cvxprox.algorithms import Point, Residuals, Session, Tolerances, residuals
from cvxprox.algorithms.newton import NewtonPolish
from cvxprox.algorithms.penalties import initial_multiplier
from cvxprox.algorithms.scaling import equilibrate
from cvxprox.linear_solve import DenseCholesky, SparseLDL
from cvxprox.options import Options
from cvxprox.program import ProxProgram
from cvxprox.status import Status

from .programs import F64, Rows, build, compiled, plain_metric, quadratic_program, run, vector


def cone_program() -> cp.Problem:
    rng = np.random.default_rng(1)
    x = cp.Variable(5)
    constraints = [cp.norm(rng.standard_normal((4, 5)) @ x + 1) <= 2 + x[k] for k in range(2)]
    return cp.Problem(cp.Minimize(cp.norm(x - 2) + 0.3 * cp.norm(x[:3])), constraints)


def semidefinite_program() -> cp.Problem:
    rng = np.random.default_rng(2)
    X, C = cp.Variable((4, 4), symmetric=True), rng.standard_normal((4, 4))
    target = rng.standard_normal((4, 4))
    return cp.Problem(
        cp.Minimize(cp.sum_squares(X - target - target.T) + cp.trace((C + C.T) @ X)),
        [X >> 0, cp.trace(X) == 2],
    )


def entropy_program() -> cp.Problem:
    rng = np.random.default_rng(3)
    x = cp.Variable(6)
    return cp.Problem(
        cp.Maximize(cp.sum(cp.entr(x)) - cp.log_sum_exp(rng.standard_normal((4, 6)) @ x)),
        [cp.sum(x) == 1, rng.standard_normal((2, 6)) @ x >= 0.1],
    )


NEWTON = {
    "QP": quadratic_program,
    "SOCP": cone_program,
    "SDP": semidefinite_program,
    "entropy": entropy_program,
}


@dataclass
class Polished:
    """A program with an accurate solution and a Newton polish."""

    program: ProxProgram
    solution: Point
    rho: Tensor
    newton: NewtonPolish
    tol: Tolerances = field(default_factory=lambda: Tolerances(1e-13, 1e-13))

    @classmethod
    def of(cls, name: str) -> Polished:
        program = compiled(NEWTON[name]())
        metric = equilibrate(program, 10)
        result = run(program, eps_abs=1e-10, eps_rel=1e-10, polish=True)
        assert result.status is Status.OPTIMAL
        rho = metric.rho(initial_multiplier(program, 0.1))
        return cls(program, result.point, rho, NewtonPolish(program, metric))

    def near(self, size: float) -> Point:
        """A perturbed solution, y in the subdifferential at z."""
        rng = np.random.default_rng(9)
        x, z, y = self.solution
        v = z + y / self.rho
        noise = torch.from_numpy(rng.standard_normal(v.shape)) / self.rho.sqrt()
        v = v + size * noise * float(v.abs().max() / noise.abs().max())
        z = self.program.prox(v, self.program.steps(self.rho))
        x = x + size * float(x.abs().max()) * torch.from_numpy(rng.standard_normal(x.shape))
        return Point(x, z, self.rho * (v - z))

    def residuals(self, point: Point) -> Residuals:
        return residuals(self.program, point, self.newton.metric)


@pytest.mark.parametrize("name", NEWTON)
def test_newton_converges_quadratically(name: str) -> None:
    case = Polished.of(name)
    start = case.near(1e-3)
    errors = [float((start.x - case.solution.x).abs().max())]
    for count in range(1, 5):
        point, _ = case.newton.improve(start, case.residuals(start), case.rho, case.tol, count)
        errors.append(float((point.x - case.solution.x).abs().max()))
    assert errors[0] > 1e-5
    assert errors[-1] < 1e-8
    for before, after in pairwise(errors):
        assert after <= max(30 * before**2 / float(case.solution.x.abs().max()), 1e-8), errors


def test_newton_solves_a_quadratic_program_in_one_step() -> None:
    case = Polished.of("QP")
    start = case.near(1e-3)
    point, achieved = case.newton.improve(start, case.residuals(start), case.rho, case.tol, 1)
    torch.testing.assert_close(point.x, case.solution.x, rtol=0, atol=1e-7)
    assert case.newton.factorizations == 1 and achieved.dual < 1e-6


@pytest.mark.parametrize("name", NEWTON)
@pytest.mark.parametrize("size", [0.0, 1e-6, 1.0, 1e3])
def test_newton_never_returns_a_worse_point(name: str, size: float) -> None:
    case = Polished.of(name)
    start = case.near(size)
    before = case.residuals(start)
    point, after = case.newton.improve(start, before, case.rho, Tolerances(1e-6, 1e-6), 12)
    assert after.ratio(case.tol) <= before.ratio(case.tol)
    assert case.residuals(point) == after
    assert point is start or after.ratio(case.tol) < before.ratio(case.tol)


@pytest.mark.parametrize("name", NEWTON)
def test_newton_with_a_borrowed_factor(name: str) -> None:
    case = Polished.of(name)
    start = case.near(1e-3)
    own, _ = case.newton.improve(start, case.residuals(start), case.rho, case.tol, 3)
    factor = SparseLDL().init(case.program, torch.full_like(case.program.q, 1e-6), case.rho)
    borrower = NewtonPolish(case.program, case.newton.metric)
    if borrower.borrow(factor):
        other, _ = borrower.improve(start, case.residuals(start), case.rho, case.tol, 3)
        torch.testing.assert_close(other.x, own.x, rtol=1e-6, atol=1e-7)
    else:
        assert any(block.function.ndim for block in case.program.blocks)
    assert not borrower.borrow(DenseCholesky().init(case.program, case.program.q**2 + 1, case.rho))


def test_newton_is_not_for_large_dense_blocks() -> None:
    K = sp.eye_array(500)
    rows: list[Rows] = [(prox.Norm2(), (1, 500), vector(1.0))]
    program = build(K, torch.ones(500, dtype=F64), rows)
    assert not NewtonPolish(program, plain_metric(program)).affordable()
    assert Session.start(program, Options()).newton is None
    result = run(program)
    assert result.status is Status.OPTIMAL and not result.info["polished"]
