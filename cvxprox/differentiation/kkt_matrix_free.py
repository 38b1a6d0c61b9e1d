"""The linearised optimality conditions of a program whose operators can only be applied."""

from __future__ import annotations

import abc

import torch
from torch import Tensor

from cvxprox.algorithms import Point
from cvxprox.differentiation.sensitivity import Sensitivity
from cvxprox.linear_solve import ConjugateGradient, LinearSolve, SpectralSolve
from cvxprox.linear_solve.induced_dimension import induced_dimension_reduction
from cvxprox.linear_solve.pieces import constant
from cvxprox.linear_solve.structure import NoStructure, analyse
from cvxprox.program import Block, ProxProgram

SOFTER = 0.03
"""Penalties of the linear system, relative to those of the run: Krylov methods prefer small ones."""

INNER = 1e-12
"""Relative residual of inner solves where no closed form is known."""

FEW_COMPONENTS = 4
"""Size of points up to which the matrices of D are kept."""


class MatrixFreeSensitivity(Sensitivity):
    r"""J by the linear solve of ADMM and a Krylov method; without batch, on any device.

    With :math:`A = P + K^TRK` and :math:`M = KA^{-1}K^TR` the unknown :math:`\Delta x` is eliminated,

    .. math:: \Delta x = A^{-1}\bigl(f_x + K^TR\,(f_v - (I - 2D)\Delta v)\bigr),\qquad
              \bigl(M(I - 2D) + D\bigr)\,\Delta v = KA^{-1}(f_x + K^TRf_v) - f_v.

    The operator on the left is :math:`\tfrac12(I - (I - 2M)(I - 2D))`, the linearised iteration of ADMM:
    a closed form of :math:`A^{-1}` serves here too. :math:`(\Delta x, \Delta z, \Delta y)` does not
    depend on R, so R is chosen for the Krylov method. How many iterations it takes depends on the
    program: images that their data hardly determine (a strong blur, little regularisation) take
    thousands, and `residual` tells how far a limit has let it come.

    Parameters
    ----------
    program : ProxProgram
        Without graph.
    point : Point
        The solution.
    rho : Tensor, shape (m,)
        Constant on every piece of K, unless no closed form is known anyway.
    tol : float
        Relative residual to stop at.
    max_iter : int
        Products with the operator at most.
    """

    def __init__(self, program: ProxProgram, point: Point, rho: Tensor, tol: float, max_iter: int) -> None:
        self.program, self.tol, self.max_iter = program, tol, max_iter
        self.given = rho.detach().expand(program.rows)
        self.rho = SOFTER * self.given
        point = Point(*(t.detach() for t in point))
        v, steps = point.z + point.y / self.rho, program.steps(self.rho)
        self.derivatives = [
            _linearised(block, block.points(v), t) for block, t in zip(program.blocks, steps, strict=True)
        ]
        self.nothing = torch.zeros_like(program.q)
        self.units = None if constant(self.rho) is not None else self.rho.sqrt()
        with torch.no_grad():
            self.linear_solve, self.factor = _factored(program, self.nothing, self.rho)

    @torch.no_grad()
    def solve(self, *f: Tensor) -> tuple[Tensor, Tensor]:
        dx, dz, dy = self._solve(*f)
        return dx, dz + dy / self.given

    @torch.no_grad()
    def solve_transposed(self, *g: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`J^{-T}g`: with :math:`(\Delta x, \Delta y)` of :math:`J^{-1}(g_x + K^Tg_v,\; R^{-1}g_v)`
        it is :math:`(\Delta x,\; \Delta y - g_v)`."""
        gx, gv = g
        dx, _, dy = self._solve(gx + self.program.K.adjoint(gv), gv / self.given)
        return dx, dy - gv

    def _solve(self, fx: Tensor, fv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r""":math:`\Delta x`, :math:`\Delta z = D\Delta v` and :math:`\Delta y = R(I - D)\Delta v`."""
        solve = self.linear_solve.solve
        goal = solve(self.factor, fx, fv)[1]
        size = float(torch.linalg.vector_norm(goal))
        dv, missing = torch.zeros_like(goal), goal
        self.residual, self.iterations = float(size > 0), 0
        while self.residual > self.tol and self.iterations < self.max_iter:
            step, count = self._krylov(missing, self.tol / self.residual, self.max_iter - self.iterations)
            before = self.residual
            dv, self.iterations = dv + step, self.iterations + count
            missing = goal - self._apply(dv)
            self.residual = float(torch.linalg.vector_norm(missing)) / size
            if not self.residual < 0.9 * before:
                break
        dz = self._derivative(dv)
        dx = solve(self.factor, fx, fv - dv + 2 * dz)[0]
        return dx, dz, self.rho * (dv - dz)

    def _krylov(self, missing: Tensor, tolerance: float, limit: int) -> tuple[Tensor, int]:
        units = self.units
        if units is None:
            step, _, count = induced_dimension_reduction(self._apply, missing, tolerance, limit)
            return step, count
        step, _, count = induced_dimension_reduction(
            lambda w: units * self._apply(w / units), units * missing, tolerance, limit
        )
        return step / units, count

    def _apply(self, dv: Tensor) -> Tensor:
        """``(M (I - 2 D) + D) dv``."""
        Ddv = self._derivative(dv)
        target = torch.add(dv, Ddv, alpha=-2)
        miss = self.linear_solve.solve(self.factor, self.nothing, target)[1]
        return miss.add_(dv).sub_(Ddv)

    def _derivative(self, dv: Tensor) -> Tensor:
        """``D dv``."""
        blocks = self.program.blocks
        parts = [b.rows(D.apply(b.points(dv))) for b, D in zip(blocks, self.derivatives, strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _factored(program: ProxProgram, sigma: Tensor, rho: Tensor) -> tuple[LinearSolve, object]:
    """The closed form if there is one, conjugate gradients otherwise."""
    structure = analyse(program)
    if not isinstance(structure, NoStructure):
        closed = SpectralSolve(structure)
        try:
            return closed, closed.init(program, sigma, rho)
        except ValueError:  # penalties vary within a piece, or the matrix is singular without a proximal term
            pass
    iterative = ConjugateGradient(tolerance=INNER, floor=INNER)
    return iterative, iterative.init(program, sigma, rho)


class _Linearised(abc.ABC):
    """D of one block."""

    @abc.abstractmethod
    def apply(self, u: Tensor) -> Tensor:
        """D times points of shape ``(count, *point)``."""


class _Diagonal(_Linearised):
    def __init__(self, values: Tensor) -> None:
        self.values = values

    def apply(self, u: Tensor) -> Tensor:
        return self.values * u


class _Components(_Linearised):
    """The entries of the matrices of small points, each as one vector over all points."""

    def __init__(self, matrices: Tensor) -> None:
        symmetric = 0.5 * (matrices + matrices.mT)
        self.entries = [[c.contiguous() for c in row.unbind(-1)] for row in symmetric.unbind(-2)]

    def apply(self, u: Tensor) -> Tensor:
        components = u.flatten(1).unbind(-1)
        image = torch.empty_like(u)
        for k, row in enumerate(self.entries):
            total = row[0] * components[0]
            for entry, component in zip(row[1:], components[1:], strict=True):
                total.addcmul_(entry, component)
            image.flatten(1)[..., k] = total
        return image


class _Replayed(_Linearised):
    """The vector-Jacobian product of the prox, recorded once: D is symmetric."""

    def __init__(self, block: Block, v: Tensor, t: Tensor | float) -> None:
        with torch.enable_grad():
            self.v = v.detach().clone().requires_grad_()
            self.z = block.function.prox(self.v, t)

    def apply(self, u: Tensor) -> Tensor:
        (image,) = torch.autograd.grad(self.z, self.v, u, retain_graph=True, materialize_grads=True)
        return image


def _linearised(block: Block, v: Tensor, t: Tensor | float) -> _Linearised:
    if block.function.ndim == 0:
        return _Diagonal(block.function.derivative(v, t))
    if block.size <= FEW_COMPONENTS and len(block.shape) == 2:
        return _Components(block.function.derivative(v, t))
    return _Replayed(block, v, t)
