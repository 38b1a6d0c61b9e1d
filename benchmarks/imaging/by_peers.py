"""Solvers that run in the Python of another environment, one process a solve."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.imaging.attempt import Attempt
from benchmarks.imaging.instances import Instance

# Where no rule adapts the penalty: the best multiples of lambda on a grid, at 128 x 128 and 256 x 256 pixels.
PENALTIES = {"denoise": 60.0, "deblur": 25.0}
STARTING = 60.0
"""Seconds that an environment may take to import and compile."""
ROOT = Path(__file__).resolve().parents[2]


def run(
    python: str, library: str, problem: Instance, iterations: int, limit: float
) -> tuple[dict[str, Any], Any]:
    """The line that `peers` prints, and the image.

    Raises
    ------
    RuntimeError
        If the process fails, with the last line of its messages.
    subprocess.TimeoutExpired
        If it takes longer than `limit` seconds, and what it takes to start.
    """
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "problem.npz", Path(folder) / "image.npy"
        kernel = np.zeros((0, 0)) if problem.kernel is None else problem.kernel
        np.savez(source, data=problem.data, kernel=kernel, weight=problem.weight)
        rho = PENALTIES[problem.problem] * problem.weight
        arguments = [library, str(source), str(target), str(iterations), str(rho)]
        done = subprocess.run(
            [python, "-m", "benchmarks.imaging.peers", *arguments],
            cwd=ROOT, env={**os.environ, **one_thread}, timeout=limit + STARTING,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError((done.stderr.splitlines() or ["no message"])[-1])
        record = json.loads(done.stdout.splitlines()[-1])
        return record, np.load(target)


def solve(python: str, library: str, problem: Instance, iterations: float, limit: float) -> Attempt:
    """That many iterations by the library, the second call of its process; a failure is a status."""
    try:
        record, image = run(python, library, problem, int(iterations), limit)
    except subprocess.TimeoutExpired:
        return Attempt(None, limit, limit, status="time limit")
    except (RuntimeError, OSError) as error:
        return Attempt(None, 0.0, 0.0, status=str(error)[:100])
    return Attempt(
        image, record["wall"], record["cpu"], int(iterations), min(record["setup"], record["wall"]),
        status="iterations", memory=(record["before"], record["peak"]),
    )  # fmt: skip
