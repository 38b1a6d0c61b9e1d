"""`cvxprox.specialize`: the same solver with another way to differentiate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from cvxprox.algorithms import Learned, LogDescent
from cvxprox.atoms.prior import Settings
from cvxprox.layers.compiled import CompiledSolver
from cvxprox.layers.modes import as_mode, options_of
from cvxprox.layers.modules import holders
from cvxprox.layers.schedule import Given

DEFAULT_ITERATIONS = 10


def specialize(solver: CompiledSolver, mode: str, **options: Any) -> CompiledSolver:
    """A solver of the same problem that differentiates in another way; networks are shared.

    Parameters
    ----------
    solver : CompiledSolver
        Made by `cvxprox.compile`; it stays as it is.
    mode : str
        "unroll" differentiates a fixed number of iterations; "deq" the fixed point ("implicit" is the
        same); "jfb" the last step; "shine" with the matrix of a Broyden method; "kkt" the optimality
        conditions.
    **options
        Those of the class of the mode (`cvxprox.differentiation.Unroll`, ``Implicit``, ``JacobianFree``,
        ``Shine``), except that `max_iter` is the number of iterations of the solver; and those of
        `cvxprox.Options`. With "unroll": ``shared=False`` makes penalties, and noise levels where there are
        denoisers of free noise level, learnable parameters of the module, one for every iteration; `rhos` and
        `sigmas` are their values at the start.

    Raises
    ------
    ValueError
        If there is no such mode or option.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox
    >>> x, y = cp.Variable(3, name="x"), cp.Parameter(3, name="y")
    >>> solver = cvxprox.compile(cp.Problem(cp.Minimize(cp.sum_squares(x - y) + cp.norm1(x))))
    >>> unrolled = cvxprox.specialize(solver, "unroll", max_iter=5, shared=False)
    >>> [name for name, _ in unrolled.named_parameters()]
    ['schedule.log_rho']
    """
    own_names = options_of(mode) - {"max_iter"}
    own = {name: value for name, value in options.items() if name in own_names}
    rest = {name: value for name, value in options.items() if name not in own}
    if mode == "unroll":
        rest, own = _unrolled(solver, rest, own)
    function = solver.function
    chosen: Any = replace(cast(Any, as_mode(mode, convex=True)), **own)
    return CompiledSolver(solver.problem, function.options.with_changes(rest), chosen, function.gp)


def _unrolled(
    solver: CompiledSolver, rest: dict[str, Any], own: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the solver and of the mode, with what is learned per iteration as a schedule."""
    limit = rest.pop("max_iter", None) or own.pop("iterations", None) or solver.function.options.max_iter
    iterations = limit or DEFAULT_ITERATIONS
    own = {**own, "iterations": iterations}
    rhos, sigmas = rest.pop("rhos", 1.0), rest.pop("sigmas", None)
    if own.get("shared", True):
        return rest, own
    if sigmas is None:
        sigmas = _noise_levels(solver, iterations)
    return {**rest, "schedule": Learned(iterations, Given(rhos, sigmas))}, own


def _noise_levels(solver: CompiledSolver, iterations: int) -> list[float] | None:
    """Noise levels to start learning from; None where nothing takes its level from the iteration."""
    for holder in holders(solver.problem):
        if isinstance(holder, Settings) and holder.numbers.get("sigma", 0.0) is None:
            width = holder.value_range[1] - holder.value_range[0]
            descent = LogDescent(width * LogDescent.start, width * LogDescent.stop, iterations)
            return [float(descent(k).noise or 0.0) for k in range(iterations)]
    return None
