"""This library as a solver of cvxpylayers: ``CvxpyLayer(..., solver=CvxpyLayersSolver())``.

Needs cvxpylayers 1.2: ``pip install "cvxprox[cvxpylayers]"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from cvxpylayers.interfaces.base import SolverInterface
from torch import Tensor

from cvxprox.layers.differentiable import Differentiable
from cvxprox.layers.modes import Mode
from cvxprox.layers.raw_parameters import PROGRAM, RawProgram, RawSolver
from cvxprox.layers.tensors import check_inputs
from cvxprox.options import Options

LAYER = "layer"
"""Where the compiled problem stands, next to its `RawProgram`."""


class CvxpyLayersSolver(SolverInterface):
    """Solves and differentiates the problems of a ``cvxpylayers.torch.CvxpyLayer``.

    The layer hands over the parameters themselves; batches are solved together. Samples that fail
    give NaN and a warning that names them. What cvxpylayers asks of a problem stays: it is DPP, its
    variables are real. `cvxprox.ProxLayer` asks for neither.

    Parameters
    ----------
    differentiation : str or Differentiation, optional
        As in `cvxprox.ProxLayer`.
    **options
        As documented in `cvxprox.Options`. ``solver_args`` of the layer override them, and those of a call
        these in turn.

    Raises
    ------
    ValueError
        If an option is unknown or out of range.

    Examples
    --------
    >>> import cvxpy as cp, torch
    >>> from cvxpylayers.torch import CvxpyLayer
    >>> x, p = cp.Variable(2), cp.Parameter(2)
    >>> problem = cp.Problem(cp.Minimize(cp.sum_squares(x - p)), [x >= 0])
    >>> layer = CvxpyLayer(problem, parameters=[p], variables=[x], solver=CvxpyLayersSolver())
    >>> (solution,) = layer(torch.tensor([1.0, -1.0], dtype=torch.float64))
    """

    supports_quad_obj = True

    def __init__(self, differentiation: Mode = None, **options: Any) -> None:
        self.differentiation = differentiation
        self.options = Options().with_changes(options)

    @property
    def canon_solver_name(self) -> Any:
        """What compiles the problem: a solver and not its name, which CVXPY takes as well.

        A new one for every layer, since CVXPY keeps what it has compiled by the solver.
        """
        return RawSolver()

    def setup(self, ctx: Any) -> None:
        """Prepare a layer: `ctx` is its ``LayersContext``."""
        raw: RawProgram = ctx.cone_dims[PROGRAM]
        wanted = {v.id for v in ctx.variables}
        duals = [c.id for c in raw.problem.constraints if any(v.id in wanted for v in c.dual_variables)]
        compiled = Differentiable(raw.problem, self.options.with_changes(raw.options), self.differentiation)
        ctx.cone_dims[LAYER] = _Layer(raw, compiled, ctx, duals)

    def solve_torch_batch(
        self,
        P: None,
        q: Tensor,
        A: Tensor,
        dims: Mapping[str, Any],
        solver_args: dict[str, Any],
        needs_grad: bool,
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Solve for every row of `q`, of shape ``(batch, parameters + 1)``.

        Raises
        ------
        ValueError
            If an option in `solver_args` is unknown or out of range.
        """
        layer: _Layer = dims[LAYER]
        leaf = q.detach().requires_grad_(needs_grad)
        with torch.set_grad_enabled(needs_grad):
            primal, dual = layer.solve(leaf, layer.compiled.options.with_changes(solver_args))
        return primal.detach(), dual.detach(), (leaf, primal, dual)

    def derivative_torch_batch(
        self, dprimal: Tensor, ddual: Tensor, saved_state: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[None, Tensor, Tensor]:
        """The gradient in `q` from those in the two results."""
        leaf, primal, dual = saved_state
        pairs = [(r, d) for r, d in ((primal, dprimal), (dual, ddual)) if r.requires_grad]
        gradient = torch.zeros_like(leaf)
        if pairs:
            results, grads = zip(*pairs, strict=True)
            (gradient,) = torch.autograd.grad(results, [leaf], grads, retain_graph=True)
        return None, gradient, leaf.new_zeros(leaf.shape[0], 0)


@dataclass
class _Layer:
    """The problem of one layer."""

    raw: RawProgram
    compiled: Differentiable
    context: Any
    duals: list[int]

    def solve(self, q: Tensor, options: Options) -> tuple[Tensor, Tensor]:
        """The stacked variables and, where the layer returns some, dual values; two-dimensional."""
        inputs = check_inputs(self.raw.parameters(q, self._shared()))
        options = replace(options, device=str(q.device), dtype=str(q.dtype).removeprefix("torch."))
        solution = self.compiled(inputs, options, duals=self.duals)
        solution.outcomes.warn(stacklevel=2)
        primal = self.raw.primal(solution.primal, inputs.batch)
        dual = self.raw.dual(solution.dual, inputs.batch, primal)
        return (primal, dual) if inputs.batch else (primal[None], dual[None])

    def _shared(self) -> set[int]:
        """The ids of the parameters that came without batch dimension, and are the same in all rows."""
        renamed = self.context.gp_param_to_log_param or {}
        given = zip(self.context.parameters, self.context.batch_sizes, strict=True)
        return {renamed.get(p, p).id for p, size in given if size == 0}
