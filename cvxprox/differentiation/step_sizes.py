"""Step sizes that all samples of a batch converge with."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from cvxprox.algorithms import LinearisedADMM, PrimalDualHybridGradient, Splitting
from cvxprox.algorithms.forward_backward import GradientMethod
from cvxprox.algorithms.quadratic_step import LinearisedStep
from cvxprox.differentiation.samples import has_batched_matrices
from cvxprox.operators import as_dense
from cvxprox.program import ProxProgram


def with_common_steps(splitting: Splitting, program: ProxProgram) -> Splitting:
    """The algorithm of one sample for the whole batch.

    Where every sample has matrices of its own, the norms that bound the step sizes are the largest.
    """
    common = splitting.with_program(program)
    if not has_batched_matrices(program):
        return common
    match common:
        case LinearisedADMM():
            size = _coupling(program, common.rho, common.d)
            quadratic = common.quadratic
            if isinstance(quadratic, LinearisedStep):
                quadratic = replace(quadratic, norm=_curvature(program, common.d))
            return replace(common, norm=size, quadratic=quadratic)
        case PrimalDualHybridGradient():
            size, curved = _coupling(program, common.rho, common.d), _curvature(program, common.d)
            return replace(common, coupling=size, curvature=curved)
        case GradientMethod():
            curved = _curvature(program, torch.ones_like(program.q[..., :]).reshape(-1, program.variables)[0])
            longest = program.q.new_tensor(1 / curved if curved > 0 else torch.inf)
            inner = replace(common.forward_backward, longest=longest)
            return replace(common, forward_backward=inner)  # type: ignore[type-var]
    return common


def _coupling(program: ProxProgram, rho: Tensor, d: Tensor) -> float:
    return _norm(rho.sqrt()[..., :, None] * as_dense(program.K) * d) ** 2


def _curvature(program: ProxProgram, d: Tensor) -> float:
    return 0.0 if program.P is None else _norm(d[:, None] * as_dense(program.P) * d)


def _norm(A: Tensor) -> float:
    """The largest spectral norm of a batch."""
    return float(torch.linalg.matrix_norm(A, 2).max()) if A.numel() else 0.0
