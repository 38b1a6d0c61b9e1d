"""Linear systems that are not symmetric, with short recurrences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

DIMENSION = 4
ANGLE = 0.7


def induced_dimension_reduction(
    apply: Callable[[Tensor], Tensor], b: Tensor, tolerance: float, max_iter: int
) -> tuple[Tensor, float, int]:
    r"""IDR(4) with smoothed residuals for :math:`Ax = b`, from zero.

    Nearly the number of products that full GMRES takes, in memory for 18 vectors and with work per
    product that does not grow. `apply` returns new memory and is not recorded by autograd.

    Returns
    -------
    x : Tensor
        With the smallest residual found.
    residual : float
        Relative to b in the 2-norm, by the recurrence.
    iterations : int
        Products with A.

    References
    ----------
    Van Gijzen and Sonneveld, *Algorithm 913: an elegant IDR(s) variant that efficiently exploits
    biorthogonality properties* (2011).
    """
    s = min(DIMENSION, b.numel())
    size = float(torch.linalg.vector_norm(b))
    smooth = _Smoothed(torch.zeros_like(b), b.clone())
    if not size or not s:
        return smooth.x, 0.0, 0
    generator = torch.Generator().manual_seed(0)
    shadow = torch.randn((b.numel(), s), generator=generator, dtype=b.dtype).to(b.device)
    shadow = torch.linalg.qr(shadow)[0].T.contiguous()
    x, r, omega = torch.zeros_like(b), b.clone(), 1.0
    G, U = b.new_zeros((s, b.numel())), b.new_zeros((s, b.numel()))
    M, count = torch.eye(s, dtype=b.dtype, device=b.device), 0

    def finished() -> bool:
        norm = float(torch.linalg.vector_norm(smooth.r))
        return norm <= tolerance * size or count >= max_iter or not norm == norm

    while not finished():
        f = shadow @ r
        for k in range(s):
            c = _forward(M[k:, k:], f[k:])
            u = torch.addmv(r, G[k:].T, c, alpha=-1).addmv_(U[k:].T, c, beta=omega)
            g = apply(u)
            count += 1
            if k:
                a = _forward(M[:k, :k], shadow[:k] @ g)
                g.addmv_(G[:k].T, a, alpha=-1)
                u.addmv_(U[:k].T, a, alpha=-1)
            G[k], U[k] = g, u
            M[k:, k] = shadow[k:] @ g
            if not bool(M[k, k].abs() > 0):
                return smooth.x, float(torch.linalg.vector_norm(smooth.r)) / size, count
            beta = float(f[k] / M[k, k])
            x.add_(u, alpha=beta)
            r.sub_(g, alpha=beta)
            f[k + 1 :] -= beta * M[k + 1 :, k]
            smooth.add(x, r)
            if finished():
                break
        else:
            t = apply(r)
            count += 1
            length = torch.linalg.vector_norm(t)
            if not bool(length > 0):
                break
            omega = float((t @ r) / length**2)
            cosine = abs(float((t @ r) / (length * torch.linalg.vector_norm(r))))
            omega *= ANGLE / max(cosine, 1e-3) if cosine < ANGLE else 1.0
            x.add_(r, alpha=omega)
            r.sub_(t, alpha=omega)
            smooth.add(x, r)
    return smooth.x, float(torch.linalg.vector_norm(smooth.r)) / size, count


class _Smoothed:
    """The combination of iterates whose residual is smallest along each line; it never grows.

    References
    ----------
    Zhou and Walker, *Residual smoothing techniques for iterative methods* (1994).
    """

    def __init__(self, x: Tensor, r: Tensor) -> None:
        self.x, self.r = x, r

    def add(self, x: Tensor, r: Tensor) -> None:
        """Take the next iterate in."""
        d = self.r - r
        square = d @ d
        if bool(square > 0):
            share = float((self.r @ d) / square)
            self.x.lerp_(x, share)
            self.r.sub_(d, alpha=share)


def _forward(L: Tensor, f: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(L, f.unsqueeze(-1), upper=False).squeeze(-1)
