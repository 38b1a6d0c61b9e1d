"""Atoms that apply a linear operator, each with its definition in NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import cvxpy as cp
import numpy as np
import scipy.fft
import torch

from cvxprox import atoms
from cvxprox.atoms.complex_parts import PartOfLinear
from cvxprox.atoms.differences import GradientColumns
from cvxprox.atoms.linear import LinearAtom

Shape = tuple[int, ...]
RNG = np.random.default_rng(7)


@dataclass(frozen=True)
class Case:
    """An atom of an expression of `shape`, built from it and its data, and what it computes."""

    name: str
    build: Callable[..., LinearAtom]
    oracle: Callable[..., np.ndarray]
    shape: Shape
    data: tuple[np.ndarray, ...] = ()
    complex_too: bool = False
    picklable: bool = True
    kind: type = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.of(cp.Variable(self.shape))))

    def of(self, x: cp.Expression) -> LinearAtom:
        return self.build(x, *self.data)

    def __str__(self) -> str:
        return self.name


BEYOND = {
    "circular": lambda i, n: i % n,
    "zero": lambda i, n: i if 0 <= i < n else None,
    "reflect": lambda i, n: min(i % (2 * n), 2 * n - 1 - i % (2 * n)),
}


def convolved(
    x: np.ndarray, kernel: np.ndarray, boundary: str, sign: int, axes: Shape | None = None
) -> np.ndarray:
    """The sum of the definition, one term after the other, for a kernel with one dimension per axis."""
    axes = tuple(range(-kernel.ndim, 0)) if axes is None else axes
    total = np.zeros(x.shape, np.result_type(x, kernel))
    for j in np.ndindex(kernel.shape):
        moved = x
        for axis, (step, size) in zip(axes, zip(j, kernel.shape, strict=True), strict=True):
            n = x.shape[axis]
            places = [BEYOND[boundary](i + sign * (size // 2 - step), n) for i in range(n)]
            padded = np.concatenate([moved, np.zeros_like(np.take(moved, [0], axis))], axis)
            moved = np.take(padded, [n if p is None else p for p in places], axis)
        total = total + kernel[j] * moved
    return total


def differences(x: np.ndarray, boundary: str, axes: Shape) -> np.ndarray:
    following = {"circular": None, "reflect": "edge", "zero": "constant"}[boundary]
    parts = []
    for axis in axes:
        width = [(0, int(a == axis % x.ndim)) for a in range(x.ndim)]
        padded = np.pad(x, width, mode=following or "wrap")
        parts.append(np.diff(padded, axis=axis))
    return np.stack(parts)


def sensed(x: np.ndarray, mask: np.ndarray, coils: np.ndarray | None = None) -> np.ndarray:
    images = x if coils is None else coils * x
    return mask * np.fft.fft2(images, norm="ortho")


def bayer(x: np.ndarray, pattern: str) -> np.ndarray:
    rows, columns = x.shape[:2]
    y = np.zeros((rows, columns))
    for i, j in itertools.product(range(rows), range(columns)):
        y[i, j] = x[i, j, "RGB".index(pattern[2 * (i % 2) + j % 2])]
    return y


def warped(x: np.ndarray, homography: np.ndarray, shape: Shape) -> np.ndarray:
    y = np.zeros(shape)
    for row, column in np.ndindex(shape):
        u, v, s = homography @ np.array([column, row, 1.0])
        u, v = u / s, v / s
        for i, j in itertools.product(
            (int(np.floor(v)), int(np.floor(v)) + 1), (int(np.floor(u)), int(np.floor(u)) + 1)
        ):
            if 0 <= i < x.shape[0] and 0 <= j < x.shape[1]:
                y[row, column] += (1 - abs(v - i)) * (1 - abs(u - j)) * x[i, j]
    return y


def channelwise(x: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    return np.stack([convolved(xc, kc, "circular", 1) for xc, kc in zip(x, kernels, strict=True)])


def cumulated(x: torch.Tensor) -> torch.Tensor:
    return x.cumsum(-1)


def cumulated_back(y: torch.Tensor) -> torch.Tensor:
    return y.flip(-1).cumsum(-1).flip(-1)


SQUARE, EVEN, LINE = RNG.standard_normal((3, 3)), RNG.standard_normal((2, 4)), RNG.standard_normal(4)
COMPLEX = SQUARE + 1j * RNG.standard_normal((3, 3))
CHANNELS = RNG.standard_normal((2, 3, 2))
MASK = RNG.integers(0, 2, (4, 6)).astype(float)
COILS = RNG.standard_normal((3, 4, 6)) + 1j * RNG.standard_normal((3, 4, 6))
TILT = np.array([[0.93, 0.21, 0.31], [-0.13, 1.07, 0.42], [0.011, -0.023, 1.0]])
MIX, MIXES = RNG.standard_normal((2, 3)), RNG.standard_normal((4, 5, 2, 3))
CONV2D = torch.nn.Conv2d(2, 3, 3, padding=1, bias=False)
SELECTED = RNG.random((4, 5)) > 0.5


def with_module(x: np.ndarray) -> np.ndarray:
    weight = CONV2D.weight.detach().double().numpy()
    return np.stack([sum(convolved(x[c], k[c], "zero", -1) for c in range(2)) for k in weight])


CASES = [
    Case("conv circular", atoms.conv, lambda x, k: convolved(x, k, "circular", 1), (4, 5), (SQUARE,), True),
    Case("conv even kernel", atoms.conv, lambda x, k: convolved(x, k, "circular", 1), (4, 5), (EVEN,)),
    Case("conv zero", lambda x, k: atoms.conv(x, k, "zero"),
         lambda x, k: convolved(x, k, "zero", 1), (4, 5), (EVEN,)),
    Case("conv reflect", lambda x, k: atoms.conv(x, k, "reflect"),
         lambda x, k: convolved(x, k, "reflect", 1), (4, 5), (EVEN,)),
    Case("conv of a vector", atoms.conv, lambda x, k: convolved(x, k, "circular", 1), (6,), (LINE,)),
    Case("conv of one axis", lambda x, k: atoms.conv(x, k, "zero", axes=0),
         lambda x, k: convolved(x, k, "zero", 1, (-2,)), (5, 3), (LINE,)),
    Case("conv of outer axes", lambda x, k: atoms.conv(x, k, "circular", (0, 1)),
         lambda x, k: convolved(x, k, "circular", 1, (-3, -2)), (4, 5, 2), (SQUARE,)),
    Case("conv with a kernel for every channel", lambda x, k: atoms.conv(x, k, axes=(-2, -1)),
         channelwise, (2, 4, 3), (CHANNELS,)),
    Case("conv complex", atoms.conv, lambda x, k: convolved(x, k, "circular", 1), (4, 5), (COMPLEX,), True),
    Case("correlate", atoms.correlate, lambda x, k: convolved(x, k, "circular", -1), (4, 5), (SQUARE,)),
    Case("correlate even kernel", lambda x, k: atoms.correlate(x, k, "zero"),
         lambda x, k: convolved(x, k, "zero", -1), (4, 5), (EVEN,)),
    Case("grad", atoms.grad, lambda x: differences(x, "reflect", (0, 1)), (3, 4), (), True),
    Case("grad circular", lambda x: atoms.grad(x, "circular"),
         lambda x: differences(x, "circular", (0,)), (5,)),
    Case("grad zero", lambda x: atoms.grad(x, "zero", (0, 2)),
         lambda x: differences(x, "zero", (0, 2)), (2, 3, 2)),
    Case("fft2", atoms.fft2, np.fft.fft2, (3, 4), (), True),
    Case("fft2 of the last axes", lambda x: atoms.fft2(x, "ortho"),
         lambda x: np.fft.fft2(x, norm="ortho"), (2, 3, 2)),
    Case("ifft2", atoms.ifft2, np.fft.ifft2, (3, 4), (), True),
    Case("fftn", lambda x: atoms.fftn(x, "ortho"), lambda x: np.fft.fftn(x, norm="ortho"), (2, 3, 2)),
    Case("ifftn", lambda x: atoms.ifftn(x, axes=0), lambda x: np.fft.ifftn(x, axes=(0,)), (5,)),
    Case("masked_fft", atoms.masked_fft, sensed, (4, 6), (MASK,), True),
    Case("masked_fft coils", atoms.masked_fft, sensed, (4, 6), (MASK, COILS), True),
    Case("masked_fft real coils", atoms.masked_fft, sensed, (4, 6), (MASK, COILS.real)),
    Case("dct", atoms.dct, lambda x: scipy.fft.dctn(x, norm="ortho"), (3, 5)),
    Case("dct of an "
    "axis", lambda x: atoms.dct(x, 0), lambda x: scipy.fft.dct(x, axis=0, norm="ortho"), (4, 2)),
    Case("idct", atoms.idct, lambda x: scipy.fft.idctn(x, norm="ortho"), (3, 5)),
    Case("mosaic", atoms.mosaic, lambda x: bayer(x, "RGGB"), (3, 5, 3)),
    Case("mosaic CHW", lambda x: atoms.mosaic(x, "GBRG", "CHW"),
         lambda x: bayer(np.moveaxis(x, 0, -1), "GBRG"), (3, 4, 3)),
    Case("subsample", lambda x: atoms.subsample(x, 2), lambda x: x[::2, ::2], (5, 4)),
    Case("subsample with offsets", lambda x: atoms.subsample(x, (2, 3), (1, 2)),
         lambda x: x[1::2, 2::3], (5, 7)),
    Case("subsample by mask", lambda x: atoms.subsample(x, mask=SELECTED), lambda x: x[SELECTED], (4, 5)),
    Case("warp", atoms.warp, lambda x, h: warped(x, h, (4, 5)), (4, 5), (TILT,)),
    Case("warp to another shape", lambda x, h: atoms.warp(x, h, (3, 7)),
         lambda x, h: warped(x, h, (3, 7)), (4, 5), (TILT,)),
    Case("channel_matmul", lambda x, m: atoms.channel_matmul(m, x), lambda x, m: x @ m.T, (2, 4, 3), (MIX,)),
    Case("channel_matmul first", lambda x, m: atoms.channel_matmul(m, x, axis=0),
         lambda x, m: np.tensordot(m, x, 1), (3, 4), (MIX,)),
    Case("channel_matmul complex", lambda x, m: atoms.channel_matmul(m, x),
         lambda x, m: x @ m.T, (2, 3), (MIX * (1 + 2j),), True),
    Case("pixel_matmul", lambda x, m: atoms.pixel_matmul(m, x),
         lambda x, m: np.einsum("ijpq,ijq->ijp", m, x), (4, 5, 3), (MIXES,)),
    Case("pixel_matmul first", lambda x, m: atoms.pixel_matmul(m, x, axis=0),
         lambda x, m: np.einsum("ijpq,qij->pij", m, x), (3, 4, 5), (MIXES,)),
    Case("linop", atoms.linop(cumulated, (3, 4)), lambda x: x.cumsum(-1), (3, 4), (), True),
    Case("linop with adjoint", atoms.linop(cumulated, (5,), cumulated_back), lambda x: x.cumsum(-1), (5,)),
    Case("linop one sample at a time", atoms.linop(lambda x: x.reshape(-1)[1:], (2, 3)),
         lambda x: x.reshape(-1)[1:], (2, 3), picklable=False),
    Case("linop complex", atoms.linop(torch.fft.fft, (5,)), np.fft.fft, (5,), (), True),
    Case("linop float32", atoms.linop(cumulated, (5,), cumulated_back, dtype=torch.float32),
         lambda x: x.cumsum(-1), (5,)),
    Case("learned_linop", lambda x: atoms.learned_linop(CONV2D, x, (3, 4, 3)), with_module, (2, 4, 3)),
]  # fmt: skip


def linear_atoms() -> set[type]:
    """Every linear atom of the library that a user makes."""

    def below(kind: type) -> set[type]:
        return set().union(*({sub} | below(sub) for sub in kind.__subclasses__()))

    made_inside = {PartOfLinear, *below(PartOfLinear), GradientColumns}
    with_subclasses = {"KernelAtom", "Transform", "MixingAtom"}
    return {
        atom
        for atom in below(LinearAtom)
        if atom.__module__.startswith("cvxprox.")
        and atom not in made_inside
        and atom.__name__ not in with_subclasses
    }


def values(shape: Shape, seed: int = 0, complex_: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if complex_ else x
