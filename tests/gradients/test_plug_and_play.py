"""Fixed points with a trainable denoiser: gradients in the data, the kernel, the weight and the network."""

from __future__ import annotations

import cvxpy as cp
import pytest
import torch
from torch import Tensor, nn

import cvxprox
from cvxprox.differentiation import Differentiation, Implicit, JacobianFree, Shine, Unroll
from tests.gradients.corpus import functional

SIDE, STEP = 6, 1e-5
ALGORITHMS = ["admm", "admm_vxu", "ladmm", "pdhg"]


class Denoiser(nn.Module):
    """A small network that contracts."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.last = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 1, 3, padding=1)
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(0.3)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        return 0.9 * x - 0.3 * self.last(torch.tanh(self.first(x)))


class Model:
    """A problem of deblurring with this denoiser, and all that its solution depends on."""

    def __init__(self, algorithm: str, mode: Differentiation) -> None:
        self.network = Denoiser()
        kernel, y = cp.Parameter((3, 3), name="kernel"), cp.Parameter((SIDE, SIDE), name="y")
        weight, x = cp.Parameter(nonneg=True, name="weight"), cp.Variable((SIDE, SIDE), name="x")
        prior = cvxprox.deep_prior(x, self.network, sigma=0.5, trainable=True, self_ensemble=False)
        fit = 0.5 * cp.sum_squares(cvxprox.conv(x, kernel) - y)
        tight = {"eps_abs": 1e-12, "eps_rel": 1e-12, "max_iter": 3000}
        problem = cp.Problem(cp.Minimize(fit + weight * prior))
        self.solver = cvxprox.compile(problem, algorithm, differentiation=mode, **tight)
        generator = torch.Generator().manual_seed(1)
        random = [torch.rand(p.shape, generator=generator, dtype=torch.float64) for p in (y, kernel)]
        values = {y: random[0], kernel: random[1] / 5, weight: torch.tensor(0.7, dtype=torch.float64)}
        self.values = {p: value.requires_grad_() for p, value in values.items()}

    @property
    def leaves(self) -> list[Tensor]:
        return [*self.values.values(), *self.network.parameters()]

    def loss(self) -> Tensor:
        return functional(self.solver.solve(self.values))

    def gradients(self) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.loss(), self.leaves)

    def differences(self) -> tuple[list[Tensor], list[float]]:
        """A direction for every tensor, and the derivative along it."""
        generator = torch.Generator().manual_seed(2)
        directions, slopes = [], []
        for leaf in self.leaves:
            d = torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)
            ends = []
            with torch.no_grad():
                for step in (STEP, -STEP):
                    leaf.add_(step * d)
                    ends.append(float(self.loss()))
                    leaf.sub_(step * d)
            directions.append(d)
            slopes.append((ends[0] - ends[1]) / (2 * STEP))
        return directions, slopes


@pytest.mark.parametrize("mode", [Implicit("gmres"), Implicit("anderson"), Unroll(iterations=12)], ids=str)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exact_modes_agree_with_finite_differences(algorithm: str, mode: Differentiation) -> None:
    model = Model(algorithm, mode)
    directions, slopes = model.differences()
    scale = max(map(abs, slopes))
    for gradient, d, slope in zip(model.gradients(), directions, slopes, strict=True):
        assert float((gradient * d).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-6 * scale)


@pytest.mark.parametrize("mode", [JacobianFree(), Shine()], ids=str)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_approximate_modes_are_ascent_directions(algorithm: str, mode: Differentiation) -> None:
    exact = Model(algorithm, Implicit("gmres")).gradients()
    rough = Model(algorithm, mode).gradients()
    a, b = (torch.cat([g.flatten() for g in own]) for own in (exact, rough))
    assert float(torch.nn.functional.cosine_similarity(a, b, dim=0)) > 0.3
