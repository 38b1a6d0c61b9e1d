"""Structured operators against NumPy and SciPy."""

from __future__ import annotations

import copy
import pickle
import time

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage as ndimage
import torch
from torch.testing import assert_close

from cvxprox.operators import (
    ChannelMatrix,
    Composed,
    Convolution,
    Cosine,
    Diagonal,
    FiniteDifference,
    Fourier,
    FunctionOperator,
    InverseFourier,
    LinearOperator,
    OnSlice,
    PixelMatrix,
    RealPair,
    SquareOnSlice,
    Stacked,
    Subsample,
    Sum,
    Warp,
    as_dense,
    as_sparse,
    check_adjoint,
    check_linear,
    correlation,
    diagonal,
    gram,
    move,
    norm,
    weighted_column_norms,
)
from cvxprox.operators.dct import dct, idct
from tests.operators.operator_cases import C, randn
from tests.operators.structured_cases import BOUNDARIES, HOMOGRAPHY, STRUCTURED, symmetric
from tests.operators.test_operators import as_real

MODES = {"circular": "wrap", "zero": "constant", "reflect": "reflect"}
every = pytest.mark.parametrize(
    "K",
    [K for examples in STRUCTURED.values() for K in examples],
    ids=[f"{kind.__name__}-{i}" for kind, examples in STRUCTURED.items() for i in range(len(examples))],
)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("taps", [(1, 1), (3, 3), (2, 4), (5, 2), (11, 9)], ids=str)
def test_convolution_is_that_of_scipy(boundary: str, taps: tuple[int, ...]) -> None:
    x, k = randn(7, 6), randn(*taps)
    expected = ndimage.convolve(x.numpy(), k.numpy(), mode=MODES[boundary])
    assert_close(Convolution(k, (7, 6), boundary)(x), torch.from_numpy(expected))
    expected = ndimage.correlate(x.numpy(), k.numpy(), mode=MODES[boundary])
    assert_close(correlation(k, (7, 6), boundary)(x), torch.from_numpy(expected))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(9,), (4, 5, 6)], ids=str)
def test_convolution_in_one_and_three_dimensions(boundary: str, shape: tuple[int, ...]) -> None:
    x, k = randn(*shape), randn(*range(2, 2 + len(shape)))
    expected = ndimage.convolve(x.numpy(), k.numpy(), mode=MODES[boundary])
    assert_close(Convolution(k, shape, boundary)(x), torch.from_numpy(expected))


def test_the_middle_of_the_kernel_is_its_origin() -> None:
    impulse = torch.zeros(5, 6, dtype=torch.float64)
    impulse[2, 3] = 1
    for boundary in BOUNDARIES:
        for taps in ((3, 3), (2, 4)):
            delta = torch.zeros(taps, dtype=torch.float64)
            delta[taps[0] // 2, taps[1] // 2] = 1
            assert_close(Convolution(delta, (5, 6), boundary)(impulse), impulse)
            assert_close(correlation(delta, (5, 6), boundary)(impulse), impulse)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_channels_before_and_after_the_image(boundary: str) -> None:
    x, k = randn(2, 3, 4, 5), randn(3, 3, 2)
    single = [Convolution(k[c], (4, 5), boundary)(x[:, c]) for c in range(3)]
    first = Convolution(k, (3, 4, 5), boundary, axes=(1, 2))
    last = Convolution(k, (4, 5, 3), boundary, axes=(-3, -2))
    assert_close(first(x), torch.stack(single, dim=1))
    assert_close(last(x.movedim(1, -1)), torch.stack(single, dim=-1))
    one = Convolution(k[0], (4, 5, 3), boundary, axes=(0, 1))
    assert_close(one(x.movedim(1, -1))[..., 2], Convolution(k[0], (4, 5), boundary)(x[:, 2]))


def test_a_batch_of_kernels() -> None:
    k, x = randn(6, 3, 3), randn(4, 5)
    K = Convolution(k, (4, 5), axes=(-2, -1))
    assert_close(K(x), torch.stack([Convolution(one, (4, 5))(x) for one in k]))
    with pytest.raises(ValueError, match="batch of kernels"):
        as_sparse(K)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_gradients_reach_the_kernel(boundary: str) -> None:
    k, x = randn(3, 2).requires_grad_(), randn(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda k, x: Convolution(k, (4, 3), boundary)(x), (k, x))
    assert torch.autograd.gradcheck(lambda k, x: Convolution(k, (4, 3), boundary).adjoint(x), (k, x))
    assert torch.autograd.gradcheck(lambda k, x: gram(Convolution(k, (4, 3), boundary))(x), (k, x))
    K = Convolution(k, (4, 3), boundary)
    for _ in range(2):  # no graph is kept between products
        K(x).sum().backward()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_differences_are_those_of_numpy(boundary: str) -> None:
    x = randn(2, 4, 5)
    mode = {"circular": {"mode": "wrap"}, "zero": {"mode": "constant"}, "reflect": {"mode": "edge"}}[boundary]
    for axes in ((1, 2), (0, 2), (1,)):
        expected = []
        for axis in axes:
            width = [(0, int(a == axis)) for a in range(3)]
            expected.append(np.diff(np.pad(x.numpy(), width, **mode), axis=axis))
        actual = FiniteDifference((2, 4, 5), axes, boundary)(x)
        assert_close(actual, torch.from_numpy(np.stack(expected)))


@every
def test_products_with_and_without_gradients_agree(K: LinearOperator) -> None:
    x, y = randn(2, *K.shape_in, dtype=K.dtype_in), randn(2, *K.shape_out, dtype=K.dtype_out)
    with torch.no_grad():
        image, back = K(x), K.adjoint(y)
    assert_close(K(x.clone().requires_grad_()), image)
    assert_close(K.adjoint(y.clone().requires_grad_()), back)
    assert_close(torch.func.vmap(K.forward)(x), image)
    assert_close(torch.func.vmap(K.adjoint)(y), back)
    # Arguments with other strides, and not written to.
    kept = x.clone()
    turned = x.movedim(0, -1).contiguous().movedim(-1, 0)
    assert_close(K(turned), image)
    assert_close(K.adjoint(y.movedim(0, -1).contiguous().movedim(-1, 0)), back)
    assert_close(x, kept, rtol=0, atol=0)


@every
def test_copies(K: LinearOperator) -> None:
    x = randn(*K.shape_in, dtype=K.dtype_in)
    for other in (copy.deepcopy(K), pickle.loads(pickle.dumps(K))):
        assert_close(other(x), K(x))


@pytest.mark.parametrize("norm_", ["ortho", "backward"])
@pytest.mark.parametrize("dtype", [torch.float64, C])
def test_transforms_are_those_of_numpy(norm_: str, dtype: torch.dtype) -> None:
    x = randn(3, 4, 5, dtype=dtype)
    expected = np.fft.fftn(x.numpy(), axes=(1, 2), norm=norm_)
    F, inverse = Fourier((3, 4, 5), (1, 2), norm_, dtype), InverseFourier((3, 4, 5), (1, 2), norm_)
    assert_close(F(x), torch.from_numpy(expected))
    assert_close(inverse(F(x)), x.to(C))


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (8,), (4, 5), (3, 4, 5)], ids=str)
def test_cosine_transform_is_that_of_scipy(shape: tuple[int, ...]) -> None:
    x = randn(2, *shape)
    axes = tuple(range(-len(shape), 0))
    expected = scipy.fft.dctn(x.numpy(), axes=axes, norm="ortho")
    assert_close(Cosine(shape)(x), torch.from_numpy(expected))
    assert_close(idct(dct(x, axes), axes), x)
    x = x[..., :1].repeat((1,) * len(shape) + (3,)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dct(x, (-1,)), (x,))
    assert torch.autograd.gradcheck(lambda x: idct(x, (-1,)), (x,))


def test_subsampling_and_channels_are_those_of_numpy() -> None:
    x = randn(2, 6, 7)
    assert_close(Subsample((6, 7), (2, 3), (1, 2))(x), x[:, 1::2, 2::3])
    M, N = randn(3, 2), randn(6, 7, 3, 2)
    assert_close(ChannelMatrix(M, (2, 6, 7))(x), torch.einsum("pq,qij->pij", M, x))
    assert_close(PixelMatrix(N, (2, 6, 7))(x), torch.einsum("ijpq,qij->pij", N, x))
    batch = randn(4, 3, 2)
    y = randn(4, 6, 2, 7)
    assert_close(ChannelMatrix(batch, (6, 2, 7), 1)(y), torch.einsum("bpq,biqj->bipj", batch, y))


def test_warp_is_bilinear_sampling() -> None:
    x = randn(6, 7)
    K = Warp(HOMOGRAPHY, (6, 7), (4, 5))
    rows, columns = np.mgrid[:4, :5]
    u, v, s = np.tensordot(HOMOGRAPHY.numpy(), np.stack([columns, rows, np.ones((4, 5))]), 1)
    # Zeros around the image, as beyond its border the interpolation is towards them.
    expected = ndimage.map_coordinates(np.pad(x.numpy(), 2), np.stack([v / s, u / s]) + 2, order=1)
    assert_close(K(x), torch.from_numpy(expected))
    identity = Warp(torch.eye(3).double(), (6, 7))
    assert_close(identity(x), x, rtol=0, atol=0)
    assert_close(Warp(HOMOGRAPHY.clone().requires_grad_(), (6, 7), (4, 5))(x), K(x))
    H = (HOMOGRAPHY + 0.0123).requires_grad_()  # no point on a row or a column, where there is a kink
    assert torch.autograd.gradcheck(lambda H: Warp(H, (6, 7), (4, 5))(x), (H,))


@every
def test_single_precision(K: LinearOperator) -> None:
    moved = move(K, "cpu", torch.float32)
    x, y = randn(2, *K.shape_in, dtype=K.dtype_in), randn(2, *K.shape_out, dtype=K.dtype_out)
    image, back = moved(x.to(moved.dtype_in)), moved.adjoint(y.to(moved.dtype_out))
    assert image.dtype == moved.dtype_out and back.dtype == moved.dtype_in
    assert moved.dtype_in.to_real() == torch.float32
    assert_close(image.to(K.dtype_out), K(x), rtol=1e-4, atol=1e-4)
    assert_close(back.to(K.dtype_in), K.adjoint(y), rtol=1e-4, atol=1e-4)


@every
def test_diagonals_of_gram_operators(K: LinearOperator) -> None:
    G = gram(K)
    # Of complex tensors the mean over real and imaginary parts.
    parts = as_real(G).diagonal().reshape(2 if K.dtype_in.is_complex else 1, *K.shape_in)
    assert_close(diagonal(G), parts.mean(dim=0).to(K.dtype_in))


def test_diagonals_of_large_operators() -> None:
    shape = (160, 160)
    x = torch.zeros(shape, dtype=torch.float64)
    x[3, 0] = 1
    for K in (FiniteDifference(shape), Convolution(randn(5, 4), shape, "zero"), Cosine(shape)):
        w = randn(*K.shape_out).abs()
        assert_close(weighted_column_norms(K, w)[3, 0], (w * K(x).square()).sum())
    G = (
        gram(Diagonal(randn(*shape)) @ FiniteDifference(shape, (0,)).T.T)
        if False
        else gram(FiniteDifference(shape))
    )
    assert_close(diagonal(G)[3, 0], G(x)[3, 0])
    # Estimates: unbiased, of relative deviation 1/4 at every entry.
    exact = weighted_column_norms(FiniteDifference(shape), torch.ones((), dtype=torch.float64))
    hidden = FunctionOperator(FiniteDifference(shape).forward, shape)
    estimate = weighted_column_norms(hidden, torch.ones((), dtype=torch.float64))
    assert ((estimate / exact - 1).abs().mean() < 0.3) and abs(float((estimate / exact).mean()) - 1) < 0.01
    estimate = diagonal(Composed(hidden.T, hidden) + FunctionOperator(lambda x: x, shape))
    assert abs(float((estimate / (exact + 1)).mean()) - 1) < 0.02


def test_columns_of_several_variables() -> None:
    A, B = Convolution(randn(3), (5,)), Subsample((6,), (2,))
    one = OnSlice(A, 0, 11)
    two = OnSlice(Diagonal(randn(5)) @ ChannelMatrix(randn(5, 6), (6,)), 5, 11)
    K = Stacked((Sum((one, -1.0 * two)), OnSlice(B, 5, 11), OnSlice(RealPair((2,)) @ Fourier((2,)), 3, 11)))
    w = randn(*K.shape_out).abs()
    assert_close(weighted_column_norms(K, w), (w[:, None] * as_dense(K).square()).sum(0))
    P = 2.0 * SquareOnSlice(gram(A), 0, 11) + SquareOnSlice(gram(B), 5, 11)
    assert_close(diagonal(P), as_dense(P).diagonal())


def test_norm_of_operators_on_one_variable() -> None:
    pieces = (FiniteDifference((4, 5)), Convolution(symmetric(3, 3), (4, 5), "reflect"))
    K = Stacked(tuple(OnSlice(piece, 0, 20) for piece in pieces))
    assert_close(norm(K), torch.linalg.matrix_norm(as_dense(K), 2), rtol=1e-12, atol=0)


def test_norm_without_a_kept_basis(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    K = Convolution(randn(3, 3), (12, 13), "zero")
    monkeypatch.setattr(sys.modules["cvxprox.operators.norm"], "REORTHOGONALISED", 10)
    assert_close(norm(K, 1e-9), torch.linalg.matrix_norm(as_dense(K), 2), rtol=1e-6, atol=0)


def test_the_sparse_matrix_of_a_convolution_is_quick() -> None:
    for boundary in BOUNDARIES:
        K = Convolution(randn(9, 9), (64, 64), boundary)
        start = time.process_time()
        A = as_sparse(K)
        assert time.process_time() - start < 0.5
        x = randn(64, 64)
        assert_close(torch.from_numpy(A @ x.numpy().ravel()), K(x).ravel())


def test_large_operators_agree_with_their_adjoints() -> None:
    for K in (
        FiniteDifference((40, 41)),
        Convolution(randn(6, 5), (40, 41), "reflect"),
        Warp(HOMOGRAPHY, (40, 41)),
    ):
        check_adjoint(K, 1e-12)
        check_linear(K, 1e-12)


def test_a_wrong_adjoint_is_reported() -> None:
    K = FunctionOperator(lambda x: x.cumsum(-1), (4,), transposed=lambda y: y.cumsum(-1))
    with pytest.raises(ValueError, match=r"adjoint of FunctionOperator.*<Kx, y> ="):
        check_adjoint(K)
    check_linear(K)
    shape = FunctionOperator(lambda x: x[..., :2], (4,), transposed=lambda y: y)
    with pytest.raises(ValueError, match=r"adjoint of .* shape \(2,\)"):
        check_adjoint(shape)
    check_adjoint(FunctionOperator(torch.real, (4,), dtype_in=C))
    with pytest.raises(ValueError, match="maps zero to"):
        check_linear(FunctionOperator(lambda x: x + 1, (4,)))
    with pytest.raises(ValueError, match="not linear"):
        check_linear(FunctionOperator(torch.abs, (4,)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown boundary 'wrap'"):
        Convolution(randn(3), (4,), "wrap")
    with pytest.raises(ValueError, match="unknown boundary"):
        FiniteDifference((4,), boundary="wrap")
    with pytest.raises(ValueError, match="complex kernel"):
        Convolution(randn(3, dtype=C), (4,), dtype_in=torch.float64)
    with pytest.raises(ValueError, match="do not broadcast"):
        Convolution(randn(2, 3, 3), (3, 4, 5), axes=(-2, -1))
    with pytest.raises(ValueError, match="does not lie over"):
        Convolution(randn(3), (4, 5), axes=(0, 1))
    with pytest.raises(ValueError, match="not all axes"):
        FiniteDifference((4,), (1,))
    with pytest.raises(ValueError, match="no axes"):
        Fourier((4,), ())
    with pytest.raises(ValueError, match="repeat"):
        Cosine((4, 5), (1, -1))
    with pytest.raises(ValueError, match="unknown norm"):
        Fourier((4,), norm="forward")
    with pytest.raises(ValueError, match="one step and one offset"):
        Subsample((4, 5), (2,))
    with pytest.raises(ValueError, match="positive"):
        Subsample((4,), (2,), (4,))
    with pytest.raises(ValueError, match="does not act"):
        ChannelMatrix(randn(2, 3), (2, 4))
    with pytest.raises(ValueError, match="do not act"):
        PixelMatrix(randn(2, 3, 3), (3, 4))
    with pytest.raises(ValueError, match="more than the axes"):
        Warp(HOMOGRAPHY, (2, 4, 5), (3, 4, 5))
    with pytest.raises(ValueError, match="3 x 3"):
        Warp(randn(2, 3), (4, 5))
    with pytest.raises(ValueError, match="only over the reals"):
        as_sparse(RealPair((3,)))
