"""Batches of programs, programs with denoisers, and sessions between calls."""

from __future__ import annotations

from dataclasses import replace

import pytest
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from cvxprox import prox
from cvxprox.differentiation import (
    Differentiation,
    Implicit,
    JacobianFree,
    SessionEngine,
    Shine,
    Task,
    Unroll,
)
from cvxprox.operators import (
    Convolution,
    Identity,
    OnSlice,
    SparseEntries,
    SparseMatrix,
    SquareOnSlice,
    Stacked,
    as_sparse,
    gram,
)
from cvxprox.program import Block, ProxProgram
from cvxprox.status import Status

from .modes import cosine, engine, gradients, loss
from .programs import (
    CASES,
    F64,
    PIXELS,
    SHAPE,
    Case,
    deblurring,
    deblurring_theta,
    numbers,
    picture,
    qp,
    qp_theta,
)

MODES = [Implicit("gmres"), Implicit("broyden", max_iter=500), Unroll(iterations=12), JacobianFree(), Shine()]


def name(mode: Differentiation) -> str:
    return mode.backward if isinstance(mode, Implicit) else type(mode).__name__


def images(*batch: int) -> Tensor:
    return picture(*batch) + 0.3 * numbers(*batch, PIXELS, seed=9)


@pytest.mark.parametrize("algorithm", ["admm", "ladmm", "pdhg"])
@pytest.mark.parametrize("mode", MODES, ids=name)
def test_batches_of_images(mode: Differentiation, algorithm: str) -> None:
    kernel, _, weight = deblurring_theta()
    batch = images(2, 1)
    together = Case(deblurring, (kernel, batch, weight))
    own = engine(algorithm, adaptive_rho=False)
    solved, grads = gradients(mode, together, own)
    assert solved.point.x.shape == (2, 1, PIXELS) and len(solved.run.status) == 2
    assert solved.run.residual.shape == (2, 1)
    if not isinstance(mode, Unroll):
        assert set(solved.run.status) == {Status.OPTIMAL} and solved.info["forward_residual"] < 1e-8
    singles = []
    for i in range(2):
        alone = Case(deblurring, (kernel, batch[i : i + 1], weight))
        singles.append(gradients(mode, alone, own)[1])  # with the steps of the batch
    expected = singles[0][0] + singles[1][0]
    if isinstance(mode, Implicit | Unroll):
        torch.testing.assert_close(grads[0], expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(grads[1][1], singles[1][1][0], rtol=1e-5, atol=1e-6)
    else:
        assert cosine(grads[:1], (expected,)) > 0.9


@pytest.mark.parametrize("algorithm", ["admm", "pdhg"])
def test_batches_of_matrices(algorithm: str) -> None:
    theta = qp_theta(3)
    together = Case(qp, theta)
    solved, grads = gradients(Implicit("gmres"), together, engine(algorithm))
    assert set(solved.run.status) == {Status.OPTIMAL}
    for k in range(3):
        alone = Case(qp, (*(t[k] for t in theta[:4]), theta[4]))
        one, parts = gradients(Implicit("gmres"), alone, engine(algorithm))
        torch.testing.assert_close(solved.point.x[k], one.point.x, rtol=1e-7, atol=1e-9)
        for whole, part in zip(grads[:4], parts, strict=False):
            torch.testing.assert_close(whole[k], part, rtol=1e-6, atol=1e-7)


def test_penalties_adapt_for_batches_too() -> None:
    kernel, _, weight = deblurring_theta()
    case = Case(deblurring, (kernel, images(3), weight))
    task = case.task(*case.theta)
    fixed, adaptive = (
        engine(rho=10.0, adaptive_rho=rule, max_iter=20000).run(task) for rule in (False, "spectral")
    )
    assert set(adaptive.status) == {Status.OPTIMAL}
    assert adaptive.iterations < 0.7 * fixed.iterations and not torch.equal(adaptive.rho, fixed.rho)


class Network(nn.Module):
    """A small smooth denoiser."""

    channels = 1

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 4, 3, padding=1).double()
        self.second = nn.Conv2d(4, 1, 3, padding=1).double()
        for p in self.parameters():
            p.data *= 0.3

    def forward(self, x: Tensor, level: Tensor | float) -> Tensor:
        return 0.9 * x - self.second(torch.tanh(self.first(x))) * (1 + level)


def plug_and_play(net: Network, image: Tensor) -> Task:
    blur = Convolution(deblurring_theta()[0], SHAPE)
    q = -blur.adjoint(image.reshape(image.shape[:-1] + SHAPE)).reshape(image.shape)
    block = Block(
        prox.Denoiser((net,), SHAPE, "HW"), 0, PIXELS, (1, PIXELS), torch.full((1,), 0.05, dtype=F64)
    )
    K = Stacked((OnSlice(Identity(SHAPE), 0, PIXELS),))
    P = SquareOnSlice(gram(blur), 0, PIXELS)
    program = ProxProgram(P, q, 0.0, K, torch.zeros_like(q), (block,))
    return Task(program, program)


@pytest.mark.parametrize("acceleration", [False, True])
@pytest.mark.parametrize("algorithm", ["admm", "hqs", "pgd"])
def test_denoisers_are_trained_through_fixed_points(algorithm: str, acceleration: bool) -> None:
    net, image = Network(), picture()
    own = engine(algorithm, schedule="constant", acceleration=acceleration, max_iter=100)
    solved = Implicit("anderson").solve(own, plug_and_play(net, image))
    parameters = tuple(net.parameters())
    grads = torch.autograd.grad(loss(solved.point), parameters)
    assert solved.info["backward_residual"] < 1e-9
    direction, step, ends = numbers(*net.first.weight.shape), 1e-5, []
    for s in (step, -step):
        with torch.no_grad():
            net.first.weight += s * direction
            ends.append(float(loss(Implicit("anderson").solve(own, plug_and_play(net, image)).point)))
            net.first.weight -= s * direction
    expected = (ends[0] - ends[1]) / (2 * step)
    assert float((grads[0] * direction).sum()) == pytest.approx(expected, rel=1e-6)
    for mode in (JacobianFree(), Shine()):
        rough = torch.autograd.grad(loss(mode.solve(own, plug_and_play(net, image)).point), parameters)
        assert cosine(rough, grads) > 0.5


@pytest.mark.parametrize("algorithm", ["admm", "pdhg"])
def test_denoisers_are_trained_through_schedules(algorithm: str) -> None:
    net, own = Network(), engine(algorithm)  # a schedule of noise levels by default
    batch = images(2)
    solved = Unroll().solve(own, plug_and_play(net, batch))
    assert solved.run.iterations == 12
    (grad,) = torch.autograd.grad(loss(solved.point), net.first.weight)
    singles = [
        torch.autograd.grad(
            loss(Unroll().solve(own, plug_and_play(net, batch[i : i + 1])).point), net.first.weight
        )
        for i in range(2)
    ]
    torch.testing.assert_close(grad, singles[0][0] + singles[1][0], rtol=1e-8, atol=1e-10)
    after = own.run(plug_and_play(net, batch))
    assert set(after.status) == {Status.FIXED_POINT}


def sparse_task(q: Tensor) -> Task:
    task = CASES["qp"].task(*CASES["qp"].theta)
    P, K = (SparseMatrix(as_sparse(operator)) for operator in (task.frozen.P, task.frozen.K) if operator)
    return Task(replace(task.program, q=q), replace(task.frozen, P=P, K=K, q=q.detach()))


def test_sparse_programs_are_solved_in_their_session() -> None:
    q = CASES["qp"].theta[1].clone().requires_grad_()
    task = sparse_task(q)
    own = engine()
    first = own.run(task)
    session = own.session
    again = own.run(Task(task.program, replace(task.frozen, q=1.001 * task.frozen.q)))
    assert own.session is session and again.iterations < first.iterations
    fresh = own.run(sparse_task(q))
    assert own.session is not session
    torch.testing.assert_close(fresh.point.x, first.point.x, rtol=1e-7, atol=1e-9)
    solved = Implicit("gmres").solve(own, task)
    (grad,) = torch.autograd.grad(loss(solved.point), q)
    expected = gradients(Implicit("gmres"), CASES["qp"], engine("pdhg"))[1][1]
    torch.testing.assert_close(grad, expected, rtol=1e-7, atol=1e-9)


def test_failed_samples_do_not_stop_the_others() -> None:
    theta = list(qp_theta(2))
    theta[3] = theta[3].clone()
    theta[3][0] = 100.0  # rows that no point satisfies
    solved, grads = gradients(Implicit("gmres"), Case(qp, tuple(theta)), engine(max_iter=2000))
    assert solved.run.status[0] is not Status.OPTIMAL and solved.run.status[1] is Status.OPTIMAL
    alone = Case(qp, (*(t[1] for t in theta[:4]), theta[4]))
    expected = gradients(Implicit("gmres"), alone, engine())[1]
    torch.testing.assert_close(grads[1][1], expected[1], rtol=1e-6, atol=1e-7)


def test_unrolling_keeps_its_step_sizes_until_operators_grow() -> None:
    own, case = SessionEngine(engine("pdhg").options), CASES["lasso"]
    A, c, weight, scale = case.theta
    steps = []
    for factor in (1.0, 1.001, 2.0):
        task = case.task(factor * A, c, weight, scale)
        steps.append(own.splitting(task.frozen).curvature)  # type: ignore[attr-defined]
    assert steps[0] == steps[1] and steps[2] == pytest.approx(4 * steps[0], rel=0.05)


@pytest.mark.parametrize("mode", [Implicit("gmres"), Unroll(iterations=15)], ids=name)
@pytest.mark.parametrize("algorithm", ["admm", "admm_vxu", "ladmm", "pdhg", "hqs"])
def test_entries_of_sparse_matrices(mode: Differentiation, algorithm: str) -> None:
    root, q, full, b, upper = CASES["qp"].leaves()
    G = full * (full.abs() > 0.4)
    dense = qp(root, q, G, b, upper)
    constant = qp(*(t.detach() for t in (root, q, G, b, upper)))
    P, K = as_sparse(constant.P), as_sparse(constant.K)  # type: ignore[arg-type]

    def entries(A: sp.csr_array, values: Tensor) -> SparseEntries:
        rows, columns = A.nonzero()
        return SparseEntries(A, values[torch.from_numpy(rows), torch.from_numpy(columns)])

    sparse = replace(dense, P=entries(P, dense.P.matrix), K=entries(K, dense.K.matrix))  # type: ignore[union-attr]
    frozen = replace(constant, P=SparseMatrix(P), K=SparseMatrix(K))
    own = engine(algorithm, max_iter=3000)
    points = [mode.solve(own, Task(program, frozen)).point for program in (sparse, dense)]
    grads = [torch.autograd.grad(loss(point), (root, full, b), retain_graph=True) for point in points]
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-7, atol=1e-9)
