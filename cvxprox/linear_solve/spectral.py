"""Closed-form solves in fast bases: Fourier, cosine, pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cvxprox.linear_solve.base import LinearSolve
from cvxprox.linear_solve.pieces import Piece, Weight, constant, piece_weights, pieces_with_rows
from cvxprox.linear_solve.structure import NoStructure, SpectralStructure, analyse
from cvxprox.operators import OnSlice
from cvxprox.operators.base import recording
from cvxprox.operators.on_slice import embed
from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class SpectralState:
    """The structure, the pieces of K, and what depends on the penalties."""

    structure: SpectralStructure
    pieces: tuple[Piece, ...]
    weights: tuple[Weight, ...]
    factors: tuple[Any, ...]


@dataclass(frozen=True)
class SpectralSolve(LinearSolve):
    r"""Solve :math:`(P + \Sigma + K^TRK)\,x = f + K^TRr` in bases that make the matrix (block) diagonal.

    Penalties are constant on every piece of K, so that :math:`K^TRK = \sum_j \rho_j K_j^*K_j`. The
    eigenvalues of every :math:`K_j^*K_j` are computed once; other penalties only combine them
    again. A solve is a transform, a product and an inverse transform for every variable.

    Parameters
    ----------
    structure : SpectralStructure, optional
        That of the program; `init` finds it if omitted.

    References
    ----------
    Wang, Yang, Yin and Zhang, *A new alternating minimization algorithm for total variation image
    reconstruction* (2008), section 2.
    """

    structure: SpectralStructure | None = None

    name = "spectral"

    def unbound(self) -> SpectralSolve:
        """`init` finds the structure."""
        return SpectralSolve()

    def init(self, program: ProxProgram, sigma: Tensor, rho: Tensor) -> SpectralState:
        """Compute the eigenvalues and invert them.

        Raises
        ------
        ValueError
            If no closed form is known for the program, or penalties vary within a piece.
        """
        structure = self.structure or analyse(program)
        if isinstance(structure, NoStructure):
            raise ValueError(f"the linear system has no closed form: {structure.reason}.")
        return _factored(structure, pieces_with_rows(program.K), program, sigma, rho)

    def update(self, state: SpectralState, program: ProxProgram, sigma: Tensor, rho: Tensor) -> SpectralState:
        """Combine the eigenvalues again."""
        return _factored(state.structure, state.pieces, program, sigma, rho)

    def solve(self, state: SpectralState, f: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """The adjoint of K, a solve for every group of variables, and K."""
        rhs = right_hand_side(state.pieces, state.weights, f, r)
        x = state.structure.solve(state.factors, rhs)
        return x, misses(state.pieces, x, r)


def _factored(
    structure: SpectralStructure, pieces: tuple[Piece, ...], program: ProxProgram, sigma: Tensor, rho: Tensor
) -> SpectralState:
    weights = piece_weights(program.K, rho)
    if weights is None:
        raise ValueError(
            "the closed form of the linear system needs one penalty for every piece of K, and they vary "
            'within a piece. Use linear_solver="cg".'
        )
    factors = tuple(
        system.factor((1.0, *weights), tuple(_number_if_constant(v.of(sigma)) for v in system.variables))
        for system in structure.systems
    )
    return SpectralState(structure, pieces, weights, factors)


def _number_if_constant(values: Tensor) -> Tensor:
    return values if constant(values) is None else values.reshape(-1)[0]


def right_hand_side(pieces: tuple[Piece, ...], weights: tuple[Weight, ...], f: Tensor, r: Tensor) -> Tensor:
    r""":math:`f + \sum_j \rho_j K_j^* r_j`, in memory of its own."""
    total = f
    for piece, weight in zip(pieces, weights, strict=True):
        rows = r[..., piece.start : piece.stop]
        for part in piece.parts:
            K = part.inner
            image = K.adjoint(rows.reshape(rows.shape[:-1] + K.shape_out))
            image = image.reshape((*image.shape[: image.dim() - len(K.shape_in)], part.stop - part.start))
            total = _add(total, weight, image, part, total is not f)
    return f.clone() if total is f else total


def _add(total: Tensor, weight: Weight, image: Tensor, part: OnSlice, own: bool) -> Tensor:
    """``total + weight * image`` on the slice of `part`; in place where `total` is our own."""
    whole = image.shape[-1] == total.shape[-1]
    if recording(total) or recording(image) or isinstance(weight, Tensor) or image.dim() > total.dim():
        return total + embed(weight * image, part.start, part.size)
    if whole and not own:
        return torch.add(total, image, alpha=weight)
    total = total if own else total.clone()
    total[..., part.start : part.stop].add_(image, alpha=weight)
    return total


def misses(pieces: tuple[Piece, ...], x: Tensor, r: Tensor) -> Tensor:
    """``Kx - r``, without joining the pieces first."""
    images = [(piece, _image(piece, x)) for piece in pieces]
    if recording(x) or recording(r) or len(images) < 2 or x.dim() > r.dim():
        parts = [image - r[..., piece.start : piece.stop] for piece, image in images]
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0] if parts else r.clone()
    miss = torch.empty_like(r, memory_format=torch.contiguous_format)
    for piece, image in images:
        torch.sub(image, r[..., piece.start : piece.stop], out=miss[..., piece.start : piece.stop])
    return miss


def _image(piece: Piece, x: Tensor) -> Tensor:
    total: Tensor | None = None
    for part in piece.parts:
        image = part.forward(x)
        total = image if total is None else total + image
    assert total is not None
    return total
