"""Command line: ``python -m benchmarks.imaging --problem deblur --sizes 128 256 --solvers prototype SCS``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.imaging import tables
from benchmarks.imaging.compare import Plan, Result, compare, in_time
from benchmarks.imaging.instances import PROBLEMS, instance
from benchmarks.imaging.memory import memory_of
from benchmarks.imaging.methods import Method, choose
from benchmarks.imaging.peers import LIBRARIES
from benchmarks.solvers import OURS


def run(
    problems: Sequence[str], sizes: Sequence[int], methods: Sequence[Method], plan: Plan
) -> Iterator[list[Result]]:
    """`methods` on one instance after the other; one that is too slow is left out of the larger ones."""
    for problem in problems:
        left = [method for method in methods if problem in method.problems]
        starts: dict[str, float] = {}
        for size in sorted(sizes):
            found = compare(instance(problem, size), left, starts, plan)
            yield found
            larger = [other for other in sizes if other > size]
            going = {result.solver for result in found if larger and in_time(result, min(larger), plan.limit)}
            left = [method for method in left if method.name in going]


def warm_up(methods: Sequence[Method], plan: Plan) -> None:
    """Solve tiny instances: a first call pays for imports that no later one pays for."""
    for method in methods:
        for problem in method.problems:
            method.solve(instance(problem, 16), method.start, plan.limit)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print tables and write them."""
    args = _parser().parse_args(argv)
    torch.set_num_threads(1)
    pythons = _pythons(args.peer_python)
    methods = choose(args.solvers, pythons)
    plan = Plan(
        args.target, args.limit, args.patience, args.repeats, args.out / "optima",
        {name: float(value) for name, value in (text.split("=") for text in args.setting)},
    )  # fmt: skip
    warm_up(methods, replace(plan, limit=60.0))
    results: list[Result] = []
    for found in run(args.problem, args.sizes, methods, plan):
        results += found
        print(report.markdown(tables.HEADER, tables.rows(found)), flush=True)
        write(results, [], args.out, args.label)
    if args.memory:
        records = [memory_of(result, plan.limit, pythons) for result in results if result.reached]
        write(results, [record for record in records if record], args.out, args.label)
    tables.figure(results, args.out / f"{args.label}.png")
    print("\n" + (args.out / f"{args.label}.md").read_text())


def write(results: Sequence[Result], records: list[dict[str, Any]], folder: Path, label: str) -> None:
    """Tables as Markdown, everything as JSON."""
    parts = [
        (tables.HEADER, tables.rows(results)),
        (tables.GROWTH_HEADER, tables.growth_rows(results)),
        (tables.MEMORY_HEADER, tables.memory_rows(records)),
    ]
    text = "\n\n".join(report.markdown(header, rows) for header, rows in parts if rows)
    growth = [
        dict(zip(("problem", "solver", "sizes", "exponent"), row, strict=True))
        for row in tables.growth(results)
    ]
    document = {
        "environment": report.environment(),
        "results": [tables.as_document(result) for result in results],
        "growth": growth,
        "memory": records,
    }
    report.write(folder, label, document, text)


def _pythons(texts: Sequence[str]) -> dict[str, str]:
    """Interpreters by library: NAME=PATH for one of them, PATH alone for all others."""
    named = dict(text.split("=", 1) for text in texts if "=" in text)
    default = next((text for text in texts if "=" not in text), sys.executable)
    return dict.fromkeys(LIBRARIES, default) | named


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imaging", description=__doc__)
    add = parser.add_argument
    add("--problem", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="default: both")
    add("--sizes", nargs="+", type=int, default=[64, 128, 256], help="pixels along an edge")
    add("--solvers", nargs="+", default=[OURS, "prototype"], help="names; default: ours and the prototype")
    add("--target", type=float, default=1e-4, help="relative error of the objective; default: 1e-4")
    add("--limit", type=float, default=120.0, help="seconds that a solve may take; default: 120")
    add("--patience", type=float, default=20.0, help="a longer run is not repeated; default: 20 s")
    add("--repeats", type=int, default=3, help="repetitions, interleaved; default: 3")
    add("--memory", action="store_true", help="peak memory too, one more solve each")
    add("--setting", nargs="+", default=[], metavar="SOLVER=VALUE", help="fix settings, do not look for them")
    add("--peer-python", nargs="+", default=[], metavar="[NAME=]PATH", help="interpreters of SCICO, PROXIMAL")
    add("--out", type=Path, default=Path("out/imaging"), help="folder of the results")
    add("--label", default="imaging", help="name of the written files; default: imaging")
    return parser


if __name__ == "__main__":
    main()
