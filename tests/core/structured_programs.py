"""Programs on small images whose operators are not matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from cvxprox.operators import (
    Composed,
    Convolution,
    Diagonal,
    FiniteDifference,
    Fourier,
    FunctionOperator,
    Gather,
    Identity,
    LinearOperator,
    OnSlice,
    RealPair,
    SparseMatrix,
    SquareOnSlice,
    Stacked,
    Subsample,
    Sum,
    gram,
)
from cvxprox.program import ProxProgram

F64 = torch.float64
SHAPE = (6, 8)
SIZE = 48


def structured(*pieces: LinearOperator, P: LinearOperator | None = None) -> ProxProgram:
    """A program with these pieces; linear solves look at nothing else."""
    K = Stacked(pieces)
    zeros = torch.zeros(K.shape_in[0], dtype=F64)
    return ProxProgram(P, zeros, 0.0, K, torch.zeros(K.shape_out[0], dtype=F64), ())


def on_x(K: LinearOperator, size: int = SIZE, start: int = 0) -> OnSlice:
    return OnSlice(K, start, size)


def differences(boundary: str = "circular", axes: tuple[int, ...] | None = None) -> FiniteDifference:
    return FiniteDifference(SHAPE, axes, boundary)


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def blur(boundary: str = "circular", seed: int = 1) -> Convolution:
    kernel = random_tensor(3, 3, seed=seed)
    if boundary == "reflect":
        kernel = kernel + kernel.flip(0)
        kernel = kernel + kernel.flip(1)
    return Convolution(kernel, SHAPE, boundary)


def mask() -> Diagonal:
    return Diagonal((random_tensor(*SHAPE) > 0).to(F64))


def square(F: LinearOperator, size: int = SIZE, start: int = 0) -> LinearOperator:
    """F*F with F to be seen in it."""
    return SquareOnSlice(Composed(F.T, F), start, size)


def superresolution() -> LinearOperator:
    return Subsample(SHAPE, (2, 2), (1, 0)) @ blur()


def hidden(seed: int = 5) -> LinearOperator:
    """An operator of which nothing is known."""
    matrix = random_tensor(20, SIZE, seed=seed) / 5
    return FunctionOperator(lambda x: x.flatten(-2) @ matrix.mT, SHAPE)


def bounds(size: int, rows: int) -> SparseMatrix:
    column = np.random.default_rng(2).permutation(size)[:rows]
    return SparseMatrix(sp.csr_array((np.full(rows, 2.0), (np.arange(rows), column)), shape=(rows, size)))


def with_blur_and_differences() -> ProxProgram:
    P = 3.0 * SquareOnSlice(gram(blur()), 0, SIZE)
    return structured(on_x(differences()), on_x(Identity(SHAPE)), P=P)


def two_images(K: LinearOperator, L: LinearOperator) -> Sum:
    return Sum((OnSlice(K, 0, 2 * SIZE), OnSlice(L, SIZE, 2 * SIZE)))


def robust_pca() -> ProxProgram:
    """L + S seen through a mask, a piece on each."""
    seen = two_images(mask(), mask())
    return structured(
        on_x(Identity((SIZE,)), 2 * SIZE), on_x(Identity(SHAPE), 2 * SIZE, SIZE),
        P=Composed(seen.T, seen),
    )  # fmt: skip


def cartoon_and_texture() -> ProxProgram:
    """Two blurred images whose sum is seen, with the differences of their difference."""
    seen = two_images(blur(), -2.0 * blur(seed=3))
    D = differences()
    return structured(two_images(D, -1.0 * D), on_x(D, 2 * SIZE), seen, on_x(Identity(SHAPE), 2 * SIZE, SIZE))


def shared_blur() -> ProxProgram:
    """A subsampled sum of blurred images: the common factor has no spectrum."""
    F = FiniteDifference(SHAPE, (0,), "circular")
    return structured(two_images(F @ blur(), F @ blur(seed=4)), on_x(Identity(SHAPE), 2 * SIZE))


def uncoupled() -> ProxProgram:
    """Two images in different bases, three numbers, and bounds on some entries of all."""
    size = 2 * SIZE + 3
    return structured(
        on_x(differences(), size),
        on_x(differences("reflect"), size, SIZE),
        on_x(Identity((SIZE,)), size, SIZE),
        on_x(Diagonal(torch.tensor([1.0, 2.0, 3.0], dtype=F64)), size, 2 * SIZE),
        Identity((size,)),
    )


def masked_fourier() -> ProxProgram:
    F = RealPair((*SHAPE,)) @ Diagonal(mask().weight.to(torch.complex128)) @ Fourier(SHAPE, dtype_in=F64)
    return structured(on_x(Identity(SHAPE)), P=square(F))


def summed_channels() -> LinearOperator:
    """Masked and shifted channels, summed: FF* is diagonal, F*F is not."""
    entries = torch.arange(SIZE).reshape(3, 4, 4)
    shifted = Gather(torch.stack([entries[c].roll(c, 0) for c in range(3)]), (3, 4, 4))
    copied = Gather(torch.arange(16).reshape(4, 4).expand(3, 4, 4), (4, 4))
    return Composed(copied.T, Composed(shifted, Diagonal(random_tensor(3, 4, 4))))


CLOSED: dict[str, Callable[[], ProxProgram]] = {
    "blur and differences": with_blur_and_differences,
    "differences only": lambda: structured(on_x(differences())),
    "rows, columns and both": lambda: structured(
        on_x(differences(axes=(0,))), on_x(differences(axes=(1,))), on_x(blur())
    ),
    "reflected differences": lambda: structured(on_x(differences("reflect")), on_x(Identity(SHAPE))),
    "reflected blur": lambda: structured(
        on_x(differences("reflect")), P=2.0 * SquareOnSlice(gram(blur("reflect")), 0, SIZE)
    ),
    "mask": lambda: structured(on_x(mask()), on_x(Identity(SHAPE))),
    "mask and bounds": lambda: structured(on_x(mask()), bounds(SIZE, 30), P=square(2.0 * mask())),
    "sparse quadratic terms": lambda: structured(
        on_x(differences()), P=Sum((SparseMatrix(2 * sp.eye_array(SIZE)), 3.0 * square(blur())))
    ),
    "an image twice": lambda: structured(Sum((on_x(blur()), on_x(Identity(SHAPE)))), on_x(differences())),
    "masked Fourier coefficients": masked_fourier,
    "robust PCA": robust_pca,
    "two coupled images": cartoon_and_texture,
    "coupled by a common factor": shared_blur,
    "uncoupled variables": uncoupled,
    "one operator on all of x": lambda: ProxProgram(
        None, torch.zeros(5, dtype=F64), 0.0, Identity((5,)), torch.zeros(5, dtype=F64), ()
    ),
    "super-resolution": lambda: structured(on_x(differences()), P=2.0 * square(superresolution())),
    "super-resolution of a piece": lambda: structured(
        on_x(differences()), on_x(Identity(SHAPE)), on_x(superresolution())
    ),
    "summed channels": lambda: structured(
        on_x(Identity((3, 4, 4))), on_x(Diagonal(random_tensor(3, 4, 4, seed=8))), P=square(summed_channels())
    ),
    "subsampled blur and identity": lambda: structured(on_x(superresolution()), on_x(Identity(SHAPE))),
}
"""Programs with a closed form."""

OPEN: dict[str, tuple[str, Callable[[], ProxProgram]]] = {
    "mask and differences": (
        r"no common basis: they are diagonal and Fourier-diagonal",
        lambda: structured(on_x(mask()), on_x(differences())),
    ),
    "two boundaries": (
        "they are Fourier-diagonal and Cosine-diagonal",
        lambda: structured(on_x(differences()), on_x(differences("reflect"))),
    ),
    "a hidden term": (
        r"no fast basis is known for the Gram of FunctionOperator",
        lambda: structured(on_x(hidden()), on_x(differences())),
    ),
    "two hidden terms": (
        "FunctionOperator.*, FunctionOperator",
        lambda: structured(on_x(hidden()), on_x(hidden(6)), on_x(differences())),
    ),
    "a sum of entries": (
        "no fast basis is known for the Gram of SparseMatrix",
        lambda: structured(on_x(differences()), SparseMatrix(sp.csr_array(np.ones((1, SIZE))))),
    ),
    "overlapping slices": (
        "overlap",
        lambda: structured(OnSlice(Identity((30,)), 0, SIZE), OnSlice(Identity((30,)), 18, SIZE)),
    ),
    "shapes that differ": (
        "different shapes are coupled",
        lambda: structured(
            Sum((OnSlice(Identity((4,)), 0, 8), OnSlice(Gather(torch.arange(4), (2, 2)), 4, 8)))
        ),
    ),
}
"""Programs without one, and why."""
