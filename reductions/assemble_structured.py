"""From numbers and operators to a `ProxProgram`, for problems with a structured part."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators import SparseMatrix, as_sparse
from cvxprox.planning import Form, Plan, Quadratic, Terms, make_plan
from cvxprox.program import ProxProgram
from cvxprox.prox import Square
from cvxprox.reductions.affine_map import Evaluation
from cvxprox.reductions.assemble import Assembled, assemble
from cvxprox.reductions.layout import Layout
from cvxprox.reductions.parametric import StuffedData
from cvxprox.reductions.structured import Evaluated, StructuredPart


@dataclass(frozen=True, eq=False)
class AssembledStructured:
    """A program with operators, and the map of its duals to the stuffed problem's constraints."""

    plan: Plan
    base: Assembled | None
    base_rows: np.ndarray  # rows of the base that are left in the program, which has them first
    evaluated: Evaluated
    matrices: ProxProgram | None = None  # the plan's program in the lane "assembled"
    order: np.ndarray | None = None  # the plan's rows in the order of `matrices`

    @property
    def assembly(self) -> object:
        """What a re-solve may reuse where it is the same."""
        return self.plan

    @property
    def program(self) -> ProxProgram:
        """The program."""
        return self.plan.program if self.matrices is None else self.matrices

    def duals(self, y: np.ndarray, z: np.ndarray) -> dict[int, np.ndarray | float]:
        """CVXPY's dual values by constraint id, from the dual point y of the program, and z."""
        found: dict[int, np.ndarray | float] = {}
        if self.order is not None:
            back = np.argsort(self.order)
            y, z = y[back], z[back]
        if self.base is not None:
            full = np.zeros(self.base.program.rows)
            full[self.base_rows] = y[: self.base_rows.size]
            found = self.base.duals(full)
        found_pieces = self.plan.duals(torch.from_numpy(y), torch.from_numpy(z))
        pieces = {key: value.numpy() for key, value in found_pieces.items()}
        found.update({key: dual(pieces) for key, dual in self.evaluated.duals})
        return found


def assemble_structured(
    data: StuffedData,
    layout: Layout,
    part: StructuredPart,
    form: Form,
    dtype: torch.dtype,
    device: torch.device,
    lane: str = "auto",
) -> AssembledStructured:
    """Evaluate the operators and plan the program for an algorithm of the given form.

    In the lane "assembled" the operators of the finished program are written as one sparse matrix.
    """
    base = assemble(data, layout) if layout.size else None
    program = _linear(data) if base is None else base.program
    program = program.to(device, dtype)
    costs = torch.from_numpy(data.q).to(device, dtype)
    evaluated = part.evaluate(costs, costs, Evaluation(dtype, device))
    program, rows, squares = split_squares(program)
    terms = Terms(program, (*squares, *evaluated.quadratics), evaluated.terms, part.variables)
    plan = make_plan(terms, form)
    if lane != "assembled":
        return AssembledStructured(plan, base, rows, evaluated)
    return AssembledStructured(plan, base, rows, evaluated, *_as_matrices(plan.program))


def _as_matrices(program: ProxProgram) -> tuple[ProxProgram, np.ndarray]:
    """The program with K and P as sparse matrices and the components of points together; its rows."""
    kind, device = program.q.dtype, program.q.device
    every = torch.arange(program.rows, device=device)
    order = torch.cat([every[:0], *(block.points(every).reshape(-1) for block in program.blocks)])
    K = sp.csr_array(as_sparse(program.K))[order.cpu().numpy()]
    P = None if program.P is None else SparseMatrix(sp.csr_array(as_sparse(program.P)), kind, device)
    blocks = tuple(replace(block, leading=False) for block in program.blocks)
    matrix = SparseMatrix(sp.csr_array(K), kind, device)
    return replace(program, K=matrix, P=P, b=program.b[order], blocks=blocks), order.cpu().numpy()


def split_squares(program: ProxProgram) -> tuple[ProxProgram, np.ndarray, list[Quadratic]]:
    """An assembled program without its weighted squares, the rows that it keeps, and the squares."""
    squares = [block for block in program.blocks if isinstance(block.function, Square)]
    if not squares:
        return program, np.arange(program.rows), []
    matrix = sp.csr_array(as_sparse(program.K))
    kind, device = program.q.dtype, program.q.device
    quadratics = []
    for block in squares:
        assert block.weight is not None
        roots = block.weight.expand(block.shape).sqrt()
        rows = sp.diags_array(roots.cpu().numpy()) @ matrix[block.start : block.stop]
        target = -roots * program.b[block.start : block.stop]
        operator = SparseMatrix(sp.csr_array(rows), kind, device)
        quadratics.append(Quadratic(operator, target, torch.ones_like(program.q[:1]).sum(), block.label))
    kept, blocks, stop = [], [], 0
    for block in program.blocks:
        if block not in squares:
            size = block.stop - block.start
            kept.append(np.arange(block.start, block.stop))
            blocks.append(replace(block, start=stop, stop=stop + size))
            stop += size
    rows_kept = np.concatenate(kept) if kept else np.empty(0, dtype=int)
    K = SparseMatrix(sp.csr_array(matrix[rows_kept]), kind, device)
    return replace(program, K=K, b=program.b[rows_kept], blocks=tuple(blocks)), rows_kept, quadratics


def _linear(data: StuffedData) -> ProxProgram:
    """A program without rows."""
    q = torch.from_numpy(np.ascontiguousarray(data.q[data.kept]))
    P = None if data.P is None or data.P.nnz == 0 else SparseMatrix(sp.csr_array(data.P))
    empty: Tensor = q.new_zeros(0)
    return ProxProgram(P, q, data.offset, SparseMatrix(sp.csr_array((0, q.numel()))), empty, ())
