"""Spectra against dense matrices."""

from __future__ import annotations

import math

import pytest
import scipy.sparse as sp
import torch
from torch.testing import assert_close

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
    FunctionOperator,
    Gather,
    Identity,
    InverseFourier,
    LinearOperator,
    Matrix,
    OnSlice,
    PixelBasis,
    RealPair,
    SparseMatrix,
    Spectrum,
    Stacked,
    Subsample,
    Sum,
    as_sparse,
    conjugated,
    gram,
    gram_spectrum,
    is_diagonal,
    norm,
    outer_gram_spectrum,
    scatters,
    spectrum,
    transformed,
)
from cvxprox.operators.bases import negated_frequencies
from tests.operators.operator_cases import GENERAL, C, randn
from tests.operators.structured_cases import COMPOSED, STRUCTURED, orthogonal, symmetric
from tests.operators.test_operators import as_real

EVERY = [K for examples in (GENERAL | STRUCTURED).values() for K in examples] + COMPOSED
every = pytest.mark.parametrize("K", EVERY, ids=[f"{i}-{type(K).__name__}" for i, K in enumerate(EVERY)])


@every
def test_spectra_are_those_of_the_operator(K: LinearOperator) -> None:
    x, y = randn(2, *K.shape_in, dtype=K.dtype_in), randn(2, *K.shape_out, dtype=K.dtype_out)
    own, inside, outside = spectrum(K), gram_spectrum(K), outer_gram_spectrum(K)
    if own is not None:
        assert_close(own.apply(x), K(x))
        assert_close(own.adjoint.apply(x), K.adjoint(x))
    if inside is not None:
        assert_close(inside.apply(x), K.adjoint(K(x)))
    if outside is not None:
        assert_close(outside.apply(y), K(K.adjoint(y)).to(K.dtype_out))


@pytest.mark.parametrize("K", COMPOSED, ids=repr)
def test_what_is_made_of_structured_operators(K: LinearOperator) -> None:
    x, y = randn(2, *K.shape_in, dtype=K.dtype_in), randn(2, *K.shape_out, dtype=K.dtype_out)
    assert_close((K(x).conj() * y).sum().real, (x.conj() * K.adjoint(y)).sum().real)
    assert_close(gram(K)(x), K.adjoint(K(x)))
    assert_close(norm(K), torch.linalg.matrix_norm(as_real(K), 2), rtol=1e-6, atol=1e-12)


PLANE = FourierBasis((-2, -1), (4, 5), True)
KNOWN = [
    # operator, basis of K*K
    (Convolution(randn(3, 2), (4, 5)), PLANE),
    (Convolution(randn(3), (4, 5), axes=(0,)), FourierBasis((-2,), (4,), True)),
    (Convolution(randn(2, dtype=C), (5,)), FourierBasis((-1,), (5,), False)),
    (Convolution(symmetric(3, 5), (2, 4, 5), "reflect"), CosineBasis((-2, -1), (4, 5))),
    (Convolution(randn(3), (4,), "reflect"), None),
    (Convolution(symmetric(3), (4,), "zero"), None),
    (FiniteDifference((4, 5), boundary="circular"), PLANE),
    (FiniteDifference((3, 4, 5), (0, 2)), CosineBasis((-3, -1), (3, 5))),
    (FiniteDifference((4, 5), boundary="zero"), None),
    (Fourier((4, 5)), PixelBasis()),
    (InverseFourier((4, 5), norm="backward"), PixelBasis()),
    (Cosine((4,)), PixelBasis()),
    (Cosine((4,)).T, PixelBasis()),
    (Subsample((4, 6), (2, 3)), PixelBasis()),
    (ChannelMatrix(orthogonal(3), (3, 4)), PixelBasis()),
    (ChannelMatrix(randn(3, 3), (3, 4)), None),
    (ComplexPair((3,)) @ RealPair((3,)), PixelBasis()),
    (RealPair((3,)) @ (Diagonal(randn(3)) @ Fourier((3,))), FourierBasis((-1,), (3,), True)),
    (Diagonal(randn(4, 5)) @ Fourier((4, 5)), PLANE),
    (Diagonal(randn(4, 5)) @ Fourier((4, 5), (0,)), FourierBasis((-2,), (4,), True)),
    (Gather(torch.tensor([1, 4]), (6,), C) @ Fourier((6,), dtype_in=C), FourierBasis((-1,), (6,), False)),
    (Diagonal(randn(4)) @ InverseFourier((4,)), FourierBasis((-1,), (4,), False)),
    (Diagonal(randn(4, 5)) @ Cosine((4, 5)), CosineBasis((-2, -1), (4, 5))),
    (Diagonal(randn(3, 1, 1), (3, 4, 5)) @ Convolution(randn(2, 2), (3, 4, 5)), PLANE),
    (Diagonal(randn(4, 5)) @ Convolution(randn(2, 2), (4, 5)), None),
    (
        FiniteDifference((4, 5), boundary="circular") @ Convolution(randn(2), (4, 5)),
        PLANE,
    ),
    (ChannelMatrix(orthogonal(2), (2, 4)) @ Convolution(randn(2), (2, 4)), FourierBasis((-1,), (4,), True)),
    (FunctionOperator(lambda x: x, (3,)), None),
    (Matrix(torch.eye(3)), None),
]


@pytest.mark.parametrize(("K", "basis"), KNOWN, ids=[f"{i}-{K}" for i, (K, _) in enumerate(KNOWN)])
def test_the_basis_is_found(K: LinearOperator, basis: object) -> None:
    found = gram_spectrum(K)
    assert (found and found.basis) == basis
    x = randn(2, *K.shape_in, dtype=K.dtype_in)
    if found is not None:
        assert_close(found.apply(x), K.adjoint(K(x)))
        assert_close(norm(K), torch.linalg.matrix_norm(as_real(K), 2), rtol=1e-12, atol=1e-12)
        own = spectrum(gram(K))
        assert own is not None
        assert_close(own.apply(x), K.adjoint(K(x)))


def diagonal_of_ones(n: int, shift: int) -> SparseMatrix:
    return SparseMatrix(sp.csr_array(sp.diags_array([1.0], offsets=[shift], shape=(n, n + abs(shift)))))


mask = randn(3, 4)
SCATTERED = [
    Gather(torch.tensor([3, 0]), (4,)),
    Gather(torch.tensor([2, 0, 1, 5]), (6,)).T @ Diagonal(randn(4)),
    ChannelMatrix(torch.ones(1, 3).double(), (3, 4)) @ Diagonal(mask),
    Sum(
        # A coded aperture: channels masked, shifted and added up.
        tuple(
            Gather(torch.arange(4) + shift, (6,)).T
            @ Gather(torch.arange(4) + 4 * shift, (12,))
            @ Diagonal(mask.reshape(12))
            for shift in range(3)
        )
    ),
    Sum(tuple(OnSlice(Diagonal(mask[c]), 4 * c, 12) for c in range(3))),
    2.0 * diagonal_of_ones(4, 2),
    Subsample((4, 6), (2, 3), (1, 0)) @ Diagonal(randn(6), (4, 6)),
    OnSlice(Subsample((4, 6), (2, 3)), 2, 30),
    Matrix(torch.tensor([[1.0, 0, 2, 0], [0, 3, 0, 0]])),
]


@pytest.mark.parametrize("K", SCATTERED, ids=repr)
def test_entries_that_go_to_one_place(K: LinearOperator) -> None:
    A = as_sparse(K)
    product = (A @ A.T).toarray()
    found = outer_gram_spectrum(K)
    assert scatters(K) and found is not None and found.basis == PixelBasis()
    diagonal = found.values.expand(K.shape_out).reshape(-1)
    assert_close(torch.diag(diagonal), torch.from_numpy(product).to(diagonal.dtype))


def test_entries_that_meet() -> None:
    one = Diagonal(randn(4))
    for K in [
        Sum((one, one)),
        Matrix(torch.ones(2, 2)),
        Gather(torch.tensor([0, 0]), (2,)),
        Convolution(randn(2), (4,)),
        Stacked((one, one)),
        FunctionOperator(lambda x: x, (3,)),
    ]:
        assert not scatters(K)


@pytest.mark.parametrize("boundary", ["circular"])
@pytest.mark.parametrize(
    ("shape", "axes", "steps", "offsets", "dtype"),
    [
        ((6,), (-1,), (2,), (1,), torch.float64),
        ((6, 4), (-2, -1), (3, 2), (0, 0), torch.float64),
        ((6, 8), (-2, -1), (2, 4), (1, 3), C),
        ((2, 4, 6), (-2, -1), (1, 2, 2), (0, 1, 0), torch.float64),
        ((4, 6, 3), (-3, -2), (2, 3, 1), (0, 0, 0), torch.float64),
        ((6, 5), (-2,), (3, 2), (0, 1), torch.float64),
        ((4, 9), (-2, -1), (1, 3), (0, 0), torch.float64),
    ],
)
def test_a_convolution_on_the_coarse_grid(
    boundary: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    steps: tuple[int, ...],
    offsets: tuple[int, ...],
    dtype: torch.dtype,
) -> None:
    k = randn(*(3,) * len(axes), dtype=dtype)
    K = Subsample(shape, steps, offsets, dtype) @ Convolution(k, shape, boundary, axes)
    found = outer_gram_spectrum(K)
    assert found is not None and found.values.numel() > 1
    y = randn(2, *K.shape_out, dtype=dtype)
    assert_close(found.apply(y), K(K.adjoint(y)))
    assert_close(norm(K), torch.linalg.matrix_norm(as_real(K), 2))


def test_no_coarse_grid_where_sizes_do_not_divide() -> None:
    K = Subsample((5,), (2,)) @ Convolution(randn(3), (5,))
    assert outer_gram_spectrum(K) is None
    K = Subsample((4, 6), (2, 3)) @ Convolution(symmetric(3, 3), (4, 6), "reflect")
    assert outer_gram_spectrum(K) is None


def test_a_kernel_for_every_channel_on_the_coarse_grid() -> None:
    K = Subsample((3, 4, 6), (2, 2, 2)) @ Convolution(randn(3, 3, 3), (3, 4, 6), axes=(-2, -1))
    found = outer_gram_spectrum(K)
    assert found is not None
    y = randn(*K.shape_out)
    assert_close(found.apply(y), K(K.adjoint(y)))


def test_sums_over_other_axes() -> None:
    shape = (2, 4, 5)
    terms = [
        gram(Convolution(randn(3, 3), shape)),
        gram(Convolution(randn(2, 1, 3), shape, axes=(-1,))),  # a kernel a channel
        gram(FiniteDifference(shape, (1,), "circular")),
        2.0 * gram(FiniteDifference(shape, (2,), "circular")),
        Diagonal(randn(2, 1, 1).expand(shape)),
        Identity(shape),
    ]
    x = randn(3, *shape)
    for K in (Sum(tuple(terms)), Sum(tuple(reversed(terms)))):
        found = spectrum(K)
        assert found is not None and found.basis == PLANE
        assert_close(found.apply(x), K(x))
    assert spectrum(Sum((*terms, Diagonal(randn(*shape))))) is None
    assert spectrum(Sum((*terms, gram(FiniteDifference(shape, (1,)))))) is None
    assert spectrum(Sum((*terms, gram(FiniteDifference(shape, (0,), "circular"))))) is None  # channels differ
    stacked = Stacked(tuple(FiniteDifference((4, 5), (axis,)) for axis in (0, 1)))
    found = gram_spectrum(stacked)
    assert found is not None and found.basis == CosineBasis((-2, -1), (4, 5))
    assert_close(norm(stacked), norm(FiniteDifference((4, 5))))


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_halves_of_a_spectrum(n: int) -> None:
    basis = FourierBasis((-2, -1), (3, n), True)
    full = torch.fft.fft2(randn(3, n))
    assert_close(basis.full(torch.fft.rfft2(randn(3, n))), full)
    assert_close(basis.halved(full), torch.fft.rfft2(randn(3, n)))
    assert_close(negated_frequencies(full, (-2, -1)), full.conj().resolve_conj())


def test_values_between_a_transform_and_its_adjoint() -> None:
    v, x = randn(4, 5), randn(4, 5)
    for K in (Fourier((4, 5)), Fourier((4, 5), norm="backward"), Cosine((4, 5))):
        found = transformed(K, v)
        assert found is not None
        assert_close(found.apply(x), K.adjoint(v * K(x)))
        found = transformed(K, torch.tensor(2.0).double())
        assert found is not None
        assert_close(found.apply(x), 2 * K.adjoint(K(x)))
    assert transformed(Identity((4, 5)), v) is None


def test_between_a_selection_and_its_adjoint() -> None:
    S = Spectrum(PixelBasis(), randn(6))
    K = Gather(torch.tensor([4, 1]), (6,))
    found = conjugated(K, S)
    assert found is not None
    assert_close(found.values, S.values[[4, 1]])
    assert conjugated(Gather(torch.tensor([4, 4]), (6,)), S) is None


def test_gradients_do_not_take_symmetry_for_granted() -> None:
    k = symmetric(3).requires_grad_()
    assert spectrum(Convolution(k, (4,), "reflect")) is None
    assert gram_spectrum(ChannelMatrix(orthogonal(3).requires_grad_(), (3,))) is None
    assert gram_spectrum(Convolution(k, (4,))) is not None


def test_spectrum_of_a_large_laplacian() -> None:
    K = FiniteDifference((64, 48))
    assert_close(
        float(norm(K)) ** 2, 4 * (math.sin(math.pi * 63 / 128) ** 2 + math.sin(math.pi * 47 / 96) ** 2)
    )
    assert not is_diagonal(gram(K))
