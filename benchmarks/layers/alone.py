"""One solver in a process of its own, for its peak memory: ``python -m benchmarks.layers.alone ARGUMENTS``.

ARGUMENTS is JSON: family, size, samples, solver, repeat, patience. It prints one line of JSON, a `Result`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.imaging.by_peers import ROOT
from benchmarks.layers.instances import FAMILIES, Instance
from benchmarks.layers.measure import Contest, Result, Run
from benchmarks.layers.oracle import exact
from benchmarks.layers.solvers import SOLVERS, Solver
from benchmarks.peak_memory import peak_mib


def alone(instance: Instance, solver: Solver, repeat: int, patience: float) -> Result:
    """The result of `solver` in a process that has seen nothing else."""
    if solver.missing:
        return Result(instance.name, solver.name, status=f"not available: {solver.missing}")
    arguments = dict(
        family=instance.family, size=instance.size, samples=instance.samples, solver=solver.name,
        repeat=repeat, patience=patience,
    )  # fmt: skip
    record = last_line("benchmarks.layers.alone", arguments)
    if "error" in record:
        return Result(instance.name, solver.name, status=record["error"])
    runs = [Run(**run) for run in record.pop("runs")]
    return Result(runs=runs, **record)


def last_line(
    module: str, arguments: dict[str, Any], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The JSON that a module prints for its arguments; where it fails, its last message as `error`.

    `variables` are added to the environment.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, json.dumps(arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | dict(variables or {}),
    )  # fmt: skip
    if done.returncode:
        text = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
        return {"error": (text or f"exit status {done.returncode}")[:100]}
    return json.loads(done.stdout.splitlines()[-1])


def main(family: str, size: int, samples: int, solver: str, repeat: int, patience: float) -> None:
    """Measure and print the line. The exact gradients come last: they need memory too."""
    torch.set_num_threads(1)
    instance = FAMILIES[family].make(size, samples)
    before = peak_mib()
    contest = Contest(SOLVERS[solver], instance)
    for _ in range(repeat):
        contest.run(patience)
    contest.result.before, contest.result.peak = before, peak_mib()
    contest.judge(exact(instance))
    print(json.dumps(asdict(contest.result)))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
