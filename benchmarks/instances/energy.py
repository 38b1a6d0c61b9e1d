r"""Expansion of generation, storage and lines with hourly dispatch: one large sparse LP.

Every region :math:`r` chooses capacities and, for every step :math:`t`, a dispatch:

* wind, photovoltaics, gas and coal: :math:`g_{rt} \le \phi_{rt}\,\bar g_r`, with ramps and, for coal, a
  minimum load;
* a storage: power, energy and a cyclic state of charge with losses;
* load shedding at a price, up to a tenth of the load; a spinning reserve;
* lines to other regions (a ring with chords), with losses;
* the balance of every region in every step, limits on the land for wind and photovoltaics, and
  one budget of CO2 for all regions and steps, which is a dense row.

The objective is annualised investment plus running cost, in millions of euros; powers are in GW. Costs are
rounded from the technology data of the Danish Energy Agency; profiles are those of SimBench. All limits are
rows; variables are nonnegative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from benchmarks.instances.profiles import Profiles, simbench_profiles
from benchmarks.program import Program, from_bounds
from benchmarks.rows import Vector

SIZES = {"T0": (1, 168, 1), "S1": (2, 730, 1), "P1": (1, 4392, 2), "P2": (4, 8784, 1)}
"""Regions, steps and hours a step."""

PLANTS = ("wind", "pv", "gas", "coal")
AVAILABILITY = 0.94  # of gas and coal
CAPITAL = dict(wind=102.0, pv=51.0, gas=47.0, coal=140.0, power=18.0, energy=9.6, line=25.0)  # MEUR/GW a year
RUNNING = dict(wind=0.02, pv=0.01, gas=58.0, coal=32.0, shed=3000.0, storage=0.2, line=0.05)  # EUR/MWh
EMISSION = dict(gas=0.49, coal=0.95)  # t/MWh
RAMP = dict(gas=0.5, coal=0.15)  # of capacity, an hour
LAND = dict(wind=2.0, pv=3.0)  # of peak load
MINIMUM_COAL = 0.25
SHED_SHARE = RESERVE_SHARE = 0.10
CO2_SHARE = 0.25  # of the emission of a system of gas alone
EFFICIENCY, LEAK, LINE_EFFICIENCY = 0.93, 0.9998, 0.97

Term = tuple[np.ndarray, "float | np.ndarray"]
Bounds = tuple[sp.csr_array, Vector, Vector]


@dataclass
class RowList:
    """A sparse matrix in the making, with bounds on its rows."""

    triplets: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    lower: list[np.ndarray] = field(default_factory=list)
    upper: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(
        self, terms: Sequence[Term], lower: float | Vector = -np.inf, upper: float | Vector = np.inf
    ) -> int:
        """Append one row for every element of the terms' column arrays. Returns the number of the first."""
        size = terms[0][0].size
        first = self.reserve(size, lower, upper)
        for columns, coefficient in terms:
            self.extend(first + np.arange(size), columns, coefficient)
        return first

    def reserve(self, size: int, lower: float | Vector = -np.inf, upper: float | Vector = np.inf) -> int:
        """Append empty rows. Returns the number of the first."""
        self.lower.append(np.broadcast_to(lower, (size,)).astype(float))
        self.upper.append(np.broadcast_to(upper, (size,)).astype(float))
        self.count += size
        return self.count - size

    def extend(self, rows: np.ndarray, columns: np.ndarray, coefficient: float | np.ndarray) -> None:
        """Add entries to rows that exist already."""
        values = np.broadcast_to(coefficient, columns.shape).ravel().astype(float)
        self.triplets.append((rows, columns.ravel(), values))

    def bounds(self, columns: int) -> Bounds:
        """The matrix in sorted CSR form without zeros, and the lower and upper bounds of its rows."""
        i, j, v = (np.concatenate(part) for part in zip(*self.triplets, strict=True))
        matrix = sp.csr_array((v, (i, j)), shape=(self.count, columns))
        matrix.eliminate_zeros()
        matrix.sort_indices()
        return matrix, np.concatenate(self.lower), np.concatenate(self.upper)


@dataclass(frozen=True)
class System:
    """The data of one planning problem; `load` and the values of `factor` are regions × steps."""

    hours: int
    peak: Vector
    load: np.ndarray
    factor: dict[str, np.ndarray]
    lines: np.ndarray
    capital_noise: dict[str, Vector]

    @property
    def regions(self) -> int:
        """Number of regions."""
        return self.load.shape[0]

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return self.load.shape[1]


@dataclass
class Columns:
    """Numbers of the variables by name: capacities have one a region, dispatch one a region and step."""

    number: dict[str, np.ndarray] = field(default_factory=dict)
    count: int = 0

    def add(self, name: str, *shape: int) -> None:
        """Append a block of variables."""
        self.number[name] = self.count + np.arange(int(np.prod(shape))).reshape(shape)
        self.count += self.number[name].size

    def __getitem__(self, name: str) -> np.ndarray:
        return self.number[name]

    def each_step(self, name: str, steps: int) -> np.ndarray:
        """A capacity's columns repeated for every step."""
        return np.repeat(self[name][:, None], steps, axis=1)


def energy(size: str) -> Program:
    """The instance of one of the `SIZES`, with the profiles of SimBench."""
    regions, steps, hours = SIZES[size]
    return planning_program(f"energy-{size}", simbench_profiles(), regions, steps, hours)


def planning_program(name: str, profiles: Profiles, regions: int, steps: int, hours: int) -> Program:
    """The planning LP for the first `steps` means over `hours` hours of the profiles."""
    cost, (matrix, lower, upper) = planning_data(profiles, regions, steps, hours)
    return from_bounds(name, None, cost, matrix, lower, upper, nonnegative=True)


def planning_data(profiles: Profiles, regions: int, steps: int, hours: int) -> tuple[Vector, Bounds]:
    """Costs, and the matrix with the bounds of its rows; variables are nonnegative."""
    system = make_system(profiles.averaged(hours, steps), regions, hours)
    columns = _columns(system)
    rows = RowList()
    _plants(rows, columns, system)
    _storage_limits(rows, columns, system)
    _security(rows, columns, system)
    _state_of_charge(rows, columns, system)
    _balance(rows, columns, system)
    _line_limits(rows, columns, system)
    _budgets(rows, columns, system)
    return _costs(columns, system), rows.bounds(columns.count)


def make_system(profiles: Profiles, regions: int, hours: int) -> System:
    """Mix the profiles into regions; peak loads and deviations of capital costs are drawn with seed 0."""
    rng = np.random.default_rng(0)
    load, pv, wind = profiles.load, profiles.pv, profiles.wind
    peak = 0.5 + rng.random(regions)

    def region_load(r: int) -> np.ndarray:
        first, second = load[:, r % 8], load[:, (3 * r + 4) % 8]
        mixed = 0.7 * first / first.max() + 0.3 * second / second.max()
        return peak[r] * np.roll(mixed, (r // 8) % 3)

    every = range(regions)
    factor = {
        "wind": np.stack([0.5 * (wind[:, 5 * r % 12] + wind[:, (5 * r + 1 + r // 12) % 12]) for r in every]),
        "pv": np.stack([0.5 * (pv[:, r % 8] + pv[:, (r + 1 + r // 8) % 8]) for r in every]),
    }
    return System(
        hours=hours,
        peak=peak,
        load=np.stack([region_load(r) for r in every]),
        factor=factor,
        lines=_lines(regions),
        capital_noise={plant: 1 + 0.1 * rng.random(regions) for plant in PLANTS},
    )


def _lines(regions: int) -> np.ndarray:
    """Both ends of every line: a ring, and from four regions on a chord from every third region."""
    ring = [(i, (i + 1) % regions) for i in range(regions if regions > 2 else regions - 1)]
    chords = [(i, (i + regions // 2) % regions) for i in range(0, regions, 3)]
    count = regions // 3 if regions > 3 else 0
    return np.array(ring + chords[:count], dtype=int).reshape(-1, 2)


def _columns(system: System) -> Columns:
    columns = Columns()
    regions, steps, lines = system.regions, system.steps, len(system.lines)
    for name in (*PLANTS, "power", "energy"):
        columns.add(f"{name} capacity", regions)
    columns.add("line capacity", lines)
    for name in (*PLANTS, "charge", "discharge", "stored", "shed"):
        columns.add(name, regions, steps)
    for name in ("forward", "backward"):
        columns.add(name, lines, steps)
    return columns


def _costs(columns: Columns, system: System) -> Vector:
    years = system.steps * system.hours / 8760
    running = {name: euros / 1e3 for name, euros in RUNNING.items()}  # MEUR/GWh
    cost = np.zeros(columns.count)
    for plant in PLANTS:
        cost[columns[f"{plant} capacity"]] = CAPITAL[plant] * years * system.capital_noise[plant]
        cost[columns[plant]] = running[plant] * system.hours
    for name in ("power", "energy", "line"):
        cost[columns[f"{name} capacity"]] = CAPITAL[name] * years
    for name, price in (("charge", "storage"), ("discharge", "storage"), ("shed", "shed")):
        cost[columns[name]] = running[price] * system.hours
    for name in ("forward", "backward"):
        cost[columns[name]] = running["line"] * system.hours
    return cost


def _plants(rows: RowList, columns: Columns, system: System) -> None:
    constant = np.full(system.load.shape, AVAILABILITY)
    for plant in PLANTS:
        capacity = columns.each_step(f"{plant} capacity", system.steps)
        rows.add([(columns[plant], 1.0), (capacity, -system.factor.get(plant, constant))], upper=0.0)
    for plant, rate in RAMP.items():
        now, before = columns[plant], np.roll(columns[plant], 1, axis=1)
        step = (columns.each_step(f"{plant} capacity", system.steps), -min(1.0, rate * system.hours))
        rows.add([(now, 1.0), (before, -1.0), step], upper=0.0)
        rows.add([(before, 1.0), (now, -1.0), step], upper=0.0)
    coal = columns.each_step("coal capacity", system.steps)
    rows.add([(coal, MINIMUM_COAL), (columns["coal"], -1.0)], upper=0.0)


def _storage_limits(rows: RowList, columns: Columns, system: System) -> None:
    for name, limit in (("charge", "power"), ("discharge", "power"), ("stored", "energy")):
        capacity = columns.each_step(f"{limit} capacity", system.steps)
        rows.add([(columns[name], 1.0), (capacity, -1.0)], upper=0.0)


def _security(rows: RowList, columns: Columns, system: System) -> None:
    load = system.load.ravel()
    rows.add([(columns["shed"], 1.0)], upper=load * SHED_SHARE)
    reserve: list[Term] = []
    for name, limit in (("gas", "gas"), ("coal", "coal"), ("discharge", "power")):
        reserve += [(columns.each_step(f"{limit} capacity", system.steps), 1.0), (columns[name], -1.0)]
    rows.add(reserve, lower=RESERVE_SHARE * load)


def _state_of_charge(rows: RowList, columns: Columns, system: System) -> None:
    before = np.roll(columns["stored"], 1, axis=1)
    terms: list[Term] = [
        (columns["stored"], 1.0),
        (before, -(LEAK**system.hours)),
        (columns["charge"], -EFFICIENCY * system.hours),
        (columns["discharge"], system.hours / EFFICIENCY),
    ]
    rows.add(terms, lower=0.0, upper=0.0)


def _balance(rows: RowList, columns: Columns, system: System) -> None:
    load = system.load.ravel()
    terms: list[Term] = [(columns[plant], 1.0) for plant in PLANTS]
    terms += [(columns["discharge"], 1.0), (columns["charge"], -1.0), (columns["shed"], 1.0)]
    first = rows.add(terms, lower=load, upper=load)
    step = np.arange(system.steps)
    for line, (start, end) in enumerate(system.lines):
        for name, source, sink in (("forward", start, end), ("backward", end, start)):
            flow = columns[name][line]
            rows.extend(first + source * system.steps + step, flow, -1.0)
            rows.extend(first + sink * system.steps + step, flow, LINE_EFFICIENCY)


def _line_limits(rows: RowList, columns: Columns, system: System) -> None:
    if len(system.lines):
        capacity = columns.each_step("line capacity", system.steps)
        for name in ("forward", "backward"):
            rows.add([(columns[name], 1.0), (capacity, -1.0)], upper=0.0)


def _budgets(rows: RowList, columns: Columns, system: System) -> None:
    for plant, share in LAND.items():
        rows.add([(columns[f"{plant} capacity"], 1.0)], upper=share * system.peak)
    total = CO2_SHARE * EMISSION["gas"] * system.load.sum() * system.hours
    budget = rows.reserve(1, upper=total)
    for plant, emission in EMISSION.items():
        rows.extend(np.full(columns[plant].size, budget), columns[plant], emission * system.hours)
