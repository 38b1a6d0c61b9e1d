"""Programs whose numbers are tensors with graphs: of dense matrices, of sparse ones, of operators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators import (
    Adjoint,
    Composed,
    Diagonal,
    LinearOperator,
    Matrix,
    SparseMatrix,
    Sum,
    batched_dense,
)
from cvxprox.operators.algebra import compose
from cvxprox.operators.sparse_entries import SparseEntries
from cvxprox.planning import Form, Plan, Quadratic, Terms, make_plan
from cvxprox.program import Block, ProxProgram
from cvxprox.reductions.bound_matrices import BoundMatrices, Pattern, Squares, weights_of
from cvxprox.reductions.structured import Evaluated, StructuredPart, safe_root
from cvxprox.reductions.theta import Theta


@dataclass(eq=False)
class Numbers:
    """The numbers of `BoundMatrices`.

    Attributes
    ----------
    matrices : BoundMatrices
    theta : Theta
        The parameters.
    costs : Tensor
        Of shape ``(*batch, columns)``, those of the placeholders included.
    """

    matrices: BoundMatrices
    theta: Theta
    costs: Tensor

    @cached_property
    def A(self) -> Tensor:
        """Values of the entries, of shape ``(*batch, nnz)``."""
        values = self.matrices.A.values
        return values(self.theta.of(values))

    @cached_property
    def P(self) -> Tensor | None:
        """The same of P."""
        if self.matrices.P is None:
            return None
        values = self.matrices.P.values
        return values(self.theta.of(values))

    @cached_property
    def offsets(self) -> Tensor:
        """The constants of the rows of A, see `BoundMatrices.offsets`."""
        return self.matrices.offsets(self.theta.of(self.matrices.shift))

    def dense(self, pattern: Pattern) -> Tensor:
        """A matrix of entries of A, of shape ``(*batch, rows, columns)``; a view where it is a parameter."""
        rows, columns = pattern.shape
        if pattern.constant is not None:
            return pattern.constant.to(self.costs)
        if pattern.runs is None:
            return pattern.dense(self.A)
        parts = [run.scale * part if run.scale != 1.0 else part for run in pattern.runs
                 for part in self.theta.parts(run.start, run.size)]  # fmt: skip
        batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
        flat = parts[0] if len(parts) == 1 else torch.cat([part.expand(*batch, -1) for part in parts], -1)
        return flat.reshape(*batch, rows, columns)


def dense_program(
    matrices: BoundMatrices, numbers: Numbers, q: Tensor, evaluated: Evaluated | None, batch: torch.Size
) -> ProxProgram:
    """The program with K as `Matrix` and P as sum of such and of products of them, for the squares.

    q and b have all batch dimensions.
    """
    b, box = matrices.shifts(numbers.offsets)
    blocks = matrices.blocks(box, numbers.offsets, numbers.costs)
    rows, shifts = [numbers.dense(matrices.K)], [b]
    forms: list[LinearOperator] = []
    if matrices.P is not None and numbers.P is not None and matrices.P.matrix.nnz:
        forms.append(Matrix(matrices.P.dense(numbers.P)))
    for squares in matrices.squares:
        F, d = numbers.dense(squares.pattern), numbers.offsets[..., torch.from_numpy(squares.rows)]
        twice = 2 * weights_of(squares.pieces, numbers.costs)
        unit = not twice.requires_grad and bool((twice == 1).all())
        scaled = F if unit else twice.unsqueeze(-1) * F
        forms.append(Composed(Adjoint(Matrix(F)), Matrix(scaled)))
        if d.requires_grad or bool(d.any()):
            q = q + (scaled.mT @ d.unsqueeze(-1)).squeeze(-1)
    if evaluated is not None:
        start, dims = b.shape[-1], len(batch)
        for quadratic in evaluated.quadratics:
            F, target = batched_dense(quadratic.operator, dims), quadratic.target
            scaled = 2 * quadratic.weight * F
            forms.append(Composed(Adjoint(Matrix(F)), Matrix(scaled)))
            q = q - (scaled.mT @ target.unsqueeze(-1)).squeeze(-1)
        for term in evaluated.terms:
            stop = start + term.operator.shape_out[0]
            rows.append(batched_dense(term.operator, dims))
            shifts.append(term.shift)
            blocks.append(
                Block(term.function, start, stop, term.shape, term.weight, term.label, leading=term.leading)
            )
            start = stop
    P = None if not forms else forms[0] if len(forms) == 1 else Sum(tuple(forms))
    K = Matrix(_joined(rows, -2))
    b = _joined([shift.unsqueeze(-1) for shift in shifts], -2).squeeze(-1)
    q, b = q.expand(*batch, -1), b.expand((*batch, -1))
    return ProxProgram(P, q, 0.0, K, b, tuple(blocks))


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    batch = torch.broadcast_shapes(*(part.shape[:-2] for part in parts))
    return torch.cat([part.expand(*batch, *part.shape[-2:]) for part in parts], dim)


def with_batch(program: ProxProgram, batch: torch.Size) -> ProxProgram:
    """The program with q and b of all batch dimensions."""
    if not batch:
        return program
    return replace(program, q=program.q.expand(*batch, -1), b=program.b.expand(*batch, -1))


def sparse_program(matrices: BoundMatrices, numbers: Numbers, q: Tensor) -> ProxProgram:
    """The program with K and P as sparse matrices, which have no batch dimensions."""
    b, box = matrices.shifts(numbers.offsets)
    blocks = matrices.blocks(box, numbers.offsets, numbers.costs)
    P = None if matrices.P is None or numbers.P is None else sparse_operator(matrices.P, numbers.P)
    return ProxProgram(P, q, 0.0, sparse_operator(matrices.K, numbers.A), b, tuple(blocks))


def sparse_operator(pattern: Pattern, values: Tensor) -> LinearOperator:
    """A sparse matrix of these values, with their graph if they have one."""
    entries = pattern.entries(values)
    A = pattern.matrix
    if values.requires_grad:
        return SparseEntries(sp.csr_array((A.data, A.indices, A.indptr), shape=A.shape), entries)
    numbers = entries.detach().cpu().numpy()
    return SparseMatrix(
        sp.csr_array((numbers, A.indices, A.indptr), shape=A.shape), values.dtype, values.device
    )


def structured_plan(
    matrices: BoundMatrices,
    numbers: Numbers,
    q: Tensor,
    evaluated: Evaluated,
    part: StructuredPart,
    form: Form,
) -> Plan:
    """The plan of a program whose operators stay operators, which have no batch dimensions."""
    base = sparse_program(matrices, numbers, q)
    squares = [_quadratic(one, numbers) for one in matrices.squares]
    terms = Terms(
        replace(base, P=_nonzero(base.P)), (*squares, *evaluated.quadratics), evaluated.terms, part.variables
    )
    return make_plan(terms, form)


def _quadratic(squares: Squares, numbers: Numbers) -> Quadratic:
    roots = safe_root(weights_of(squares.pieces, numbers.costs))
    K = sparse_operator(squares.pattern, numbers.A)
    target = -roots * numbers.offsets[..., torch.from_numpy(squares.rows)]
    label = "; ".join(dict.fromkeys(piece.name for piece in squares.pieces))
    return Quadratic(compose(Diagonal(roots), K), target, torch.ones_like(roots[:1]).sum(), label)


def _nonzero(P: LinearOperator | None) -> LinearOperator | None:
    return None if isinstance(P, SparseMatrix) and P.matrix.nnz == 0 else P
