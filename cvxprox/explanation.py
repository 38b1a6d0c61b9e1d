"""What the compiler made of a problem."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cvxprox.algorithms import Session
from cvxprox.planning import Choice
from cvxprox.program import Block, ProxProgram, describe_points
from cvxprox.reductions.assemble import Assembled
from cvxprox.reductions.assemble_structured import AssembledStructured
from cvxprox.reductions.parametric import ParametricProgram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED_STEPS = 5
QUADRATIC = "quadratic form"


@dataclass(frozen=True, eq=False)
class Explanation:
    """The plan for a problem; ``print`` it, or draw it with `plot`.

    Attributes
    ----------
    algorithm : str
    program : ProxProgram
        The program that the algorithm runs on.
    lane : str
        "matrix-free" where operators stay operators, "assembled" where they are one sparse matrix.
    variables : tuple of (name, shape)
    choices : tuple of Choice
        Where every term of the objective and every constraint went.
    notes : tuple of str
        What was joined, absorbed or merged.
    linear_solve : str
        The linear solve and why it was chosen.
    seconds : float or None
        The median time of an iteration on this machine; None if it was not measured.
    """

    algorithm: str
    program: ProxProgram
    lane: str
    variables: tuple[tuple[str, tuple[int, ...]], ...]
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]
    linear_solve: str
    seconds: float | None

    def __str__(self) -> str:
        program = self.program
        names = ", ".join(f"{name} {'×'.join(map(str, shape)) or 'scalar'}" for name, shape in self.variables)
        lines = [
            f"{self.algorithm} on {program.q.dtype} ({program.q.device}), {self.lane}",
            f"  minimize {'½xᵀPx + ' if program.P is not None else ''}qᵀx + Σ wⱼ gⱼ(zⱼ),  z = Kx + b",
            f"  variables: {names}: {program.variables:,} numbers; {program.rows:,} rows of z",
        ]
        for place in dict.fromkeys(choice.place for choice in self.choices):
            lines.append(f"  {place}:")
            chosen = [choice for choice in self.choices if choice.place == place]
            width = min(max(len(choice.term) for choice in chosen), 60)
            for choice in chosen:
                lines.append(f"    {_shortened(choice.term, 60):<{width}}  {choice.why}".rstrip())
        lines.append(f"  linear solve: {self.linear_solve}")
        lines.extend(f"  {note}" for note in self.notes)
        if self.seconds is not None:
            lines.append(f"  an iteration takes {1e3 * self.seconds:.3g} ms here")
        return "\n".join(lines)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw variables, operators and functions as a graph, and save it where `path` says.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from cvxprox.explain_plot import draw_plan

        quadratics = [choice.term for choice in self.choices if choice.place == QUADRATIC]
        title = f"{self.algorithm}, {self.lane}: {self.linear_solve}"
        return draw_plan(self.program, self.variables, quadratics, title, path)


def explanation(
    session: Session,
    assembled: Assembled | AssembledStructured,
    parametric: ParametricProgram,
    measure: bool = False,
) -> Explanation:
    """The plan of a session for an assembled problem."""
    program, options = session.program, session.options
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    blocks = program.blocks
    variables = tuple((name, shape) for name, shape in parametric.names)
    lane = "assembled"
    if isinstance(assembled, AssembledStructured):
        plan = assembled.plan
        choices, notes = plan.choices, plan.notes
        blocks = blocks[: len(blocks) - len(plan.planned)]
        lane = "assembled" if options.lane == "assembled" else "matrix-free"
    choices = (*choices, *(_of_block(block) for block in blocks))
    if program.P is not None and not any(c.place == QUADRATIC for c in choices):
        choices = (Choice("quadratic terms of the objective", QUADRATIC), *choices)
    return Explanation(
        options.algorithm, program, lane, variables, choices, notes, session.solver_text(),
        _seconds(session) if measure else None,
    )  # fmt: skip


def _of_block(block: Block) -> Choice:
    return Choice(block.label, "prox", f"{describe_points(block.function, block.shape)}, assembled")


@torch.no_grad()
def _seconds(session: Session) -> float:
    algorithm = session.splitting()
    state = algorithm.step(algorithm.init())
    times = []
    for _ in range(MEASURED_STEPS):
        start = time.perf_counter()
        state = algorithm.step(state)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
