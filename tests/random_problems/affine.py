"""Random affine expressions of given variables, with a chosen value at a known point."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from numpy.random import Generator

from tests.random_problems.cases import Leaf, flat
from tests.random_problems.cones import Array, positive

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Affine:
    """A source of affine expressions of the variables `items`, which must hold their values.

    With `null` given, every expression is constant along this direction.
    """

    rng: Generator
    items: list[Leaf]
    null: Array | None = None

    @property
    def size(self) -> int:
        return sum(item.x.size for item in self.items)

    def shape(self, ndim: int, smallest: int = 1) -> Shape:
        """The shape of one of the variables, or a random one."""
        known = [i.variable.shape for i in self.items if i.variable.ndim == ndim]
        known = [s for s in known if min(s, default=smallest) >= smallest]
        if known and self.rng.random() < 0.5:
            return known[self.rng.integers(len(known))]
        largest = {0: 1, 1: 9, 2: 5}[ndim]
        return tuple(int(k) for k in self.rng.integers(smallest, largest + smallest, ndim))

    def any(self) -> cp.Expression:
        """Of any shape."""
        return self.of(self.shape(int(self.rng.integers(3))))

    def vector(self, smallest: int = 1) -> cp.Expression:
        return self.of(self.shape(1, smallest))

    def matrix(self, smallest: int = 1) -> cp.Expression:
        return self.of(self.shape(2, smallest))

    def of(self, shape: Shape) -> cp.Expression:
        """Of that shape; half of the time with a chosen value, in which zeros are frequent."""
        e = self.linear(shape)
        if self.rng.random() < 0.5:
            return e
        target = self.rng.standard_normal(shape)
        if self.rng.random() < 0.5:
            target = target * (self.rng.random(shape) < 0.6)
        return self.at(e, target)

    def at(self, e: cp.Expression, target: Array) -> cp.Expression:
        """`e` shifted to have the value `target` at the known point."""
        shift = target - e.value
        if self.rng.random() < 0.15:
            shift = cp.Parameter(e.shape, value=shift)
        return e + shift

    def positive(self, shape: Shape) -> cp.Expression:
        """Positive at the known point."""
        return self.at(self.linear(shape), positive(self.rng, *shape))

    def symmetric(self) -> cp.Expression:
        """A symmetric matrix."""
        known = [i.variable for i in self.items if i.kind in ("psd", "symmetric")]
        if known and self.null is None and self.rng.random() < 0.6:
            return known[self.rng.integers(len(known))]
        order = int(self.rng.integers(1, 5))
        E = self.linear((order, order))
        if self.rng.random() < 0.5:
            E = self.at(E, self.rng.standard_normal((order, order)))
        return (E + E.T) / 2

    def definite(self) -> cp.Expression:
        """A symmetric matrix, positive definite at the known point."""
        S = self.symmetric()
        G = self.rng.standard_normal(S.shape)
        return self.at(S, G @ G.T / S.shape[0] + 0.2 * np.eye(S.shape[0]))

    def linear(self, shape: Shape, depth: int = 0) -> cp.Expression:
        """Of that shape, with zero offset."""
        rng = self.rng
        if depth < 2 and rng.random() < 0.35:
            return self._structured(shape, depth + 1)
        same = [i.variable for i in self.items if i.variable.shape == shape]
        if same and self.null is None and rng.random() < 0.8:
            x = same[rng.integers(len(same))]
            match rng.integers(4):
                case 0:
                    return float(rng.standard_normal()) * x
                case 1:
                    return cp.multiply(rng.standard_normal(shape), x)
                case 2:
                    return -x
            return x
        rows = int(np.prod(shape))
        K = rng.standard_normal((rows, self.size)) / np.sqrt(self.size)
        if rng.random() < 0.4:
            K *= rng.random(K.shape) < 0.3
        if self.null is not None:
            K = K - np.outer(K @ self.null, self.null) / (self.null @ self.null)
        e = (sp.csr_array(K) if rng.random() < 0.3 else K) @ flat(self.items)
        return e[0] if shape == () else cp.reshape(e, shape, order="CF"[rng.integers(2)])

    def _structured(self, shape: Shape, depth: int) -> cp.Expression:
        """Through one more affine atom."""
        rng = self.rng
        if len(shape) == 0:
            match rng.integers(3):
                case 0:
                    return cp.sum(self.linear(self.shape(1), depth))
                case 1:
                    return self.linear(self.shape(1), depth)[0]
            return cp.trace(self.linear((2, 2), depth))
        if len(shape) == 1:
            k = shape[0]
            match rng.integers(7):
                case 0:
                    return cp.diff(self.linear((k + 1,), depth))
                case 1:
                    return cp.cumsum(self.linear(shape, depth))
                case 2 if k > 1:
                    return cp.hstack([self.linear((1,), depth), self.linear((k - 1,), depth)])
                case 3:
                    return self.linear(shape, depth)[::-1]
                case 4:
                    return self.linear((k + 2,), depth)[list(rng.permutation(k + 2)[:k])]
                case 5:
                    return cp.sum(self.linear((k, 2), depth), axis=1)
            if 1 < k < 6 and depth == 1:  # not inside of vstack: CVXPY 1.9's compiler corrupts memory there
                return cp.diag(self.linear((k, k), depth))
            return self.linear(shape, depth)
        m, n = shape
        match rng.integers(7):
            case 0:
                return self.linear((n, m), depth).T
            case 1:
                return rng.standard_normal((m, 2)) @ self.linear((2, n), depth)
            case 2:
                return self.linear((m, 3), depth) @ rng.standard_normal((3, n))
            case 3:
                return cp.vstack([self.linear((n,), depth) for _ in range(m)])
            case 4:
                return self.linear((m + 1, n + 1), depth)[1:, :n]
            case 5:
                return cp.diff(self.linear((m + 1, n), depth), axis=0)
        return cp.multiply(rng.standard_normal((m, 1)), self.linear(shape, depth))
