"""The plan of a problem as a picture."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cvxprox.operators import Composed, LinearOperator, OnSlice, Scaled, Stacked, Sum
from cvxprox.program import Block, ProxProgram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

COLUMNS = {"variables": 0.0, "operators": 1.0, "functions": 2.0}
COLOURS = {"variables": "#d9e8f5", "operators": "#f3ead6", "functions": "#dff0e0", "solve": "#f5dcd9"}


def draw_plan(
    program: ProxProgram,
    names: Sequence[tuple[str, tuple[int, ...]]],
    quadratics: Sequence[str],
    title: str,
    path: str | Path | None,
) -> Figure:
    """Variables on the left, operators in the middle, functions on the right."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'cvxprox[plot]'") from error
    pieces = program.K.blocks if isinstance(program.K, Stacked) else (program.K,)
    rows = _rows(pieces, program.blocks)
    height = max(len(rows) + bool(quadratics), len(names), 1)
    figure, axes = plt.subplots(figsize=(10, 1.4 + 0.8 * height), layout="constrained")
    axes.set_axis_off()
    axes.set_xlim(-0.4, 2.5)
    axes.set_ylim(-0.6, height - 0.4)
    variables = []
    for i, (name, shape) in enumerate(names):
        y = height - (i + 0.5) * height / len(names) - 0.5
        variables.append(_box(axes, "variables", y, f"{name}\n{'×'.join(map(str, shape)) or 'scalar'}"))
    for i, (operator, block) in enumerate(rows):
        y = height - 1 - i
        middle = _box(axes, "operators", y, _short(describe_operator(operator), 34))
        right = _box(axes, "functions", y, f"{type(block.function).__name__}\n{_short(block.label, 40)}")
        _line(axes, middle, right)
        for variable, reads in zip(variables, _readers(operator, names), strict=True):
            if reads:
                _line(axes, variable, middle)
    if quadratics:
        labels = "\n".join(_short(term, 58) for term in quadratics[:2])
        text = f"linear solve\n{labels}"
        solve = _text(axes, 1.45, 0.0, text, "solve")
        for variable in variables:
            _line(axes, variable, solve)
    axes.set_title("\n".join(textwrap.wrap(title, 110)), fontsize=10)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def describe_operator(K: LinearOperator) -> str:
    """The operator by the names of its factors."""
    match K:
        case OnSlice():
            return describe_operator(K.inner)
        case Composed():
            return f"{describe_operator(K.outer)} ∘ {describe_operator(K.inner)}"
        case Scaled():
            number = f"{torch.as_tensor(K.scalar).item():.3g}"
            return {"1": "", "-1": "−"}.get(number, f"{number} · ") + describe_operator(K.inner)
        case Sum():
            return " + ".join(describe_operator(term) for term in K.terms)
    return type(K).__name__


def _readers(K: LinearOperator, names: Sequence[tuple[str, tuple[int, ...]]]) -> list[bool]:
    """Which variables an operator reads; all of them where its structure does not say."""
    parts = K.terms if isinstance(K, Sum) else (_unscaled(K),)
    slices = [(part.start, part.stop) for part in map(_unscaled, parts) if isinstance(part, OnSlice)]
    if len(slices) < len(parts):
        return [True] * len(names)
    starts = list(itertools.accumulate((math.prod(shape) for _, shape in names), initial=0))
    return [any(a <= start < b for a, b in slices) for start in starts[:-1]]


def _unscaled(K: LinearOperator) -> LinearOperator:
    return _unscaled(K.inner) if isinstance(K, Scaled) else K


def _rows(
    pieces: tuple[LinearOperator, ...], blocks: tuple[Block, ...]
) -> list[tuple[LinearOperator, Block]]:
    """Every block with the piece of K that its rows come from."""
    result: list[tuple[LinearOperator, Block]] = []
    start = 0
    for piece in pieces:
        stop = start + piece.shape_out[0]
        result.extend((piece, block) for block in blocks if start <= block.start < stop)
        start = stop
    return result


def _style(kind: str) -> dict[str, object]:
    return {"boxstyle": "round,pad=0.4", "facecolor": COLOURS[kind], "edgecolor": "#888888"}


def _box(axes: Axes, column: str, y: float, text: str) -> Text:
    return _text(axes, COLUMNS[column], y, text, column)


def _text(axes: Axes, x: float, y: float, text: str, kind: str) -> Text:
    return axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=_style(kind), zorder=3)


def _line(axes: Axes, source: Text, target: Text) -> None:
    """From the middle of one box to that of another, below both."""
    (x, y), (to_x, to_y) = source.get_position(), target.get_position()
    axes.plot([x, to_x], [y, to_y], color="#888888", linewidth=1.0, zorder=1)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
