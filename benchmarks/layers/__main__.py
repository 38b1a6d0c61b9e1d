"""Command line: ``python -m benchmarks.layers --families qp,socp --sizes 10,50 --solvers OURS,DIFFCP``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.layers import memory, tables
from benchmarks.layers.alone import alone
from benchmarks.layers.instances import FAMILIES, Instance
from benchmarks.layers.measure import Result, compare
from benchmarks.layers.oracle import ORACLES, exact
from benchmarks.layers.solvers import SOLVERS, Solver, choose

ALONE = "parameter"
"""The family whose solvers run in processes of their own: its memory is measured too."""
MEMORY = "memory"


def run(instance: Instance, solvers: Sequence[Solver], repeat: int, patience: float) -> list[Result]:
    """All `solvers` on one instance."""
    if instance.family == ALONE:
        able = [solver for solver in solvers if instance.family in solver.families]
        return [alone(instance, solver, repeat, patience) for solver in able]
    truth = exact(instance) if instance.family in ORACLES else []
    return compare(instance, solvers, truth, repeat, patience)


def warm_up(solvers: Sequence[Solver]) -> None:
    """Solve tiny programs: a first call pays for imports that no later one pays for."""
    for family in ORACLES:
        if family != ALONE:
            compare(FAMILIES[family].make(6, 2), solvers, [], repeat=1, patience=0.0)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print tables and write them."""
    args = _parser().parse_args(argv)
    torch.set_num_threads(1)
    solvers = choose(args.solvers)
    unknown = sorted(set(args.families) - {*FAMILIES, MEMORY})
    if unknown:
        raise ValueError(f"unknown families {', '.join(unknown)}; known are {', '.join([*FAMILIES, MEMORY])}")
    warm_up(solvers)
    results: list[Result] = []
    for name in args.families:
        if name == MEMORY:
            continue
        family = FAMILIES[name]
        for size in args.sizes if name == "qp" and args.sizes else family.sizes:
            instance = family.make(size, args.samples or family.samples)
            found = run(instance, solvers, args.repeat, args.patience)
            results += found
            print(report.markdown(tables.HEADER, tables.rows(found)), flush=True)
            write(results, [], args.out, args.label)
    records = memory.table() if MEMORY in args.families else []
    write(results, records, args.out, args.label)
    print("\n" + (args.out / f"{args.label}.md").read_text())


def write(results: Sequence[Result], records: list[dict[str, Any]], folder: Path, label: str) -> None:
    """Tables as Markdown, everything as JSON."""
    parts = [
        (tables.HEADER, tables.rows(results)),
        (tables.memory_header(records), tables.memory_rows(records)),
    ]
    text = "\n\n".join(report.markdown(header, rows) for header, rows in parts if rows)
    document = {
        "environment": report.environment(),
        "results": [tables.as_document(result) for result in results],
        "memory": records,
    }
    report.write(folder, label, document, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description=__doc__)
    add = parser.add_argument
    every = [*FAMILIES, MEMORY]
    add("--families", type=_names, default=every, help=f"separated by commas; default: {','.join(every)}")
    add("--sizes", type=_numbers, help="variables of the quadratic programs; default: 10,50,100")
    add("--samples", type=int, help="samples in a batch; default: 128, 8 and 32 of qp, lasso and socp")
    add("--solvers", type=_names, default=list(SOLVERS), help=f"default: {','.join(SOLVERS)}")
    add("--repeat", type=int, default=5, help="repetitions, interleaved; default: 5")
    add("--patience", type=float, default=10.0, help="a longer run is not repeated; default: 10 s")
    add("--out", type=Path, default=Path("out/layers"), help="folder of the results")
    add("--label", default="layers", help="name of the written files; default: layers")
    return parser


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
