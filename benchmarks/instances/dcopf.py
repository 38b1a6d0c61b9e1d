r"""DC optimal power flow in the angle form, on the grids that pandapower ships.

.. math::

    \text{minimise } c^T p \quad \text{subject to} \quad
    C p - B\theta = d, \quad -f \le B_f\theta + s \le f, \quad
    \underline p \le p \le \bar p, \quad \theta_{\mathrm{ref}} = 0

with generation :math:`p` and demand :math:`d` in units of the base power, :math:`c` in thousands an hour,
angles :math:`\theta` in radians, :math:`B_f` the branch susceptances :math:`1/(x\tau)`, :math:`B` the bus
susceptance matrix, and :math:`s` the flows that phase shifters cause at equal angles (Zimmerman et al. 2011,
MATPOWER, section 3.7).

Two things are filled in where a case leaves them out. Costs that are all equal would make every feasible
point optimal: they are replaced by prices drawn from 10 to 50 a MWh. A case without branch ratings has no
congestion: every branch is then rated at 1.2 times its flow under a dispatch proportional to capacity, and
at least 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from benchmarks.instances.cache import cache_file, package_folder
from benchmarks.program import Program, from_bounds
from benchmarks.rows import Vector

CASES = ("case118", "case1354pegase", "case9241pegase")


@dataclass(frozen=True)
class Grid:
    """A grid in the units of its base power; buses are numbered from 0, an absent rating is inf."""

    demand: Vector
    reference: int
    generator_bus: np.ndarray
    generation_min: Vector
    generation_max: Vector
    cost: Vector
    branch_from: np.ndarray
    branch_to: np.ndarray
    susceptance: Vector
    shift: Vector
    rating: Vector


def dcopf(case: str) -> Program:
    """The DC-OPF of one of the `CASES`."""
    return dcopf_program(f"dcopf-{case}", pandapower_grid(case))


def dcopf_program(name: str, grid: Grid) -> Program:
    """The LP in the variables ``(p, theta)``."""
    buses, generators = grid.demand.size, grid.cost.size
    flow, shift_flow = _flow(grid)
    incidence = _incidence(grid)
    injection = sp.csr_array(
        (np.ones(generators), (grid.generator_bus, np.arange(generators))), shape=(buses, generators)
    )
    limited = np.isfinite(grid.rating)
    reference = sp.csr_array(([1.0], ([0], [grid.reference])), shape=(1, buses))
    A = sp.block_array(
        [
            [injection, -(incidence.T @ flow)],
            [sp.csr_array((1, generators)), reference],
            [sp.csr_array((int(limited.sum()), generators)), sp.csr_array(flow[limited])],
            [sp.eye_array(generators), sp.csr_array((generators, buses))],
        ],
        format="csr",
    )
    balance = grid.demand + incidence.T @ shift_flow
    rating, shift = grid.rating[limited], shift_flow[limited]
    lower = np.concatenate([balance, [0.0], -rating - shift, grid.generation_min])
    upper = np.concatenate([balance, [0.0], rating - shift, grid.generation_max])
    return from_bounds(name, None, np.concatenate([grid.cost, np.zeros(buses)]), A, lower, upper)


def _incidence(grid: Grid) -> sp.csr_array:
    branches = np.arange(grid.rating.size)
    rows = np.concatenate([branches, branches])
    columns = np.concatenate([grid.branch_from, grid.branch_to])
    signs = np.concatenate([np.ones(branches.size), -np.ones(branches.size)])
    return sp.csr_array((signs, (rows, columns)), shape=(branches.size, grid.demand.size))


def _flow(grid: Grid) -> tuple[sp.csr_array, Vector]:
    """The matrix from angles to branch flows, and the flows at equal angles."""
    return sp.csr_array(sp.diags_array(grid.susceptance) @ _incidence(grid)), -grid.susceptance * grid.shift


def pandapower_grid(case: str) -> Grid:
    """A case of the installed `pandapower` package, from the cache where it has it."""
    package_folder("pandapower")
    path = cache_file("pandapower", f"{case}.npz")
    if not path.exists():
        grid = _read(case)
        np.savez_compressed(path, **{field.name: getattr(grid, field.name) for field in fields(Grid)})
    with np.load(path) as data:
        arrays = {field.name: data[field.name] for field in fields(Grid)}
    return _with_ratings(_with_costs(Grid(**arrays | {"reference": int(arrays["reference"])})))


def _read(case: str) -> Grid:
    import pandapower.networks
    from pandapower.converter.pypower.to_ppc import to_ppc

    # The columns are those of MATPOWER's case format, version 2.
    ppc = to_ppc(getattr(pandapower.networks, case)(), init="flat", mode="opf")
    base, bus = ppc["baseMVA"], ppc["bus"]
    gen, gencost = (ppc[key][ppc["gen"][:, 7] > 0] for key in ("gen", "gencost"))
    branch = np.real(ppc["branch"])[np.real(ppc["branch"])[:, 10] > 0]
    position = {int(number): i for i, number in enumerate(bus[:, 0])}
    tap = np.where(branch[:, 8] == 0, 1.0, branch[:, 8])
    demand = (bus[:, 2] + bus[:, 4]) / base
    # pandapower writes an absent rating as a current that no flow reaches, for transformers as 99.999 MVA.
    rating = branch[:, 5]
    unlimited = (rating == 0) | (rating >= demand.sum() * base) | np.isclose(rating, 99.999, atol=1e-2)
    return Grid(
        demand=demand,
        reference=int(np.flatnonzero(bus[:, 1] == 3)[0]),
        generator_bus=np.array([position[int(number)] for number in gen[:, 0]]),
        # pandapower widens the limits by 1e-10.
        generation_min=gen[:, 9].round(8) / base,
        generation_max=gen[:, 8].round(8) / base,
        # A polynomial cost of k coefficients, highest power first: the linear one is the last but one.
        cost=np.array([row[4 + int(row[3]) - 2] for row in gencost]) * base / 1000,
        branch_from=np.array([position[int(number)] for number in branch[:, 0]]),
        branch_to=np.array([position[int(number)] for number in branch[:, 1]]),
        susceptance=1 / (branch[:, 3] * tap),
        shift=np.deg2rad(branch[:, 9]),
        rating=np.where(unlimited, np.inf, rating / base),
    )


def _with_costs(grid: Grid) -> Grid:
    if np.ptp(grid.cost) > 0:
        return grid
    prices = np.random.default_rng(0).uniform(10, 50, grid.cost.size)
    return replace(grid, cost=prices * np.mean(grid.cost))


def _with_ratings(grid: Grid) -> Grid:
    if np.isfinite(grid.rating).any():
        return grid
    flow, shift_flow = _flow(grid)
    incidence = _incidence(grid)
    share = grid.generation_max / grid.generation_max.sum()
    injection = np.bincount(grid.generator_bus, share * grid.demand.sum(), minlength=grid.demand.size)
    injection = injection - grid.demand - incidence.T @ shift_flow
    free = np.arange(grid.demand.size) != grid.reference
    angles = np.zeros(grid.demand.size)
    angles[free] = spsolve(sp.csc_array((incidence.T @ flow)[free][:, free]), injection[free])
    return replace(grid, rating=np.maximum(1.2 * np.abs(flow @ angles + shift_flow), 0.2))
