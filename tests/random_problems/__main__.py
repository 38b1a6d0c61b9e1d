"""Run random problems and print the failures and a summary.

Examples: ``python -m tests.random_problems --count 2000 --jobs 2``,
``python -m tests.random_problems --family sdp --seed 123``,
``python -m tests.random_problems --solver SCS --set eps_abs=1e-9 --set eps_rel=1e-9``.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
from functools import partial

from tests.random_problems.generate import FAMILIES, case
from tests.random_problems.oracle import Outcome, run
from tests.random_problems.processes import in_processes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.random_problems", description=__doc__)
    parser.add_argument("--solver", default="NABLA_ADMM")
    parser.add_argument("--family", choices=FAMILIES, help="only this family")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, help="number of problems (one, if --family is given)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one solve")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="a solver option")
    parser.add_argument("--show", action="store_true", help="print the problems and the discarded cases too")
    return parser.parse_args()


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def summary(outcomes: list[Outcome]) -> str:
    """A table with a line per family."""
    lines = [f"{'family':<12}{'cases':>7}{'ok':>7}{'failed':>8}{'discarded':>11}{'median s':>10}{'max s':>8}"]
    for family in (*FAMILIES, "all"):
        own = [o for o in outcomes if family in (o.family, "all")]
        times = [o.seconds for o in own if o.verdict != "discarded"] or [0.0]
        counts = [sum(o.verdict == v for o in own) for v in ("ok", "failed", "discarded")]
        if own:
            lines.append(
                f"{family:<12}{len(own):>7}{counts[0]:>7}{counts[1]:>8}{counts[2]:>11}"
                f"{statistics.median(times):>10.3f}{max(times):>8.2f}"
            )
    for status in sorted({o.status for o in outcomes}):
        own = [o for o in outcomes if o.status == status and o.verdict != "discarded"]
        lines.append(f"{status}: {sum(o.verdict == 'ok' for o in own)} of {len(own)} ok")
    return "\n".join(lines)


def main() -> int:
    args = _arguments()
    options = {key: _value(text) for key, _, text in (item.partition("=") for item in args.set)}
    families = (args.family,) if args.family else FAMILIES
    count = args.count or (1 if args.family else 200)
    items = [(families[i % len(families)], args.seed + i // len(families)) for i in range(count)]
    work = partial(run, solver=args.solver, options=options, limit=args.limit)
    outcomes = []
    for outcome in in_processes(work, items, args.jobs, args.solver, args.limit):
        outcomes.append(outcome)
        if outcome.verdict == "failed" or args.show:
            print(outcome, flush=True)
    if args.show and count == 1:
        print(case(*items[0]).problem)
    print(summary(sorted(outcomes, key=lambda o: (o.family, o.seed))))
    return int(any(o.verdict == "failed" for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
