"""Imaging libraries of other environments: ``python -m benchmarks.imaging.peers SCICO IN OUT N RHO``.

Reads the problem from the file IN, does N iterations of ADMM with the penalty RHO, writes the image to OUT
and prints one line of JSON. It needs nothing but the library that it calls and what that needs.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

# Before the libraries are imported.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["NUMEXPR_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np

from benchmarks.imaging.attempt import timed
from benchmarks.peak_memory import peak_mib

Image = Any
Solve = Callable[[int], Image]


def library(name: str) -> Any:
    """A module that need not be here."""
    return importlib.import_module(name)


def scico(data: Image, kernel: Image | None, weight: float, rho: float) -> Solve:
    """SCICO's ADMM, its x step by FFT, in the single precision that is its default."""
    functional, linop, loss = (library(f"scico.{name}") for name in ("functional", "linop", "loss"))
    snp, optimize = library("scico.numpy"), library("scico.optimize.admm")
    y = snp.array(data.astype(np.float32))

    def solve(iterations: int) -> Image:
        blur = (
            linop.Identity(y.shape)
            if kernel is None
            else linop.CircularConvolve(
                snp.array(kernel.astype(np.float32)), y.shape, h_center=[n // 2 for n in kernel.shape]
            )
        )
        admm = optimize.ADMM(
            f=loss.SquaredL2Loss(y=y, A=blur),
            g_list=[weight * functional.L21Norm()],
            C_list=[linop.FiniteDifference(y.shape, circular=True)],
            rho_list=[rho],
            alpha=1.7,
            x0=y,
            maxiter=iterations,
            subproblem_solver=optimize.CircularConvolveSolver(ndims=2),
            itstat_options={"display": False},
        )
        return np.asarray(admm.solve())

    return solve


def proximal(data: Image, kernel: Image | None, weight: float, rho: float) -> Solve:
    """ProxImaL's ADMM in NumPy, its x step by FFT.

    Its own `grad` is not circular, and not what its x step takes it for; so differences are convolutions.
    """
    px = library("proximal")
    row, column = np.zeros((3, 3)), np.zeros((3, 3))
    row[1, 1], row[0, 1], column[1, 1], column[1, 0] = -1, 1, -1, 1

    def solve(iterations: int) -> Image:
        x = px.Variable(data.shape)
        blurred = x if kernel is None else px.conv(kernel, x)
        stacked = px.reshape(px.vstack([px.conv(row, x), px.conv(column, x)]), (2, *data.shape))
        terms = [0.5 * px.sum_squares(blurred - data), weight * px.group_norm1(stacked, [0])]
        problem = px.Problem(terms, scale=False)
        problem.solve("admm", rho=rho, max_iters=iterations, eps_abs=0.0, eps_rel=0.0)
        return np.asarray(x.value)

    return solve


LIBRARIES: dict[str, Callable[..., Solve]] = {"SCICO": scico, "PROXIMAL": proximal}


def main(name: str, source: str, target: str, iterations: str, rho: str) -> None:
    """Solve the problem in the file `source`, after short calls that compile and that show the set-up.

    Raises
    ------
    RuntimeError
        If the library fails.
    """
    with np.load(source) as file:
        data, weight = file["data"], float(file["weight"])
        kernel = file["kernel"] if file["kernel"].size else None
    before = peak_mib()
    solve = LIBRARIES[name](data, kernel, weight, float(rho))
    found: list[Image] = [solve(2)]
    setup, _, _ = timed(lambda: solve(2))
    wall, cpu, failure = timed(lambda: found.append(solve(int(iterations))))
    if failure:
        raise RuntimeError(failure)
    np.save(target, np.asarray(found[-1], dtype=np.float64).reshape(data.shape))
    print(json.dumps(dict(wall=wall, cpu=cpu, setup=setup, before=before, peak=peak_mib())))


if __name__ == "__main__":
    main(*sys.argv[1:])
