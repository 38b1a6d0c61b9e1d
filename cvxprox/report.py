"""What ``verbose=True`` prints."""

from __future__ import annotations

from cvxprox.algorithms.monitor import Record
from cvxprox.algorithms.session import Session
from cvxprox.algorithms.solve import Result
from cvxprox.explanation import Explanation

_COLUMNS = " iter |  primal   |   dual    |    gap    |   objective   | time (s)"
_RULE = "-" * len(_COLUMNS)


class Report:
    """Prints the plan at the start, then a row for checks at growing intervals."""

    def __init__(self, session: Session, plan: Explanation) -> None:
        options = session.options
        print(f"{_RULE}\n  cvxprox: the plan\n{_RULE}")
        print(plan)
        penalties = session.schedule if session.schedule is not None else session.rule().name
        print(
            f"  penalties: {penalties}, rho {options.rho:g}, alpha {session.alpha:g}; equilibration: "
            f"{options.passes()} passes; acceleration: {options.memory() or 'none'}; "
            f"polish: {'Newton' if session.newton else 'none'}"
        )
        print(
            f"  tolerances: eps_abs {options.eps_abs:.0e}, eps_rel {options.eps_rel:.0e}; "
            f"{session.program.q.dtype} on {session.program.q.device}"
        )
        print(f"{_RULE}\n{_COLUMNS}\n{_RULE}")
        self.last: Record | None = None
        self.next = 0.0

    def record(self, record: Record) -> None:
        """One check."""
        self.last = record
        if record["iteration"] >= self.next:
            self._row(record)
            self.next = max(1.2 * record["iteration"], record["iteration"] + 1)
            self.last = None

    def finish(self, result: Result) -> None:
        """The last row and the outcome."""
        if self.last is not None:
            self._row(self.last)
        final = result.residuals
        if result.info["polished"]:
            print(
                f" Newton| {final.primal:9.2e} | {final.dual:9.2e} | {final.gap:9.2e} | "
                f"{final.objective:13.6e} | {result.setup_time + result.solve_time:8.2e}"
            )
        print(f"{_RULE}\n  {result.status.value}")
        print(
            f"  {result.iterations} iterations, {result.info['penalty_updates']} penalty updates, "
            f"{result.info['polish_attempts']} polish attempts; setup {result.setup_time:.2e} s, "
            f"solve {result.solve_time:.2e} s\n{_RULE}"
        )

    def _row(self, r: Record) -> None:
        print(
            f"{int(r['iteration']):5d} | {r['primal']:9.2e} | {r['dual']:9.2e} | {r['gap']:9.2e} | "
            f"{r['objective']:13.6e} | {r['time']:8.2e}"
        )
