"""What the atoms refuse, and how they say it."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np
import pytest
import torch

from cvxprox import atoms

X = cp.Variable((5, 4), name="x")
IMAGE = cp.Variable((5, 4, 3), name="image")
LINE = cp.Variable(6, name="line")
NUMBER = cp.Variable(name="number")
SQUARE = np.ones((3, 3))


def halved(x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    return x[..., ::2]


def failing(x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no weights")


WRONG: list[tuple[str, Callable[[], object], str]] = [
    ("kernel of a variable", lambda: atoms.conv(X, X), r"kernel of `conv` depends on the variable `x`"),
    ("large kernel", lambda: atoms.conv(X, np.ones((9, 9))),
     r"kernel of `conv`, 9x9, is larger than `x`, 5x4"),
    ("deep kernel", lambda: atoms.conv(LINE, SQUARE),
     r"shape \(3, 3\), which does not fit the shape \(6,\) of `line`"),
    ("axes of the kernel", lambda: atoms.conv(X, np.ones(3), axes=(0, 1)), r"2 axes and a kernel of 1 dim"),
    ("kernels", lambda: atoms.conv(IMAGE, np.ones((2, 3, 3)), axes=(0, 1)), r"have to be those of `image`"),
    ("boundary", lambda: atoms.conv(X, SQUARE, "wrap"),
     r"`conv` does not know the boundary 'wrap'; .*'circular'"),
    ("gradient of the kernel", lambda: atoms.conv(X, torch.ones(3, 3, requires_grad=True)),
     r"requires gradients.*cvxpy.Parameter"),
    ("boundary of grad", lambda: atoms.grad(X, "neumann"), r"`grad` does not know the boundary 'neumann'"),
    ("no axis", lambda: atoms.grad(X, axes=2),
     r"`grad` was given the axis 2 of an expression of 2 dimensions"),
    ("axis twice", lambda: atoms.grad(X, axes=(0, -2)), r"each of them once"),
    ("number", lambda: atoms.grad(NUMBER), r"at least 1 dimension, but this one has the shape \(\)"),
    ("fft2 of a vector", lambda: atoms.fft2(LINE), r"`fft2` acts on expressions of at least 2 dimensions"),
    ("norm", lambda: atoms.fft2(X, "forward"),
     r"does not know the norm 'forward'; choose one of 'backward', 'ortho'"),
    ("mask", lambda: atoms.masked_fft(X, SQUARE),
     r"mask of `masked_fft` has the shape \(3, 3\), but `x`.*\(5, 4\)"),
    ("complex mask", lambda: atoms.masked_fft(X, 1j * np.ones((5, 4))), r"mask of `masked_fft` is complex"),
    ("coils", lambda: atoms.masked_fft(X, np.ones((5, 4)), np.ones((2, 4, 5))), r"need \(count, 5, 4\)"),
    ("layout", lambda: atoms.mosaic(X),
     r"'HWC' needs an image of shape \(H, W, 3\), but `x` has the shape \(5, 4\)"),
    ("unknown layout", lambda: atoms.mosaic(IMAGE, layout="NCHW"), r"does not know the layout 'NCHW'"),
    ("pattern", lambda: atoms.mosaic(IMAGE, "RGBG"),
     r"does not know the pattern 'RGBG'; choose one of 'RGGB'"),
    ("no steps", lambda: atoms.subsample(X), r"either `steps`, with or without `offsets`, or a `mask`"),
    ("one step", lambda: atoms.subsample(X, (2,)), r"\(2,\) for the 2 dimensions of `x`"),
    ("zero step", lambda: atoms.subsample(X, 0), r"steps are at least 1"),
    ("offset", lambda: atoms.subsample(X, 2, 5), r"offsets lie within the shape"),
    ("other mask", lambda: atoms.subsample(X, mask=SQUARE),
     r"shape \(3, 3\), but `x` has the shape \(5, 4\)"),
    ("grey mask", lambda: atoms.subsample(X, mask=np.full((5, 4), 0.5)), r"has to be of zeros and ones"),
    ("homography", lambda: atoms.warp(X, np.eye(2)), r"homography of `warp` has the shape \(2, 2\)"),
    ("shape of warp", lambda: atoms.warp(X, np.eye(3), (3,)), r"a number of rows and one of columns"),
    ("channels", lambda: atoms.channel_matmul(SQUARE, X),
     r"`x`, of shape \(5, 4\), has 4 channels along the axis -1"),
    ("pixels", lambda: atoms.pixel_matmul(np.ones((2, 2, 3)), IMAGE), r"they need \(5, 4, p, 3\)"),
    ("not linear", lambda: atoms.linop(torch.square, (4,)), r"`square` is not linear: f\(2x - 3y\) differs"),
    ("affine", lambda: atoms.linop(lambda x: x + 1, (4,)), r"its value at zero is not zero.*Remove the bias"),
    ("wrong adjoint", lambda: atoms.linop(lambda x: 2 * x, (4,), lambda y: 3 * y),
     r"adjoint of the function `linop` is wrong: <Kx, y> = .* but <x, K\*y>"),
    ("shape of the adjoint", lambda: atoms.linop(lambda x: x[1:], (4,), lambda y: y),
     r"returns the shape \(3,\); it has to be \(4,\)"),
    ("failing", lambda: atoms.linop(lambda x: x @ torch.ones(3).double(), (4,)),
     r"fails on a tensor of shape \(4,\)"),
    ("no tensor", lambda: atoms.linop(lambda x: 0, (4,)), r"returns int, not a tensor"),
    ("other shape", lambda: atoms.linop(lambda x: x, (4,))(X),
     r"declared for arguments of shape \(4,\), but `x`"),
    ("over the reals", lambda: atoms.linop(lambda x: x.real, (2,))(cp.Variable(2, complex=True)),
     r"not linear over the complex numbers"),
    ("bias", lambda: atoms.learned_linop(torch.nn.Linear(6, 2), LINE),
     r"Linear of `learned_linop` is not linear.*bias"),
    ("activation", lambda: atoms.learned_linop(torch.nn.ReLU(), LINE),
     r"ReLU of `learned_linop` is not linear"),
    ("shape of the module", lambda: atoms.learned_linop(torch.nn.Linear(6, 2, bias=False), LINE, (3,)),
     r"returns the shape \(2,\), not \(3,\)"),
    ("boundary of tv", lambda: atoms.tv(X, "zero"), r"`tv` does not know the boundary 'zero'"),
    ("counts", lambda: atoms.poisson(X, -1.0), r"counts of `poisson` may be negative.*nonneg=True"),
    ("shape of counts", lambda: atoms.poisson(X, np.ones(4)),
     r"has the shape \(4,\); it needs that of `x`, \(5, 4\)"),
    ("complex", lambda: atoms.hinge(1j * X), r"hinge cannot be complex"),
    ("tau", lambda: atoms.quantile(X, 1.5), r"tau of `quantile` is 1.5; it has to lie between 0 and 1"),
    ("weights", lambda: atoms.group_norm(X, 0, np.ones(5)), r"the axes 0 of \(5, 4\), have the shape \(4,\)"),
    ("weights of norm1", lambda: atoms.weighted_norm1(X, cp.Parameter()),
     r"weights of `weighted_norm1` may be neg"),
    ("k", lambda: atoms.sparse_k(X, 2.5), r"k of `sparse_k` is 2.5; it is a nonnegative integer"),
    ("rank of a vector", lambda: atoms.rank(LINE), r"`rank` needs a matrix, but `line` has the shape \(6,\)"),
    ("modulus", lambda: atoms.phase_retrieval(X, -1.0), r"modulus of `phase_retrieval` may be negative"),
    ("layout of a prior", lambda: atoms.deep_prior(IMAGE, torch.mul),
     r"`image`, of shape \(5, 4, 3\), needs to know.*layout='HWC', layout='CHW', layout='NHW'"),
    ("wrong layout", lambda: atoms.deep_prior(X, torch.mul, layout="HWC"),
     r"has no layout 'HWC': say layout='HW'"),
    ("prior of a vector", lambda: atoms.deep_prior(LINE), r"acts on images of 2, 3 or 4 dimensions"),
    ("changed shape", lambda: atoms.deep_prior(X, halved),
     r"denoiser `halved` .* maps images of shape .* keep both"),
    ("failing denoiser", lambda: atoms.deep_prior(X, failing),
     r"`failing` of `deep_prior` fails .*no weights"),
    ("no denoiser", lambda: atoms.deep_prior(X, []), r"given no denoiser"),
    ("unknown denoiser", lambda: atoms.deep_prior(X, "best"), r"no denoiser 'best'; the names are default"),
    ("curvature", lambda: atoms.deep_prior(X, torch.mul, curvature="concave"),
     r"curvature 'concave'; choose"),
    ("range", lambda: atoms.deep_prior(X, torch.mul, value_range=(1, 0)),
     r"it is \(low, high\) with low < high"),
    ("sigma", lambda: atoms.deep_prior(X, torch.mul, sigma=-1.0),
     r"sigma of `deep_prior` is -1.0; it is a positive"),
    ("sign of strength", lambda: atoms.deep_prior(X, torch.mul, strength=cp.Parameter()),
     r"Parameter\(pos=True\)"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "text"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_message(build: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){text}"):
        build()
