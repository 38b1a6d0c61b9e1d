"""Batched iterative solvers: GMRES, Anderson and Neumann iterations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
MEMORY = 2**26
"""Entries of a Krylov basis at most, half a gigabyte in float64."""
RANK = 1e-13
"""Singular values of least-squares problems below this share of the largest count as zero."""


@dataclass(frozen=True)
class Solution:
    """`x` of shape ``(samples, size)``, relative residuals of shape ``(samples,)``, and iterations."""

    x: Tensor
    residual: Tensor
    iterations: int


def norms(x: Tensor) -> Tensor:
    """Of every sample."""
    return torch.linalg.vector_norm(x, dim=-1)


def gmres(
    apply: Map,
    g: Tensor,
    tol: float,
    max_iter: int,
    start: Tensor | None = None,
    precondition: Map | None = None,
) -> Solution:
    r"""GMRES for :math:`x - Ax = g`, every row of `g` a system of its own.

    It restarts where the basis would not fit into `MEMORY`. In a singular consistent system it finds
    a solution. With a preconditioner B the unknown is w of :math:`(I - A)Bw = g, x = Bw`.

    Parameters
    ----------
    apply : callable
        A, on rows.
    g : Tensor, shape (samples, size)
    tol : float
        On :math:`\|g - x + Ax\| / \|g\|`.
    max_iter : int
        Products with A at most, one for every residual that is computed anew not counted.
    start : Tensor, optional
    precondition : callable, optional

    References
    ----------
    Saad, *Iterative Methods for Sparse Linear Systems* (2003), algorithm 6.9 and section 9.3.2.
    """
    scale = norms(g).clamp_min(torch.finfo(g.dtype).tiny)
    x = torch.zeros_like(g) if start is None else start
    residual = g if start is None else g - x + apply(x)
    restart = max(10, MEMORY // max(g.numel(), 1))
    count, before = 0, torch.full_like(scale, torch.inf)
    while count < max_iter and bool((norms(residual) > tol * scale).any()):
        if bool((norms(residual) >= before).all()):
            break  # rounding: it will not become smaller
        before = norms(residual)
        step, done = _cycle(apply, residual, tol * scale, min(restart, max_iter - count), precondition)
        count += done
        new = g - (x + step) + apply(x + step)
        better = (norms(new) <= before)[:, None]
        x, residual = torch.where(better, x + step, x), torch.where(better, new, residual)
    return Solution(x, norms(residual) / scale, count)


def _cycle(
    apply: Map, residual: Tensor, target: Tensor, steps: int, precondition: Map | None
) -> tuple[Tensor, int]:
    """The correction that minimises the residual over one Krylov space."""
    samples = residual.shape[0]
    size = norms(residual)
    basis, columns = residual.new_empty(samples, steps + 1, residual.shape[-1]), []
    basis[:, 0] = _ratio(residual, size[:, None])
    for k in range(steps):
        direction = basis[:, k] if precondition is None else precondition(basis[:, k])
        image = direction - apply(direction)
        V = basis[:, : k + 1]
        h = (V @ image[..., None])[..., 0]
        image = image - (V.mT @ h[..., None])[..., 0]
        again = (V @ image[..., None])[..., 0]  # once more: rounding
        image = image - (V.mT @ again[..., None])[..., 0]
        length = norms(image)
        length = torch.where(length <= 1e-14 * norms(h), 0.0, length)  # the space is complete
        columns.append(torch.cat([h + again, length[:, None]], dim=-1))
        basis[:, k + 1] = _ratio(image, length[:, None])
        last = k + 1 == steps
        if k < 10 or k % 5 == 0 or last:
            H = size.new_zeros(samples, k + 2, k + 1)
            for j, column in enumerate(columns):
                H[:, : j + 2, j] = column
            weights = torch.linalg.pinv(H, rtol=RANK)[..., 0] * size[:, None]
            first = torch.zeros_like(H[..., 0])
            first[:, 0] = size
            missing = norms(first - (H @ weights[..., None])[..., 0])
            if last or bool((missing <= 0.5 * target).all()):
                break
    step = (basis[:, : len(columns)].mT @ weights[..., None])[..., 0]
    return step if precondition is None else precondition(step), len(columns)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``, zero where b is."""
    return torch.where(b == 0, 0.0, a / torch.where(b == 0, 1.0, b))


def anderson(
    T: Map, u: Tensor, tol: float, max_iter: int, scale: Tensor | None = None, memory: int = 20
) -> Solution:
    r"""Anderson acceleration for :math:`u = T(u)`, every row a problem of its own.

    It starts again from the best point where the residual is 100 times as large. The best point is
    returned.

    Parameters
    ----------
    T : callable
        On rows.
    u : Tensor, shape (samples, size)
        The start.
    tol : float
        On :math:`\|u - T(u)\|` in units of `scale`.
    max_iter : int
        Evaluations of T at most.
    scale : Tensor, shape (samples,), optional
        By default :math:`1 + \|u\|`.
    memory : int
        Differences that are combined.

    References
    ----------
    Walker and Ni, *Anderson acceleration for fixed-point iterations* (2011).
    """
    scale = 1 + norms(u) if scale is None else scale.clamp_min(torch.finfo(u.dtype).tiny)
    best, least = u, torch.full_like(scale, torch.inf)
    last: tuple[Tensor, Tensor] | None = None
    moves: list[Tensor] = []
    changes: list[Tensor] = []
    count = 0
    for count in range(1, max_iter + 1):  # noqa: B007
        image = T(u)
        f = image - u
        size = norms(f)
        better = size < least
        best, least = torch.where(better[:, None], u, best), torch.where(better, size, least)
        if not bool((least > tol * scale).any()):
            break
        lost = ~(size <= 100 * least)
        if bool(lost.any()):
            restart = torch.where(lost[:, None], best, u)
            for kept in (moves, changes):
                kept[:] = [torch.where(lost[:, None], 0.0, row) for row in kept]
            u, last = torch.where(lost[:, None], restart, image), None
            continue
        if last is not None:
            moves, changes = [*moves, u - last[0]][-memory:], [*changes, f - last[1]][-memory:]
        last = u, f
        u = image - _combination(moves, changes, f) if moves else image
    return Solution(best, least / scale, count)


def _combination(moves: list[Tensor], changes: list[Tensor], f: Tensor) -> Tensor:
    r""":math:`(\Delta U + \Delta F)\gamma` for the :math:`\gamma` of least :math:`\|f - \Delta F\gamma\|`."""
    dF = torch.stack(changes, dim=-1)
    Q, R = torch.linalg.qr(dF)
    gamma = torch.linalg.pinv(R, rtol=1e-12) @ (Q.mT @ f[..., None])
    return ((torch.stack(moves, dim=-1) + dF) @ gamma)[..., 0]


def neumann(apply: Map, g: Tensor, terms: int) -> Solution:
    r"""The first terms of :math:`\sum_i A^i g`, which solves :math:`x - Ax = g` where it converges."""
    x = g
    for _ in range(terms):
        x = g + apply(x)
    scale = norms(g).clamp_min(torch.finfo(g.dtype).tiny)
    return Solution(x, norms(g - x + apply(x)) / scale, terms)
