"""A batch of dense programs: tensors with one batch dimension, in double precision."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from cvxprox.differentiation.dense.functions import Functions
from cvxprox.differentiation.dense.matrices import clean, finite, matrix_of, times
from cvxprox.differentiation.dense.quadratic import Quadratic, quadratic_of
from cvxprox.program import ProxProgram


@dataclass(frozen=True)
class Selector:
    """A matrix with one entry in every row, which is in column ``column[i]`` and is ``value[..., i]``.

    It is `injective` if no two rows have their entries in one column. Values are (m,) or (B, m).
    """

    column: Tensor
    value: Tensor
    injective: bool

    def forward(self, x: Tensor) -> Tensor:
        """Entries of vectors (B, n)."""
        return self.value * x[:, self.column]

    def adjoint(self, y: Tensor, n: int) -> Tensor:
        """The transpose, vectors (B, n)."""
        return y.new_zeros(len(y), n).index_add_(1, self.column, self.value * y)

    def gram(self, w: Tensor, n: int) -> Tensor:
        """The diagonal of :math:`K^T \\mathrm{diag}(w) K`, for w (m,) or (B, m)."""
        weights = self.value.square() * w
        return w.new_zeros(*weights.shape[:-1], n).index_add_(-1, self.column, weights)

    def take(self, index: Tensor) -> Selector:
        """That of the samples `index`."""
        return self if self.value.dim() == 1 else replace(self, value=self.value[index])


@dataclass(frozen=True)
class DenseBatch:
    r"""Programs :math:`\tfrac12 x^TPx + q^Tx + g(z),\; z = Kx + b`, one for every sample.

    Attributes
    ----------
    P : Quadratic or None
    K : Tensor, shape (m, n) or (B, m, n)
        Shared by all samples, or one for each.
    q, b : Tensor, shape (B, n) and (B, m)
    functions : Functions
    selector : Selector or None
        K, where it has one entry a row.
    """

    P: Quadratic | None
    K: Tensor
    q: Tensor
    b: Tensor
    functions: Functions
    selector: Selector | None

    @classmethod
    def of(cls, program: ProxProgram) -> DenseBatch:
        """`program`, with all its batch dimensions as one."""
        q, b = program.q.detach().double(), program.b.detach().double()
        batch = torch.broadcast_shapes(q.shape[:-1], b.shape[:-1])
        q, b = q.expand(*batch, -1), b.expand(*batch, -1)
        moved = program.to(q.device, torch.float64)
        K = matrix_of(moved.K, batch)
        P = None if moved.P is None else quadratic_of(moved.P, batch)
        functions = Functions.of(moved.blocks, b)
        q, b = (t.reshape(math.prod(batch), t.shape[-1]).contiguous() for t in (q, b))
        return cls(P, K, q, b, functions, _selector(K))

    def take(self, index: Tensor) -> DenseBatch:
        """The samples of `index`."""
        P = None if self.P is None else self.P.take(index)
        K = self.K if self.K.dim() == 2 else self.K[index]
        selector = None if self.selector is None else self.selector.take(index)
        return DenseBatch(P, K, self.q[index], self.b[index], self.functions.take(index), selector)

    @cached_property
    def KT(self) -> Tensor:
        """The transpose of K, contiguous."""
        return self.K.mT.contiguous()

    @property
    def shared(self) -> bool:
        """Whether all samples have the same matrices."""
        return self.K.dim() == 2 and (self.P is None or self.P.shared)

    @property
    def samples(self) -> int:
        """B."""
        return self.q.shape[0]

    @property
    def variables(self) -> int:
        """n."""
        return self.q.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """:math:`Kx`."""
        return times(x, self.KT) if self.selector is None else self.selector.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """:math:`K^Ty`."""
        if self.selector is None:
            return times(y, self.K)
        return self.selector.adjoint(y, self.variables)

    def quadratic(self, x: Tensor) -> Tensor:
        """:math:`Px`."""
        return torch.zeros_like(x) if self.P is None else self.P.times(x)

    def gram(self, weights: Tensor) -> Tensor:
        r""":math:`P + K^T \mathrm{diag}(w) K` for nonnegative weights (m,) or (B, m)."""
        P = None if self.P is None else self.P.dense()
        if self.selector is not None:
            added = torch.diag_embed(self.selector.gram(weights, self.variables))
            return added if P is None else P + added
        rows, KT = weights.unsqueeze(-1) * self.K, self.K.mT
        if rows.dim() == 2:
            matrix = KT @ rows
        elif P is not None:
            return torch.baddbmm(P.expand(len(rows), -1, -1), KT.expand(len(rows), -1, -1), rows)
        else:
            matrix = torch.bmm(KT.expand(len(rows), -1, -1), rows)
        return matrix if P is None else P + matrix

    def gram_diagonal(self, weights: Tensor) -> Tensor:
        r"""The diagonal of `gram`, (n,) or (B, n)."""
        if self.selector is not None:
            scale = self.selector.gram(weights, self.variables)
        else:
            squares = self.squares
            scale = (
                weights @ squares if squares.dim() == 2 else times(weights.expand(len(squares), -1), squares)
            )
        return scale if self.P is None else scale + self.P.diagonal()

    @cached_property
    def squares(self) -> Tensor:
        """The squares of the entries of K."""
        return self.K.square()

    def defects(self) -> Tensor:
        """Samples with numbers that are not finite, (B,)."""
        good = finite(self.q, 1) & finite(self.b, 1) & finite(self.K, 2)
        if self.P is not None:
            good = good & self.P.finite()
        return ~good | self.functions.defects().to(good.device)

    def harmless(self) -> DenseBatch:
        """With zeros in place of what is not finite."""
        selector = self.selector and replace(self.selector, value=clean(self.selector.value))
        P = None if self.P is None else self.P.cleaned()
        return replace(self, P=P, K=clean(self.K), q=clean(self.q), b=clean(self.b), selector=selector)


def _selector(K: Tensor) -> Selector | None:
    """K as a selector, if every sample has its entries at the same places."""
    first = K if K.dim() == 2 else K[0]
    filled = first != 0
    if not len(first) or not bool((filled.sum(-1) == 1).all()):
        return None
    column = filled.to(torch.uint8).argmax(-1)
    rows = torch.arange(len(column), device=K.device)
    value = K[..., rows, column]
    if K.dim() > 2 and (int(K.count_nonzero()) != value.numel() or not bool(value.all())):
        return None
    return Selector(column, value, len(column.unique()) == len(column))
