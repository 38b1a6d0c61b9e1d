"""Peak memory of one solve in a process of its own: ``python -m benchmarks.imaging.memory ARGUMENTS``.

ARGUMENTS is JSON: problem, size, solver, setting, limit, and the interpreters of other environments. It
prints one line of JSON: the peak resident set, and what it was before the solve, in MiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.imaging.by_peers import ROOT
from benchmarks.imaging.compare import Result
from benchmarks.imaging.instances import instance
from benchmarks.imaging.methods import choose
from benchmarks.peak_memory import peak_mib


def memory_of(result: Result, limit: float, pythons: Mapping[str, str]) -> dict[str, Any]:
    """Memory of the solve that has this result; nothing where it fails."""
    arguments = dict(
        problem=result.problem, size=result.size, solver=result.solver, setting=result.setting,
        limit=limit, pythons=dict(pythons),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.imaging.memory", json.dumps(arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return {}
    return {"problem": result.problem, "size": result.size, "solver": result.solver} | json.loads(
        done.stdout.splitlines()[-1]
    )


def main(problem: str, size: int, solver: str, setting: float, limit: float, pythons: dict[str, str]) -> None:
    """Solve once and print the line."""
    (method,) = choose([solver], pythons)
    image = instance(problem, size)
    before = peak_mib()
    attempt = method.solve(image, setting, limit)
    before, peak = attempt.memory or (before, peak_mib())
    print(json.dumps(dict(peak=round(peak), before=round(before), status=attempt.status)))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
