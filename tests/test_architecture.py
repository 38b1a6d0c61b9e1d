"""The rules on the source tree: which way imports go, how long files are, what is packaged."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 400

# A unit is a module or subpackage of cvxprox; it may import itself and the units named here. Those on the
# torch side know nothing of CVXPY.
TORCH_SIDE: dict[str, set[str]] = {
    "errors": set(),
    "status": set(),
    "options": {"errors"},
    "operators": {"errors"},
    "prox": {"errors", "operators"},
    "program": {"errors", "operators", "prox"},
    "linear_solve": {"errors", "operators", "prox", "program"},
    "algorithms": {"errors", "status", "options", "operators", "prox", "program", "linear_solve"},
    "differentiation": {
        "errors", "status", "options", "operators", "prox", "program", "linear_solve", "algorithms",
    },
    "planning": {"errors", "operators", "prox", "program", "linear_solve", "algorithms"},
    "denoisers": {"errors"},
    "training": {"errors"},
    "plot": set(),
    "explain_plot": {"operators", "program"},
}  # fmt: skip
CVXPY_SIDE: dict[str, set[str]] = {
    "atoms": {"errors", "operators", "prox", "denoisers"},
    "template": set(),
    "reductions": {"errors", "operators", "prox", "program", "planning", "atoms"},
    "binding": {*TORCH_SIDE, "atoms", "reductions"},
    "explanation": {*TORCH_SIDE, "reductions"},
    "report": {*TORCH_SIDE, "explanation"},
    "solver": {*TORCH_SIDE, "reductions", "explanation", "report"},
    "layers": {*TORCH_SIDE, "atoms", "reductions", "binding", "explanation", "solver"},
    "registration": {*TORCH_SIDE, "reductions", "solver", "layers"},
    "explain": {*TORCH_SIDE, "reductions", "explanation", "solver"},
    "__init__": {
        *TORCH_SIDE, "atoms", "template", "reductions", "explanation", "report", "solver", "layers",
        "registration", "explain",
    },
}  # fmt: skip
ALLOWED = TORCH_SIDE | CVXPY_SIDE


def sources() -> list[Path]:
    """Every Python file of the library, those of `reductions` at their real place."""
    inside = [path for path in (ROOT / "cvxprox").rglob("*.py") if "reductions" not in path.parts]
    return sorted([*inside, *(ROOT / "reductions").rglob("*.py")])


def all_sources() -> list[Path]:
    """Every Python file of the library, the tests, the benchmarks and the examples."""
    folders = (ROOT / name for name in ("tests", "benchmarks", "examples"))
    return [*sources(), *sorted(path for folder in folders for path in folder.rglob("*.py"))]


def unit_of(path: Path) -> str:
    """The unit that a file belongs to."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "reductions" if parts[0] == "reductions" else parts[1]


def module_of(path: Path) -> str:
    """The dotted name of a file, ``__init__`` included."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name if name.startswith("cvxprox.") else f"cvxprox.{name}"


def imported_modules(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that `source`, of the module of that name, imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            # `from cvxprox import prox` imports a unit; from deeper packages the base says which.
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def import_violations(source: str, module: str, unit: str) -> list[str]:
    """What `source` imports against the rules, as lines of text."""
    found = []
    for line, name in imported_modules(source, module):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "reductions":
            found.append(f"{module}:{line} imports `reductions`: write `cvxprox.reductions`")
        elif top == "cvxpy" and unit in TORCH_SIDE:
            found.append(f"{module}:{line} imports cvxpy: `{unit}` is on the torch side")
        elif top == "cvxprox" and target in ALLOWED and target not in ALLOWED[unit] | {unit}:
            found.append(f"{module}:{line} imports `{target}`, which is not below `{unit}`")
        elif top == "cvxprox" and target not in ALLOWED and unit != "__init__":
            found.append(f"{module}:{line} imports `{name}`, which is not a unit of cvxprox")
    return found


def test_every_unit_has_its_place() -> None:
    unknown = sorted({unit_of(path) for path in sources()} - set(ALLOWED))
    assert not unknown, f"say in TORCH_SIDE or CVXPY_SIDE what these may import: {unknown}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    assert import_violations(path.read_text(), module_of(path), unit_of(path)) == []


@pytest.mark.parametrize(
    ("unit", "source"),
    [
        ("prox", "import cvxpy as cp"),
        ("prox", "def f():\n    from cvxpy.atoms import norm"),
        ("operators", "from cvxprox.prox import Box"),
        ("operators", "from cvxprox import prox"),
        ("operators", "import cvxprox.program"),
        ("prox", "from ..program import ProxProgram"),
        ("linear_solve", "from .. import algorithms"),
        ("program", "from cvxprox.reductions import prox_of"),
        ("algorithms", "import cvxprox.solver"),
        ("reductions", "from cvxprox.algorithms import iterate"),
        ("reductions", "from reductions.prox_of import prox_of"),
        ("solver", "from cvxprox.registration import register"),
        ("solver", "from cvxprox.nowhere import nothing"),
    ],
)
def test_a_wrong_import_is_found(unit: str, source: str) -> None:
    assert len(import_violations(source, f"cvxprox.{unit}.module", unit)) == 1


@pytest.mark.parametrize(
    ("unit", "source"),
    [
        ("prox", "import torch\nfrom .base import ProxFunction\nfrom cvxprox.prox.box import Box"),
        ("reductions", "import cvxpy\nfrom cvxprox import prox\nfrom . import prox_of"),
        ("algorithms", "from ..linear_solve import LinearSolve\nfrom cvxprox.status import Status"),
    ],
)
def test_a_right_import_is_let_through(unit: str, source: str) -> None:
    assert import_violations(source, f"cvxprox.{unit}.module", unit) == []


def test_the_units_form_no_cycle() -> None:
    done: set[str] = set()
    while ready := {unit for unit in ALLOWED if unit not in done and ALLOWED[unit] <= done}:
        done |= ready
    assert done == set(ALLOWED)


@pytest.mark.parametrize("path", all_sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_packages_are_the_folders() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {module_of(path).removesuffix(".__init__") for path in sources() if path.name == "__init__.py"}
    assert listed == sorted(folders)


def test_every_source_folder_is_a_package() -> None:
    bare = {path.parent for path in sources() if not (path.parent / "__init__.py").exists()}
    assert not bare


def test_reductions_is_one_package() -> None:
    assert (ROOT / "cvxprox" / "reductions").resolve() == ROOT / "reductions"
    assert importlib.import_module("cvxprox.reductions").__name__ == "cvxprox.reductions"
    with pytest.raises(ImportError, match=r"cvxprox\.reductions"):
        importlib.import_module("reductions")


def test_files_stand_alone() -> None:
    """No file names a path outside the repository that only its authors have."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("not a git checkout")
    outside = re.compile(rb"/wor" + rb"k/|\.\./sha" + rb"red")
    paths = [ROOT / name for name in listing.stdout.splitlines()]
    assert [path for path in paths if path.is_file() and outside.search(path.read_bytes())] == []
    assert outside.search(b"see /wor" + b"k/notes") and outside.search(b"../sha" + b"red/notes")
