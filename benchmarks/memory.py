"""Peak memory of one solve, in a process of its own.

``python -m benchmarks.memory SUITE INSTANCE SOLVER EPS LIMIT`` prints one line of JSON: the peak
resident set, and what it was before the solve, in MiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.measure import measure_solve
from benchmarks.peak_memory import peak_mib
from benchmarks.solvers import SOLVERS
from benchmarks.suites import SUITES


def in_subprocess(suite: str, instance: str, solver: str, eps: float, limit: float) -> dict[str, Any]:
    """The line that this module prints for these arguments.

    Raises
    ------
    RuntimeError
        If the process fails, with the end of its messages.
    """
    arguments = [suite, instance, solver, str(eps), str(limit)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{solver} on {instance}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(suite: str, instance: str, solver: str, eps: str, limit: str) -> None:
    """Solve once and print the line."""
    peer = SOLVERS[solver]
    peer.prepare()
    program = SUITES[suite].instances[instance]()
    before = peak_mib()
    run = measure_solve(program, peer, float(eps), float(limit))
    peak = peak_mib()
    record = dict(
        instance=instance, solver=solver, peak=round(peak), before=round(before), wall=round(run.wall, 3)
    )
    print(json.dumps(record | dict(status=run.status, error=float(f"{run.error:.2g}"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
