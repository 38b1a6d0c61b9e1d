"""Operators that are never matrices: convolutions, differences, transforms and what goes with them."""

from __future__ import annotations

import torch

from cvxprox.operators import (
    ChannelMatrix,
    ComplexPair,
    Convolution,
    Cosine,
    CosineBasis,
    Diagonal,
    FiniteDifference,
    Fourier,
    FourierBasis,
    Gather,
    ImagPart,
    InverseFourier,
    LinearOperator,
    Matrix,
    OnSlice,
    PixelBasis,
    PixelMatrix,
    RealPair,
    RealPart,
    Spectral,
    Spectrum,
    SquareOnSlice,
    Subsample,
    Warp,
    correlation,
    gram,
)
from tests.operators.operator_cases import C, randn

BOUNDARIES = ("circular", "zero", "reflect")
SINGLE = torch.float32
HOMOGRAPHY = torch.tensor([[1.1, 0.1, -0.3], [0.05, 0.9, 0.4], [0.01, -0.02, 1.0]], dtype=torch.float64)


def symmetric(*shape: int) -> torch.Tensor:
    """A kernel that is symmetric along every axis."""
    k = randn(*shape)
    for axis in range(k.dim()):
        k = k + k.flip(axis)
    return k


def orthogonal(n: int) -> torch.Tensor:
    return torch.linalg.qr(randn(n, n)).Q


def convolutions(boundary: str) -> list[LinearOperator]:
    return [
        Convolution(randn(4), (5,), boundary),
        Convolution(randn(3, 2), (4, 5), boundary),
        Convolution(randn(7, 9), (4, 3), boundary),  # larger than the image
        Convolution(symmetric(3, 3), (2, 4, 5), boundary),
        Convolution(randn(2, 3, 2), (4, 5, 2), boundary, axes=(-3, -2)),  # a kernel a channel
        Convolution(randn(2, 1, 3), (3, 2, 4), boundary),
        Convolution(randn(2, 3, dtype=C), (3, 4), boundary),
        Convolution(randn(2, 2), (2, 3), boundary, dtype_in=C),
        correlation(randn(2, 3), (3, 4), boundary),
    ]


STRUCTURED: dict[type[LinearOperator], list[LinearOperator]] = {
    Convolution: [K for boundary in BOUNDARIES for K in convolutions(boundary)],
    FiniteDifference: [
        FiniteDifference(shape, axes, boundary, dtype)
        for boundary in BOUNDARIES
        for shape, axes, dtype in [
            ((1,), None, torch.float64),
            ((2,), None, torch.float64),
            ((4, 3), None, torch.float64),
            ((3, 4, 2), (0, 1), torch.float64),
            ((3, 4), (1,), C),
        ]
    ],
    Fourier: [
        Fourier((5,)),
        Fourier((4, 3), norm="backward"),
        Fourier((2, 3, 4), (1, 2), dtype_in=C),
        Fourier((3, 4), (0,), "backward", C),
    ],
    InverseFourier: [
        InverseFourier((5,)),
        InverseFourier((4, 3), norm="backward"),
        InverseFourier((3, 4), (0,), dtype_in=torch.float64),
    ],
    Cosine: [Cosine((1,)), Cosine((5,)), Cosine((4, 3)), Cosine((2, 3, 4), (0, 2)), Cosine((4,), None, C)],
    Subsample: [
        Subsample((7,), (3,)),
        Subsample((4, 6), (2, 3), (1, 2)),
        Subsample((3, 2), (1, 1)),
        Subsample((5,), (2,), dtype_in=C),
    ],
    ChannelMatrix: [
        ChannelMatrix(randn(2, 3), (3, 2, 2)),
        ChannelMatrix(randn(4, 3), (2, 3, 2), 1),
        ChannelMatrix(orthogonal(3), (2, 3), -1),
        ChannelMatrix(2 * orthogonal(3), (3,)),
        ChannelMatrix(randn(2, 3, dtype=C), (2, 3), 1),
        ChannelMatrix(torch.ones(1, 3, dtype=torch.float64), (3, 2)),
    ],
    PixelMatrix: [
        PixelMatrix(randn(2, 3, 4, 2), (2, 2, 3)),
        PixelMatrix(randn(2, 3, 2, 4, dtype=C), (2, 4, 3), 1),
        PixelMatrix(randn(3, 2), (2,)),
    ],
    Warp: [
        Warp(HOMOGRAPHY, (4, 5)),
        Warp(HOMOGRAPHY, (2, 4, 5), (3, 4)),
        Warp(HOMOGRAPHY, (4, 5, 2), (3, 5, 2), (0, 1)),
        Warp(HOMOGRAPHY.clone().requires_grad_(), (4, 3)),
        Warp(HOMOGRAPHY, (3, 3), dtype_in=C),
    ],
    RealPart: [RealPart((3,))],
    ImagPart: [ImagPart((3,))],
    RealPair: [RealPair((2, 3))],
    ComplexPair: [ComplexPair((2, 3)), ComplexPair(())],
    Spectral: [
        Spectral(Spectrum(FourierBasis((-2, -1), (3, 4), True), torch.fft.rfft2(randn(3, 4))), (3, 4)),
        Spectral(Spectrum(FourierBasis((-1,), (5,), True), randn(2, 1).abs()), (2, 5)),
        Spectral(Spectrum(FourierBasis((-2,), (3,), False), randn(3, 1, dtype=C)), (3, 2), C),
        Spectral(Spectrum(CosineBasis((-2, -1), (3, 4)), randn(3, 4)), (2, 3, 4)),
        Spectral(Spectrum(PixelBasis(), randn(4)), (3, 4)),
        gram(Convolution(randn(2, 2), (3, 4))),
        gram(Convolution(symmetric(3, 3), (3, 4), "reflect")),
        gram(Diagonal(randn(3, 4)) @ Fourier((3, 4))),
    ],
    OnSlice: [
        OnSlice(Convolution(randn(3), (4,)), 0, 4),
        OnSlice(FiniteDifference((2, 3)), 1, 9),
        OnSlice(Subsample((5,), (2,)), 2, 7),
        OnSlice(Fourier((2, 2)), 3, 7),
        OnSlice(Matrix(randn(2, 3, dtype=C)), 0, 4),
    ],
    SquareOnSlice: [
        SquareOnSlice(gram(FiniteDifference((2, 3))), 1, 9),
        SquareOnSlice(Matrix(randn(3, 3)), 0, 4),
        SquareOnSlice(Diagonal(randn(2, 2)), 0, 4),
        SquareOnSlice(Matrix(randn(2, 2, dtype=C)), 2, 4),
    ],
}

COMPOSED: list[LinearOperator] = [
    Subsample((4, 6), (2, 3)) @ Convolution(randn(3, 3), (4, 6)),
    FiniteDifference((4, 3), boundary="circular") @ Convolution(randn(3, 2), (4, 3)),
    Diagonal(randn(4, 3)) @ Fourier((4, 3)),
    Gather(torch.tensor([3, 0, 7, 5]), (3, 4), C) @ Fourier((3, 4)),
    Gather(torch.tensor([3, 0]), (3, 4), C) @ Fourier((3, 4), dtype_in=C),
    Diagonal(randn(4, 3)) @ Cosine((4, 3)),
    ChannelMatrix(orthogonal(2), (2, 3, 3)) @ Convolution(randn(2, 2), (2, 3, 3)),
    Diagonal(randn(2, 1, 1), (2, 3, 4)) @ Convolution(randn(2, 2), (2, 3, 4)),
    Diagonal(randn(3, 4)) @ Convolution(randn(2, 2), (3, 4), "zero"),
    RealPair((2, 3)) @ Fourier((2, 3)),
    Cosine((5,)).T @ Diagonal(randn(5)) @ Cosine((5,)),
]
"""What is made of them."""
