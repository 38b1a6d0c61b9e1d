"""All solvers on one instance: settings that reach the target, then interleaved repetitions."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.imaging.attempt import Attempt
from benchmarks.imaging.calibrate import loosest, nearest
from benchmarks.imaging.instances import Instance
from benchmarks.imaging.methods import Method
from benchmarks.imaging.reference import Reference, cached_reference


@dataclass(frozen=True)
class Plan:
    """What is asked for: see the options of the command line."""

    target: float
    limit: float
    patience: float
    repeats: int
    references: Path
    fixed: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One timed solve, with the relative error of its objective and its image's PSNR in dB."""

    wall: float
    cpu: float
    setup: float
    per_iteration: float
    iterations: int | None
    error: float
    psnr: float
    status: str


@dataclass(frozen=True)
class Result:
    """The repetitions of one solver on one instance, all at one setting.

    `fft` is the CPU time of one rfft2 and irfft2 of this size in seconds, from the same run; `gap` is the
    uncertainty of the optimum.
    """

    problem: str
    size: int
    solver: str
    target: float
    setting: float | None
    runs: tuple[Run, ...]
    fft: float
    gap: float

    def median(self, name: str) -> float:
        """The median of a figure over the repetitions; nan without any."""
        return median(getattr(run, name) for run in self.runs) if self.runs else float("nan")

    @property
    def reached(self) -> bool:
        """Whether every repetition is as accurate as asked for."""
        return bool(self.runs) and max(run.error for run in self.runs) <= self.target


def judged(attempt: Attempt, method: Method, problem: Instance, reference: Reference) -> Run:
    """The run with the errors of its image."""
    error, psnr = float("inf"), float("nan")
    if attempt.x is not None:
        error, psnr = reference.error(method.standard.objective(problem, attempt.x)), problem.psnr(attempt.x)
    return Run(
        attempt.wall, attempt.cpu, attempt.setup, attempt.per_iteration, attempt.iterations, error, psnr,
        attempt.status,
    )  # fmt: skip


class Contest:
    """One solver on one instance; remembers what it has run, for calibration and repetition alike."""

    def __init__(self, method: Method, problem: Instance, plan: Plan) -> None:
        self.method, self.problem, self.plan = method, problem, plan
        self.reference = cached_reference(
            problem, method.standard.boundary, method.standard.certify, plan.references
        )
        self.found: dict[float, list[Run]] = {}
        self.setting: float | None = None

    def run(self, setting: float) -> Run:
        """Solve once more at this setting."""
        attempt = self.method.solve(self.problem, setting, self.plan.limit)
        run = judged(attempt, self.method, self.problem, self.reference)
        self.found.setdefault(setting, []).append(run)
        return run

    def calibrate(self, start: float) -> None:
        """Find the loosest setting that reaches the target; `setting` stays None where none does in time."""
        values = list(self.method.settings)
        over = False

        def reaches(index: int) -> bool:
            nonlocal over
            run = self.run(values[index])
            over = over or run.wall > self.plan.limit or run.error == float("inf")
            if over and run.error > self.plan.target:
                raise _GaveUp
            return run.error <= self.plan.target

        try:
            index = loosest(len(values), nearest(values, start), self._patient(reaches))
        except _GaveUp:
            index = None
        self.setting = None if index is None else values[index]

    def _patient(self, reaches: Any) -> Any:
        # A solver that takes long is not run at looser settings once it has reached the target: each costs
        # as much again, and its tightest setting that is known to be too loose is one step away at most.
        slow = False

        def tried(index: int) -> bool:
            nonlocal slow
            if slow:
                return False
            good = reaches(index)
            slow = good and self.found[self.method.settings[index]][-1].cpu > self.plan.patience
            return bool(good)

        return tried

    @property
    def runs(self) -> list[Run]:
        """The runs at the setting that was found; else the most accurate one."""
        if self.setting is not None:
            return self.found[self.setting]
        every = [run for runs in self.found.values() for run in runs]
        return [min(every, key=lambda run: run.error)] if every else []


class _GaveUp(Exception):
    """The time limit was reached before the target."""


def fft_seconds(size: int, repeats: int = 9) -> float:
    """The median CPU time of one rfft2 and irfft2 of `size` x `size` in double precision."""
    x = torch.randn(size, size, dtype=torch.float64)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        torch.fft.irfft2(torch.fft.rfft2(x), s=x.shape)
        times.append(time.process_time() - start)
    return median(times)


def compare(
    problem: Instance, methods: Sequence[Method], starts: dict[str, float], plan: Plan
) -> list[Result]:
    """All `methods` on one instance; `starts` has the settings to look from, and gets those found."""
    contests = [Contest(method, problem, plan) for method in methods]
    for contest in contests:
        name = contest.method.name
        if name in plan.fixed:
            contest.setting = plan.fixed[name]
            contest.run(contest.setting)
            continue
        contest.calibrate(starts.get(name, contest.method.start))
        if contest.setting is not None:
            starts[name] = contest.setting
    ffts = [fft_seconds(problem.size)]
    for contest in contests:  # those of the calibration were not interleaved
        if contest.setting is not None and contest.runs[-1].cpu <= plan.patience:
            contest.found[contest.setting] = []
    for _ in range(plan.repeats):
        for contest in contests:
            if contest.setting is not None and (not contest.runs or contest.runs[-1].cpu <= plan.patience):
                gc.collect()
                contest.run(contest.setting)
        ffts.append(fft_seconds(problem.size))
    return [
        Result(
            problem.problem, problem.size, contest.method.name, plan.target, contest.setting,
            tuple(contest.runs), median(ffts), contest.reference.gap,
        )
        for contest in contests
    ]  # fmt: skip


def in_time(result: Result, size: int, limit: float) -> bool:
    """Whether a solver is worth trying at a larger `size`: growing as the pixels do, it keeps the limit."""
    return result.setting is not None and result.median("cpu") * (size / result.size) ** 2 <= limit
