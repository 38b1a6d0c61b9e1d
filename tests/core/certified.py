"""Programs without an optimum: infeasible ones with their certificates, and a descent."""

from __future__ import annotations

from torch import Tensor

from cvxprox import prox
from cvxprox.program import ProxProgram

from .programs import INF, Rows, box, build, vector

INFEASIBLE: dict[str, tuple[ProxProgram, Tensor]] = {
    # x >= 1, x <= 0
    "bounds": (build([[1.0], [-1.0]], vector(-1, 0), [box([0, 0], [INF, INF])]), vector(-1, -1)),
    # x + y == 1, x + y == 2
    "equalities": (build([[1.0, 1], [1, 1]], vector(0, 0), [box([1, 2], [1, 2])]), vector(1, -1)),
    # 0 <= x <= 1, 3 <= x <= 4
    "intervals": (build([[1.0], [1.0]], vector(0, 0), [box([0, 3], [1, 4])]), vector(1, -1)),
    # |x| <= -1
    "cone": (
        build([[0.0], [1.0]], vector(-1, 0), [(prox.SecondOrderCone(), (1, 2), None)]), vector(-2, 0)
    ),
    # |x| <= 1, x >= 2
    "ball": (
        build(
            [[1.0, 0], [0, 1], [1, 0]],
            vector(0, 0, -2),
            [(prox.Norm2Ball(vector(1)), (1, 2), None), box([0], [INF])],
        ),
        vector(1, 0, -1),
    ),
    # log(x) in the objective, x <= -1
    "domain": (
        build([[1.0], [1.0]], vector(0, 0), [(prox.NegLog(), (1,), vector(2)), box([-INF], [-1])]),
        vector(-1, 1),
    ),
}  # fmt: skip


def descending(weight: float = 0.5, upper: float = INF, P: float | None = None) -> ProxProgram:
    """Minimize -x + weight |x| + P x^2 / 2 subject to 0 <= x <= upper."""
    rows: list[Rows] = [box([0.0], [upper]), (prox.Abs(), (1,), vector(weight))]
    quadratic = None if P is None else [[P]]
    return build([[1.0], [1.0]], vector(0, 0), rows, vector(-1), quadratic)
