"""Hourly profiles of load, photovoltaics and wind from SimBench (year 2016, simbench.de, ODbL 1.0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.instances.cache import cache_file, package_folder

NETWORK = "networks/1-complete_data-mixed-all-0-sw"
LOADS = ("mv_rural", "mv_semiurb", "mv_urban", "mv_comm", "hv_mixed1", "hv_mixed2", "hv_mixed3", "hv_urban")
PV = tuple(f"PV{i}" for i in range(1, 9))
WIND = tuple(f"WP{i}" for i in range(1, 13))


@dataclass(frozen=True)
class Profiles:
    """Arrays of shape ``(hours, profiles)``: relative load, and the output of 1 GW of capacity."""

    load: np.ndarray
    pv: np.ndarray
    wind: np.ndarray

    def averaged(self, hours: int, steps: int) -> Profiles:
        """The first `steps` means over `hours` consecutive hours."""

        def mean(a: np.ndarray) -> np.ndarray:
            whole = a[: a.shape[0] // hours * hours]
            return whole.reshape(-1, hours, a.shape[1]).mean(axis=1)[:steps].astype(float)

        return Profiles(mean(self.load), mean(self.pv), mean(self.wind))


def simbench_profiles() -> Profiles:
    """The profiles of the installed `simbench` package, from the cache where it has them."""
    path = cache_file("simbench", "hourly.npz")
    if not path.exists():
        profiles = _read(package_folder("simbench") / NETWORK)
        np.savez_compressed(path, load=profiles.load, pv=profiles.pv, wind=profiles.wind)
    with np.load(path) as data:
        return Profiles(**{field.name: data[field.name] for field in fields(Profiles)})


def _read(folder: Path) -> Profiles:
    renewable = folder / "RESProfile.csv"
    load = np.abs(_hourly(folder / "LoadProfile.csv", [f"{name}_pload" for name in LOADS]))
    pv, wind = _hourly(renewable, PV).clip(0, 1), _hourly(renewable, WIND).clip(0, 1)
    return Profiles(load.astype(np.float32), pv.astype(np.float32), wind.astype(np.float32))


def _hourly(path: Path, columns: Sequence[str]) -> np.ndarray:
    """Hourly means of quarter-hourly columns of a CSV file."""
    import pandas as pd

    table = pd.read_csv(path, sep=";", usecols=list(columns))[list(columns)].to_numpy(float)
    return table[: table.shape[0] // 4 * 4].reshape(-1, 4, len(columns)).mean(axis=1)
