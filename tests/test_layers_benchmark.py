"""The benchmark of layers: feasible instances, exact gradients, complete tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("clarabel")
pytest.importorskip("skimage")

from benchmarks.layers import __main__ as command
from benchmarks.layers import memory, tables
from benchmarks.layers.alone import alone, last_line
from benchmarks.layers.instances import FAMILIES, Instance
from benchmarks.layers.measure import Result, Run, compare
from benchmarks.layers.oracle import ORACLES, DegenerateError, Exact, exact
from benchmarks.layers.solvers import OURS, SOLVERS, Solver, choose

N = 8


def made(family: str, samples: int = 3) -> Instance:
    return FAMILIES[family].make(N, samples)


@pytest.mark.parametrize("family", ORACLES)
def test_the_exact_solution_is_feasible_and_optimal(family: str) -> None:
    instance = made(family)
    model = instance.build()
    for index, truth in enumerate(exact(instance)):
        for parameter, value in zip(model.parameters, instance.sample(index).values(), strict=True):
            parameter.value = value
        optimum = model.problem.solve("CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10)
        model.x.value = truth.x
        assert all(np.all(constraint.violation() <= 1e-9) for constraint in model.problem.constraints)
        assert model.problem.objective.value == pytest.approx(optimum, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("family", ORACLES)
def test_the_oracle_has_the_gradient_of_differences(family: str) -> None:
    """Of all data, one after the other, along random directions."""
    instance, h = made(family), 1e-6
    rng = np.random.default_rng(1)
    truth = exact(instance)

    def losses(data: dict[str, Any]) -> list[float]:
        solutions = exact(replace(instance, data=data))
        return [float(c @ sample.x) for c, sample in zip(instance.cotangent, solutions, strict=True)]

    for name, value in instance.data.items():
        direction = rng.standard_normal(value.shape)
        above, below = (losses(instance.data | {name: value + t * direction}) for t in (h, -h))
        for index, sample in enumerate(truth):
            slope = (above[index] - below[index]) / (2 * h)
            scale = float(np.linalg.norm(sample.gradients[name]) * np.linalg.norm(direction[index]))
            predicted = float(np.sum(sample.gradients[name] * direction[index]))
            assert slope == pytest.approx(predicted, abs=1e-7 * scale + 1e-8), name


def test_constraints_of_all_kinds_occur() -> None:
    """Otherwise the two tests above would not see all that the oracles compute."""
    seen = {name: exact(made(name, 6)) for name in ("qp", "lasso", "socp", "parameter")}
    multipliers = np.array([sample.gradients["h"] for sample in seen["qp"]])
    assert np.any(multipliers == 0) and np.any(multipliers != 0)
    for name in ("lasso", "parameter"):
        zeros = np.array([sample.x for sample in seen[name]]) == 0
        assert np.any(zeros) and not np.all(zeros)
    slopes = np.array([sample.gradients[f"d{i}"] for sample in seen["socp"] for i in range(3)])
    assert np.any(slopes == 0) and np.any(slopes != 0)


def test_degenerate_samples_are_refused() -> None:
    instance = made("parameter")
    data = dict(A=np.eye(N)[None], b=np.arange(N)[None] - 3.0, floor=np.zeros((1, N)))
    with pytest.raises(DegenerateError, match="sample 0: a variable"):
        exact(replace(instance, data=data))


class _Known(torch.autograd.Function):
    """The exact solutions, with their gradients times a factor."""

    @staticmethod
    def forward(ctx: Any, truth: list[Exact], factor: float, *tensors: Tensor) -> Tensor:
        ctx.truth, ctx.factor = truth, factor
        return torch.tensor(np.array([sample.x for sample in truth]))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        names = ctx.truth[0].gradients
        stacked = (np.array([sample.gradients[name] for sample in ctx.truth]) for name in names)
        return (None, None, *(ctx.factor * torch.tensor(value) for value in stacked))


def known(name: str, truth: list[Exact], factor: float) -> Solver:
    return Solver(name, [], lambda _: lambda *tensors: _Known.apply(truth, factor, *tensors))


def broken(instance: Instance) -> Callable[..., Tensor]:
    raise RuntimeError("no such luck\nin two lines")


def test_errors_are_those_of_the_gradients() -> None:
    instance = made("qp")
    truth = exact(instance)
    solvers = [
        known("right", truth, 1.0), known("off", truth, 1.25), known("nan", truth, math.nan),
        Solver("broken", [], broken), Solver("absent", ["no_such_module.part", "math:no_such"], broken),
        Solver("other", [], broken, frozenset({"lasso"})),
    ]  # fmt: skip
    right, off, nan, failed, absent = compare(instance, solvers, truth, repeat=3, patience=10.0)
    assert right.errors == [0.0] * 3 and len(right.runs) == 3 and right.build >= 0
    assert off.errors == pytest.approx([0.25] * 3) and off.error(0.5) == pytest.approx(0.25)
    assert nan.errors == [math.inf] * 3
    assert failed.status == "RuntimeError: no such luck" and not failed.runs
    assert absent.status == "not available: no_such_module.part, math:no_such"
    (once,) = compare(instance, solvers[:1], truth, repeat=3, patience=-1.0)
    assert len(once.runs) == 1


def test_ratios_are_to_ours() -> None:
    def result(solver: str, seconds: float) -> Result:
        return Result(
            "one", solver, runs=[Run(seconds, seconds, 5.0), Run(9.0, 9.0, 9.0), Run(0.0, 0.0, 0.0)]
        )

    ours, peer = result(OURS, 0.5), result("DIFFCP", 2.0)
    assert tables.ratio(peer, [ours, peer]) == 4.0
    assert math.isnan(tables.ratio(ours, [ours, peer])) and math.isnan(tables.ratio(peer, [peer]))
    ours.errors = list(np.linspace(0, 1, 101))
    assert (ours.error(0.5), ours.error(0.99)) == (pytest.approx(0.5), pytest.approx(0.99))


def test_the_tables_are_complete(tmp_path: Path) -> None:
    """With a row for every solver, also for those that are not installed."""
    solvers = [OURS, "DIFFCP", "QPTH"]
    wanted = dict(
        families="qp,socp", sizes="4,6", samples=2, solvers=",".join(solvers), repeat=2, out=tmp_path
    )
    command.main([text for name, value in wanted.items() for text in (f"--{name}", str(value))])
    document = json.loads((tmp_path / "layers.json").read_text())
    found = {(record["instance"], record["solver"]) for record in document["results"]}
    quadratic = {(f"qp, n = {n}, 2 samples", solver) for n in (4, 6) for solver in solvers}
    assert found == quadratic | {("socp, n = 30, 2 samples", solver) for solver in (OURS, "DIFFCP")}
    text = (tmp_path / "layers.md").read_text()
    assert sum(line.startswith(("| qp", "| socp")) for line in text.splitlines()) == 8
    for record in document["results"]:
        measured = record["error_99"] is not None and record["error_99"] < 1e-2 and record["total"] > 0
        assert measured or record["status"].startswith("not available"), record


@pytest.mark.skipif(bool(SOLVERS[OURS].missing), reason="cvxprox has no layers")
def test_our_gradients_are_exact() -> None:
    for family in ("qp", "lasso", "socp"):
        instance = made(family)
        (result,) = compare(instance, choose([OURS]), exact(instance), repeat=1, patience=1.0)
        assert not result.status and result.error(1.0) <= 1e-6, (family, result)


@pytest.mark.skipif(bool(SOLVERS[OURS].missing), reason="cvxprox has no layers")
def test_memory_is_that_of_another_process() -> None:
    result = alone(made("parameter"), SOLVERS[OURS], repeat=2, patience=10.0)
    assert not result.status and result.error(1.0) <= 1e-6 and len(result.runs) == 2
    assert result.before is not None and result.peak is not None and result.peak >= result.before > 10


@pytest.mark.skipif(bool(SOLVERS[OURS].missing), reason="cvxprox has no layers")
def test_memory_of_a_mode(capsys: pytest.CaptureFixture[str]) -> None:
    memory.main("jfb", iterations=3, size=16)
    record = json.loads(capsys.readouterr().out)
    assert record["peak"] >= record["before"] > 10 and record["gradient"] > 0
    records = [dict(memory="in use", mode="jfb", iterations=3) | record]
    records.append(dict(memory="in use", mode="jfb", iterations=5, error="lost"))
    extra = f"{record['peak'] - record['before']:.1f} MiB"
    assert tables.memory_rows(records) == [("in use", "jfb", extra, "lost")]
    assert tables.memory_header(records) == ("memory", "mode", "3 iterations", "5 iterations")


def test_a_process_that_fails_says_why() -> None:
    assert "unexpected keyword" in last_line("benchmarks.layers.alone", dict(no_such=1))["error"]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="NO_SUCH"):
        choose(["NO_SUCH"])
    with pytest.raises(ValueError, match="no_such"):
        command.main(["--families", "no_such"])
