"""Solvers side by side: ``python -m benchmarks.run --suite qp``.

The repetitions are interleaved (every solver once, then all of them again), in one process with one thread;
the figures are medians. Tables are printed, and written with all runs to ``out/benchmarks/``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import memory, report
from benchmarks.instances import qp, socp
from benchmarks.measure import Resolver, Run, measure_compile, measure_solve, resolve_rounds
from benchmarks.program import Program
from benchmarks.report import Result
from benchmarks.solvers import Peer, choose
from benchmarks.suites import SUITES, Suite, Task

Measure = Callable[[int], Run]


def measures(
    task: Task, program: Program, peers: list[Peer], args: argparse.Namespace, eps: float
) -> list[Measure]:
    """For every solver a function that makes its k-th repetition of `task`."""
    if task == "resolve":
        rounds = resolve_rounds(program, args.repeats)
        return [_resolve(Resolver(program, peer, eps, args.limit), rounds) for peer in peers]
    once = measure_solve if task == "solve" else measure_compile
    return [_repeat(once, program, peer, eps, args.limit) for peer in peers]


def _resolve(resolver: Resolver, rounds: list[Program]) -> Measure:
    return lambda k: resolver.measure(rounds[k])


def _repeat(once: Callable[[Program, Peer, float, float], Run], *arguments: object) -> Measure:
    return lambda _: once(*arguments)  # type: ignore[arg-type]


def interleaved(measures: Sequence[Measure], repeats: int, patience: float) -> list[list[Run]]:
    """Repeat all of `measures` in turn; one that took longer than `patience` is not repeated."""
    runs: list[list[Run]] = [[] for _ in measures]
    for k in range(repeats):
        for measure, done in zip(measures, runs, strict=True):
            if not done or done[-1].wall <= patience:
                done.append(measure(k))
    return runs


def run_instance(name: str, suite: Suite, peers: list[Peer], args: argparse.Namespace) -> list[Result]:
    """All tasks of the suite on one instance, at every tolerance."""
    program = suite.instances[name]()
    able = [peer for peer in peers if program.kind in peer.kinds]
    results = []
    for eps in args.eps:
        for task in suite.tasks:
            all_runs = interleaved(measures(task, program, able, args, eps), args.repeats, args.patience)
            results += [
                Result(name, task, program.shape, program.nnz, peer.name, eps, tuple(runs))
                for peer, runs in zip(able, all_runs, strict=True)
            ]
    return results


def warm_up(peers: Sequence[Peer]) -> None:
    """Solve a tiny program of every kind: a first call pays for imports that no later one pays for."""
    quadratic = qp.qp("lasso", "s")
    for program in (quadratic, replace(quadratic, kind="lp", P=None), socp.socp("group_lasso", "s")):
        for peer in peers:
            if program.kind in peer.kinds:
                measure_solve(program, peer, eps=1e-4, limit=10.0)


def run_memory(names: list[str], peers: list[Peer], args: argparse.Namespace) -> None:
    """Print the peak memory of every solver on every instance."""
    kinds = {name: SUITES[args.suite].instances[name]().kind for name in names}
    records = [
        memory.in_subprocess(args.suite, name, peer.name, args.eps[0], args.limit)
        for name in names
        for peer in peers
        if kinds[name] in peer.kinds
    ]
    header = ("instance", "solver", "peak", "before", "wall", "status", "error")
    text = report.markdown(header, [[str(record[key]) for key in header] for record in records])
    print(text)
    report.write(
        args.out, f"{args.suite}-memory", {"environment": report.environment(), "memory": records}, text
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run one suite."""
    args = _parser().parse_args(argv)
    suite, peers = SUITES[args.suite], choose(args.solvers)
    names = suite.choose(args.instances)
    for peer in peers:
        peer.prepare()
    if args.memory:
        run_memory(names, peers, args)
        return
    warm_up(peers)
    results: list[Result] = []
    for name in names:
        found = run_instance(name, suite, peers, args)
        results += found
        print(report.markdown(report.HEADER, report.result_rows(found, args.against)), flush=True)
    summary = report.markdown(report.SUMMARY_HEADER, report.summary_rows(results, args.against))
    print(f"\n{report.SUMMARY_TITLE}\n{summary}")
    document = {
        "environment": report.environment(),
        "results": [report.as_document(result) for result in results],
    }
    table = report.markdown(report.HEADER, report.result_rows(results, args.against))
    report.write(
        args.out, args.label or args.suite, document, f"{table}\n\n{report.SUMMARY_TITLE}\n\n{summary}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    add = parser.add_argument
    add("--suite", choices=SUITES, required=True)
    add(
        "--instances",
        type=_names,
        help="names in the suite, separated by commas; default: all but the largest",
    )
    add("--solvers", type=_names, help="names separated by commas; default: all")
    add("--eps", type=_floats, default=[1e-6], help="tolerances, separated by commas; default: 1e-6")
    add("--repeats", type=int, default=5, help="repetitions of every solver; default: 5")
    add("--limit", type=float, default=120.0, help="time limit of one solve in seconds; default: 120")
    add("--patience", type=float, default=20.0, help="a run longer than this is not repeated; default: 20 s")
    add("--against", type=_names, default=[], help="solvers that ratios are to; default: all others")
    add("--memory", action="store_true", help="peak memory, one process a solve, instead of times")
    add("--out", type=Path, default=Path("out/benchmarks"), help="folder of the results")
    add("--label", help="name of the written files; default: the suite's")
    return parser


def _names(text: str) -> list[str]:
    return text.split(",")


def _floats(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
