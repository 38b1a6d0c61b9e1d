"""Functions and sets that are not convex, and priors."""

from __future__ import annotations

import copy
import pickle

import cvxpy as cp
import numpy as np
import pytest
import torch
from cvxpy.reductions.complex2real.complex2real import Complex2Real
from torch.testing import assert_close

from cvxprox import atoms
from cvxprox.atoms.function import FunctionAtom, IndicatorAtom, NonConvexAtom
from cvxprox.atoms.nonconvex import MatrixAtom, PairedPhaseRetrieval
from cvxprox.atoms.prior import Frozen
from tests.atoms.function_cases import below
from tests.atoms.linear_cases import values

TURN = np.array([[0.6, -0.8], [0.8, 0.6]])
PHASES = np.exp(1j * np.array([[0.3, 2.0], [-1.0, 4.0]]))
INF = np.inf

CASES = {
    "norm0": (atoms.norm0, [[1.0, 0.0], [1e-9, -2.0]], 2.0),
    "sparse": (lambda x: atoms.sparse_k(x, 2), [[1.0, 0.0], [1e-9, -2.0]], 0.0),
    "not sparse": (lambda x: atoms.sparse_k(x, 1), [[1.0, 0.0], [0.0, -2.0]], INF),
    "rank": (atoms.rank, np.outer([1.0, 2, 3], [1.0, 2]) + 1e-9, 1.0),
    "full rank": (atoms.rank, np.eye(2), 2.0),
    "of rank": (lambda x: atoms.rank(x, 1), np.outer([1.0, 2, 3], [1.0, 2]), 0.0),
    "not of rank": (lambda x: atoms.rank(x, at_most=1), np.eye(2), INF),
    "unit": (atoms.unit_norm, TURN[0], 0.0),
    "unit columns": (lambda x: atoms.unit_norm(x, 0), TURN, 0.0),
    "unit rows": (lambda x: atoms.unit_norm(x, axes=-1), np.array([[3.0, 4.0], [0, 1]]), INF),
    "not unit": (atoms.unit_norm, TURN, INF),
    "binary": (atoms.binary, [[1.0, 0.0], [1e-9, 1.0]], 0.0),
    "not binary": (atoms.binary, [[1.0, 0.5]], INF),
    "signs": (lambda x: atoms.phase_retrieval(x, 2.0), [2.0, -2.0], 0.0),
    "moduli": (lambda x: atoms.phase_retrieval(x, [3.0, 2.0]), [2.0, -2.0], INF),
    "phases": (lambda x: atoms.phase_retrieval(x, np.abs(PHASES)), PHASES, 0.0),
    "not phases": (lambda x: atoms.phase_retrieval(x, 0.5), PHASES, INF),
}


@pytest.mark.parametrize("case", CASES)
def test_value_and_rules(case: str) -> None:
    build, value, expected = CASES[case]
    x = cp.Variable(np.shape(value), complex=np.iscomplexobj(value), name="x", value=np.array(value))
    atom = build(x)
    assert atom.value == expected
    assert not atom.is_convex() and not atom.is_concave() and not atom.convex
    assert atom.curvature == "UNKNOWN"
    assert build(cp.Constant(np.array(value))).value == expected
    for other in (copy.deepcopy(atom), pickle.loads(pickle.dumps(atom)), atom.copy()):
        assert str(other) == str(atom) and "x" in str(atom)
        assert other.value == expected
    with pytest.raises(cp.DCPError):
        cp.Problem(cp.Minimize(atom)).solve(solver=cp.CLARABEL)
    with pytest.raises(cp.SolverError, match=f"`{atom.label()}.*` has no cone form; use solver=.NABLA_ADMM"):
        atom.canonical_form  # noqa: B018
    assert atom.grad[x] is None


def test_every_function_has_a_case() -> None:
    used = {
        type(build(cp.Variable(np.shape(v), complex=np.iscomplexobj(v)))) for build, v, _ in CASES.values()
    }
    inside = {IndicatorAtom, MatrixAtom, PairedPhaseRetrieval}
    assert {a for a in below(NonConvexAtom) if a.__module__.startswith("cvxprox.")} - inside == used


@pytest.mark.parametrize(
    "case", [name for name in CASES if CASES[name][2] in (0.0, INF) and "phases" not in name]
)
def test_prox_gives_a_point_of_the_set(case: str) -> None:
    build, value, _ = CASES[case]
    shape = np.shape(value)
    atom = build(cp.Variable(shape))
    if not isinstance(atom, IndicatorAtom):
        return
    data = [torch.as_tensor(arg.value, dtype=torch.float64) for arg in atom.args[1:]]
    form = atom.prox_form(data, torch.float64, torch.device("cpu"))
    K = form.operator
    v = torch.from_numpy(values(shape))
    projected = form.function.prox(form.points(v), 1.0)
    flat = (projected.movedim(0, -1) if form.leading else projected).reshape(-1)
    back = flat.reshape(shape) if K is None else K.adjoint(flat.reshape(K.shape_out))
    assert build(cp.Constant(back.numpy())).value == 0.0


def test_phases_of_complex_numbers_become_pairs() -> None:
    """The reduction to real numbers leaves one atom on the pair, with one operator for both parts."""
    x, target = cp.Variable((4, 4)), np.abs(np.fft.fft2(values((4, 4))))
    problem = cp.Problem(cp.Minimize(atoms.phase_retrieval(atoms.fft2(x), target)))
    reduced, _ = Complex2Real().apply(problem)
    phase = reduced.objective.expr
    assert isinstance(phase, PairedPhaseRetrieval) and isinstance(phase.args[0], atoms.PairOf)
    x.value = values((4, 4))
    assert phase.value == 0.0 and problem.objective.value == 0.0
    x.value = 2 * values((4, 4))
    assert phase.value == INF
    K = phase.args[0].operator([], torch.float64, torch.device("cpu"))
    assert K.shape_out == (2, 4, 4)
    z = cp.Variable((4, 4), complex=True)
    shifted = atoms.phase_retrieval(atoms.fft2(z) - PHASES[0, 0] * np.ones((4, 4)), target)
    reduced, _ = Complex2Real().apply(cp.Problem(cp.Minimize(shifted)))
    z.value = np.fft.ifft2(target + PHASES[0, 0])
    assert shifted.value == 0.0
    for variable, value in zip(reduced.variables(), (z.value.real, z.value.imag), strict=True):
        variable.value = value
    assert reduced.objective.value == 0.0


class Shrink(torch.nn.Module):
    """A denoiser with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        return self.factor * x


def sizes(x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    """Every image times its number of channels, plus the noise level."""
    return x * x.shape[1] + sigma


def run(atom: FunctionAtom, v: np.ndarray, step: float = 0.25, **data: float) -> torch.Tensor:
    given = [torch.tensor(value, dtype=torch.float64) for value in data.values()]
    form = atom.prox_form(given, torch.float64, torch.device("cpu"))
    return form.function.prox(form.points(torch.from_numpy(v)), step).reshape(v.shape)


@pytest.mark.parametrize(
    ("layout", "channels"), [("HWC", 2), ("CHW", 3), ("NHW", 1), ("NCHW", 4), ("NHWC", 2)]
)
def test_deep_prior_layouts(layout: str, channels: int) -> None:
    v = values((3, 4, 5, 2)[: len(layout)] if len(layout) == 4 else (3, 4, 2))
    atom = atoms.deep_prior(cp.Variable(v.shape), sizes, layout=layout, strength=1.0)
    assert_close(run(atom, v), torch.from_numpy(channels * v + 0.5))


def test_deep_prior() -> None:
    x = cp.Variable((8, 6), name="x", value=np.ones((8, 6)))
    v = values((8, 6))
    atom = atoms.deep_prior(x, sizes)
    assert str(atom) == "deep_prior(x, sizes)" and atom.curvature == "UNKNOWN"
    assert np.isnan(atom.value)
    assert str(copy.deepcopy(atom)) == str(atom) and str(pickle.loads(pickle.dumps(atom))) == str(atom)
    assert_close(run(atom, v), torch.from_numpy(v + 0.4**0.5 * 0.5))
    assert_close(run(atoms.deep_prior(x, sizes, strength=4.0), v), torch.from_numpy(v + 1.0))
    assert_close(run(atoms.deep_prior(x, sizes, sigma=0.1), v), torch.from_numpy(v + 0.1))
    assert_close(
        run(atoms.deep_prior(x, sizes, sigma=10.0, value_range=(0, 255)), v), torch.from_numpy(v + 10.0)
    )
    level = cp.Parameter(pos=True)
    assert_close(run(atoms.deep_prior(x, sizes, sigma=level), v, sigma=0.3), torch.from_numpy(v + 0.3))
    claimed = atoms.deep_prior(x, sizes, curvature="convex")
    assert cp.Problem(cp.Minimize(claimed)).is_dcp()
    with pytest.raises(cp.SolverError, match=r"`deep_prior\(x, sizes\)` has no cone form"):
        cp.Problem(cp.Minimize(claimed)).solve(solver=cp.CLARABEL)
    with pytest.raises(cp.DCPError):
        cp.Problem(cp.Minimize(atom)).solve(solver=cp.CLARABEL)


def test_deep_prior_networks() -> None:
    x, v = cp.Variable((8, 6)), values((8, 6))
    frozen, trained = (atoms.deep_prior(x, Shrink(), trainable=t) for t in (False, True))
    assert isinstance(frozen.settings.networks[0], Frozen)
    assert not run(frozen, v).requires_grad and run(trained, v).requires_grad
    leaf = torch.from_numpy(v).requires_grad_(True)
    form = frozen.prox_form([], torch.float64, torch.device("cpu"))
    form.function.prox(form.points(leaf), 1.0).sum().backward()
    assert_close(leaf.grad, torch.full_like(leaf, 0.5))
    assert copy.deepcopy(trained).settings is trained.settings
    elsewhere = torch.device("meta")
    for atom, place in ((frozen, "meta"), (trained, "cpu")):
        (network,) = atom.prox_form([], torch.float32, elsewhere).function.networks
        assert next(network.parameters()).device.type == place
        assert next(atom.settings.networks[0].parameters()).device.type == "cpu"
    turned = atoms.deep_prior(
        x, lambda image, sigma: image * torch.linspace(0, 1, image.shape[-1]), self_ensemble=True
    )
    ones = run(turned, np.ones((8, 6)))
    assert_close(ones, ones.flip(0))
    assert_close(ones, ones.flip(1))
    for settings, turns in (
        ({}, tuple(range(8))),
        ({"self_ensemble": False}, (0,)),
        ({"sigma": 0.1}, (0,)),
        ({"curvature": "convex"}, (0,)),
    ):
        assert atoms.deep_prior(x, sizes, **settings).settings.turns == turns
    several = atoms.deep_prior(x, [sizes, Shrink()])
    assert str(several).endswith("sizes and 1 more)") and len(several.settings.networks) == 2


def test_deep_prior_by_name() -> None:
    atom = atoms.deep_prior(cp.Variable((8, 6), name="x"))
    assert str(atom) == "deep_prior(x, default)"
    clean = run(atom, np.full((8, 6), 0.5), 1e-4)
    assert clean.dtype == torch.float64 and clean.std() < 0.1
