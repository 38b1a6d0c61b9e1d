"""Timing of layers, forward and backward, and the errors of their gradients."""

from __future__ import annotations

import gc
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import torch

from benchmarks.layers.instances import Array, Instance
from benchmarks.layers.oracle import Exact, relative_error
from benchmarks.layers.solvers import Layer, Solver

RESIDUALS = ("forward_residual", "backward_residual")


@dataclass(frozen=True)
class Run:
    """One forward and one backward pass in CPU seconds of this process, and both on the clock."""

    forward: float
    backward: float
    wall: float

    @property
    def total(self) -> float:
        """CPU seconds of both."""
        return self.forward + self.backward


@dataclass
class Result:
    """One solver on one instance.

    Attributes
    ----------
    instance, solver : str
        Names.
    build : float
        CPU seconds that the layer took to make.
    runs : list of Run
        The repetitions.
    errors : list of float
        The relative error of every sample's gradients, in the last repetition; infinite where they are not
        finite.
    info : dict
        What the layer reports of its last call, where it does: `forward_residual` and, relative,
        `backward_residual`, of the linear system of the backward pass.
    status : str
        What went wrong.
    before, peak : float or None
        The resident set before the layer was made and at its largest, in MiB, where the solver had a process
        of its own.
    """

    instance: str
    solver: str
    build: float = math.nan
    runs: list[Run] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    info: dict[str, float] = field(default_factory=dict)
    status: str = ""
    before: float | None = None
    peak: float | None = None

    def median(self, name: str) -> float:
        """The median of `forward`, `backward`, `total` or `wall` over the repetitions; nan without any."""
        return median(getattr(run, name) for run in self.runs) if self.runs else math.nan

    @property
    def first(self) -> float:
        """CPU seconds of the first two passes, in which layers may still be compiled; nan without any."""
        return self.runs[0].total if self.runs else math.nan

    def error(self, level: float) -> float:
        """The quantile of that level of the gradients' errors over the samples; nan without any."""
        return float(np.quantile(self.errors, level, method="higher")) if self.errors else math.nan


class Contest:
    """One solver on one instance, run after run."""

    def __init__(self, solver: Solver, instance: Instance) -> None:
        self.instance = instance
        self.layer: Layer | None = None
        self.gradients: dict[str, Array] = {}
        self.result = Result(instance.name, solver.name)
        if solver.missing:
            self.result.status = f"not available: {solver.missing}"
        else:
            self._guarded(lambda: self._make(solver))

    def _make(self, solver: Solver) -> None:
        gc.collect()
        start = time.process_time()
        self.layer = solver.make(self.instance)
        self.result.build = time.process_time() - start

    def run(self, patience: float) -> None:
        """Pass forward and backward once, unless that failed before or took longer than `patience`."""
        runs = self.result.runs
        if not self.result.status and (not runs or runs[-1].wall <= patience):
            self._guarded(self._run)

    def _run(self) -> None:
        assert self.layer is not None
        tensors = self.instance.tensors()
        cotangent = torch.tensor(self.instance.cotangent)
        cotangent = cotangent if self.instance.batched else cotangent[0]
        gc.collect()
        clock, start = time.perf_counter(), time.process_time()
        x = self.layer(*tensors)
        middle = time.process_time()
        gradients = torch.autograd.grad(x, tensors, cotangent)
        end = time.process_time()
        self.result.runs.append(Run(middle - start, end - middle, time.perf_counter() - clock))
        values = [value.numpy() if self.instance.batched else value.numpy()[None] for value in gradients]
        reported = getattr(self.layer, "info", {})
        self.result.info = {name: float(reported[name]) for name in RESIDUALS if name in reported}
        self.gradients = dict(zip(self.instance.data, values, strict=True))

    def judge(self, truth: Sequence[Exact]) -> None:
        """Compare the gradients of the last repetition with exact ones."""
        if self.gradients:
            self.result.errors = errors(self.gradients, truth)

    def _guarded(self, call: Callable[[], None]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                call()
            except Exception as error:  # a solver that breaks is a result, not the end of the run
                self.result.status = f"{type(error).__name__}: {error}".splitlines()[0][:100]


def errors(gradients: Mapping[str, Array], truth: Sequence[Exact]) -> list[float]:
    """The relative error of every sample's gradients; infinite where they are not finite."""
    found = []
    for index, sample in enumerate(truth):
        error = relative_error({name: value[index] for name, value in gradients.items()}, sample.gradients)
        found.append(error if math.isfinite(error) else math.inf)
    return found


def compare(
    instance: Instance, solvers: Sequence[Solver], truth: Sequence[Exact], repeat: int, patience: float
) -> list[Result]:
    """All `solvers` on one instance, the repetitions interleaved."""
    contests = [Contest(solver, instance) for solver in solvers if instance.family in solver.families]
    for _ in range(repeat):
        for contest in contests:
            contest.run(patience)
    for contest in contests:
        contest.judge(truth)
    return [contest.result for contest in contests]
