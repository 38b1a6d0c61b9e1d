"""Memory of modes of differentiation over the iterations: ``python -m benchmarks.layers.memory ARGUMENTS``.

ARGUMENTS is JSON: mode, iterations, size. The problem is total-variation deblurring with the kernel as the
parameter. It prints one line of JSON: the resident set before the passes and at its peak, in MiB. The C
library keeps some of what is freed: all is measured as it is, and with an allocator that gives images back at
once, whose resident set is what is in use.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.layers.alone import last_line
from benchmarks.layers.instances import Instance, tv
from benchmarks.layers.solvers import OURS, SOLVERS
from benchmarks.peak_memory import peak_mib

ITERATIONS = (10, 100, 1000)
SIZE = 128
EXACT = dict(eps_abs=1e-14, eps_rel=1e-14)
"""Tolerances that are not reached: all iterations are made."""


def _modes(iterations: int) -> dict[str, Callable[[Any], Any]]:
    return {
        "deq": lambda _: "deq",
        "jfb": lambda _: "jfb",
        "unroll": lambda modes: modes.Unroll(iterations=iterations),
        "unroll, checkpoints": lambda modes: modes.Unroll(iterations=iterations, checkpoint=True),
    }


MODES = tuple(_modes(0))
ALLOCATORS: dict[str, dict[str, str]] = {"resident": {}, "in use": {"MALLOC_MMAP_THRESHOLD_": "65536"}}
"""Settings of glibc's allocator, as environment variables."""


def table(iterations: Sequence[int] = ITERATIONS, size: int = SIZE) -> list[dict[str, Any]]:
    """A record for every kind of memory, mode and number of iterations, from processes of their own."""
    if SOLVERS[OURS].missing:
        return []
    records = []
    for memory, variables in ALLOCATORS.items():
        for mode in MODES:
            for count in iterations:
                arguments = dict(mode=mode, iterations=count, size=size)
                line = last_line("benchmarks.layers.memory", arguments, variables)
                records.append(dict(memory=memory) | arguments | line)
    return records


def main(mode: str, iterations: int, size: int) -> None:
    """Pass forward and backward with few iterations, then with `iterations`, and print the line."""
    torch.set_num_threads(1)
    instance = tv(size)
    _pass(instance, mode, 2)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak_mib()
    gradient = _pass(instance, mode, iterations)
    print(json.dumps(dict(before=before, peak=peak_mib(), gradient=gradient)))


def _pass(instance: Instance, mode: str, iterations: int) -> float:
    """The norm of the gradient, after both passes."""
    library: Any = importlib.import_module("cvxprox")
    modes = importlib.import_module("cvxprox.differentiation")
    model = instance.build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = library.ProxLayer(
            model.problem, parameters=model.parameters, variables=[model.x], max_iter=iterations,
            differentiation=_modes(iterations)[mode](modes), **EXACT,
        )  # fmt: skip
        tensors = instance.tensors()
        (x,) = layer(*tensors)
        (gradient,) = torch.autograd.grad(x, tensors, torch.tensor(instance.cotangent[0]))
    return float(gradient.norm())


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
