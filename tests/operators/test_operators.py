"""Every linear operator against its dense matrix."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import scipy.sparse as sp
import torch
from torch.testing import assert_close

import cvxprox.operators as ops
from cvxprox.operators import (
    Diagonal,
    FunctionOperator,
    Gather,
    Identity,
    ImagPart,
    LinearOperator,
    Matrix,
    RealPair,
    RealPart,
    SparseEntries,
    SparseMatrix,
    Stacked,
    Sum,
    as_dense,
    as_sparse,
    diagonal,
    gram,
    is_diagonal,
    move,
    norm,
    weighted_column_norms,
)
from tests.operators.operator_cases import GENERAL, REAL_LINEAR, C, differences, entries, randn, sparse
from tests.operators.structured_cases import STRUCTURED

EXAMPLES = GENERAL | STRUCTURED
CASES = [K for examples in EXAMPLES.values() for K in examples]
IDS = [f"{type(K).__name__}-{i}" for i, K in enumerate(CASES)]
every = pytest.mark.parametrize("K", CASES, ids=IDS)
COMPLEX = [K for K in CASES if type(K) not in (RealPart, ImagPart, RealPair)]
with_matrix = pytest.mark.parametrize("K", COMPLEX, ids=repr)


def hides_data(K: LinearOperator) -> bool:
    """Whether a `FunctionOperator` is among the parts."""
    parts = [part for value in vars(K).values() for part in (value if isinstance(value, tuple) else (value,))]
    inside = any(hides_data(part) for part in parts if isinstance(part, LinearOperator))
    return isinstance(K, FunctionOperator) or inside


def subclasses(kind: type) -> set[type]:
    direct = set(kind.__subclasses__())
    return direct.union(*(subclasses(sub) for sub in direct))


def test_every_operator_of_the_package_has_an_example() -> None:
    mine = {kind for kind in subclasses(LinearOperator) if kind.__module__.startswith("cvxprox.operators")}
    assert mine == set(EXAMPLES)
    for kind, examples in EXAMPLES.items():
        assert examples and all(type(K) is kind for K in examples)
        assert getattr(ops, kind.__name__) is kind


def probe(K: LinearOperator) -> torch.Tensor:
    """The matrix of an operator, one unit vector at a time."""
    size = math.prod(K.shape_in)
    columns = []
    for j in range(size):
        unit = torch.zeros(size, dtype=K.dtype_in)
        unit[j] = 1
        columns.append(K.forward(unit.reshape(K.shape_in)).reshape(-1).to(K.dtype_out))
    empty = torch.zeros(math.prod(K.shape_out), 0, dtype=K.dtype_out)
    return torch.stack(columns, dim=1) if columns else empty


def inner(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x.conj() * y).sum().real


@pytest.mark.parametrize("K", CASES + REAL_LINEAR, ids=[*IDS, "irfft", "real", "imag", "conj"])
@pytest.mark.parametrize("batch", [(), (2,), (3, 2)], ids=str)
def test_adjoint(K: LinearOperator, batch: tuple[int, ...]) -> None:
    x = randn(*batch, *K.shape_in, dtype=K.dtype_in)
    y = randn(*batch, *K.shape_out, dtype=K.dtype_out)
    image, back = K.forward(x), K.adjoint(y)
    assert image.shape == (*batch, *K.shape_out) and image.dtype == K.dtype_out
    assert back.shape == (*batch, *K.shape_in) and back.dtype == K.dtype_in
    assert_close(inner(image, y), inner(x, back))
    assert_close(inner(image, y), inner(x, K.T.forward(y)))
    assert_close(K.T.T.forward(x), image)


@every
def test_batches_are_independent(K: LinearOperator) -> None:
    x, y = randn(3, *K.shape_in, dtype=K.dtype_in), randn(3, *K.shape_out, dtype=K.dtype_out)
    assert_close(K(x), torch.stack([K(xi) for xi in x]))
    assert_close(K.adjoint(y), torch.stack([K.adjoint(yi) for yi in y]))


@with_matrix
def test_matrix_forms(K: LinearOperator) -> None:
    dense = probe(K)
    A = as_sparse(K)
    assert isinstance(A, sp.csr_array) and A.shape == tuple(dense.shape)
    assert_close(torch.from_numpy(A.toarray()).to(K.dtype_out), dense)
    assert_close(as_dense(K).to(K.dtype_out), dense)


@every
def test_gram(K: LinearOperator) -> None:
    G = gram(K)
    x = randn(2, *K.shape_in, dtype=K.dtype_in)
    assert (G.shape_in, G.shape_out) == (K.shape_in, K.shape_in)
    assert_close(G(x), K.adjoint(K(x)))
    assert_close(G.adjoint(x), K.adjoint(K(x)))


@pytest.mark.parametrize(
    "K",
    [Identity((3,)), Diagonal(randn(3)), Gather(torch.tensor([0, 0, 2]), (3,)), 3.0 * Identity((3,))],
    ids=repr,
)
def test_gram_is_known_to_be_diagonal(K: LinearOperator) -> None:
    assert is_diagonal(gram(K))
    assert is_diagonal(gram(Stacked((K, K)))) and is_diagonal(gram(K @ Diagonal(randn(3))))


@every
def test_norm(K: LinearOperator) -> None:
    dense = as_real(K)
    expected = torch.linalg.matrix_norm(dense, 2) if dense.numel() else torch.tensor(0.0)
    assert_close(norm(K), expected.double(), rtol=1e-6, atol=1e-12)


def as_real(K: LinearOperator) -> torch.Tensor:
    """The matrix over the reals, of real and imaginary parts."""
    size = math.prod(K.shape_in)
    units = [unit for unit in torch.eye(size, dtype=K.dtype_in)]
    units += [1j * unit for unit in units] if K.dtype_in.is_complex else []
    images = [K(unit.reshape(K.shape_in)).reshape(-1) for unit in units]
    columns = [torch.cat([z.real, z.imag]) if z.is_complex() else z for z in images]
    return torch.stack(columns, dim=1) if columns else torch.zeros(0, 0)


def test_norm_of_a_larger_operator_from_below() -> None:
    A = sparse(300, 200, density=0.05)
    exact = torch.linalg.matrix_norm(as_dense(A), 2)
    estimate = norm(A, tol=1e-8)
    assert 0.9999 * exact < estimate <= exact * (1 + 1e-12)


@every
def test_is_diagonal_and_diagonal(K: LinearOperator) -> None:
    dense = probe(K)
    if is_diagonal(K):
        assert_close(dense, torch.diag(dense.diagonal()))
    if K.shape_in == K.shape_out:
        assert_close(diagonal(K).reshape(-1).to(K.dtype_out), dense.diagonal())
    else:
        with pytest.raises(ValueError, match="not square"):
            diagonal(K)


@every
def test_weighted_column_norms(K: LinearOperator) -> None:
    weight = randn(*K.shape_out).abs()
    rows = weight.reshape(-1).repeat(2 if K.dtype_out.is_complex else 1)
    columns = (rows.unsqueeze(1) * as_real(K).square()).sum(dim=0)
    # Of complex arguments the mean over real and imaginary parts.
    expected = columns.reshape((2 if K.dtype_in.is_complex else 1, *K.shape_in)).mean(dim=0)
    assert_close(weighted_column_norms(K, weight), expected)


@pytest.mark.parametrize(
    "K", [K for K in CASES if "Function" not in repr(K) and type(K) is not Sum], ids=repr
)
def test_move_to_single_precision(K: LinearOperator) -> None:
    if any(isinstance(part, FunctionOperator) for part in vars(K).values()) or isinstance(K, Stacked):
        return
    moved = move(K, "cpu", torch.float32)
    x = randn(*K.shape_in, dtype=K.dtype_in).to(moved.dtype_in)
    assert moved.dtype_in.to_real() == torch.float32
    assert_close(moved(x).to(K.dtype_out), K(x.to(K.dtype_in)), rtol=1e-5, atol=1e-5)


def test_move_knows_every_operator() -> None:
    assert {type(K) for K in CASES if not hides_data(K)} == set(EXAMPLES) - {FunctionOperator}


def test_functions_cannot_move_silently() -> None:
    with pytest.raises(ValueError, match="build it again"):
        move(FunctionOperator(differences, (4,)), "cpu", torch.float32)


def test_default_adjoint_is_differentiable_in_data_and_argument() -> None:
    w = randn(3).requires_grad_()
    y = randn(3).requires_grad_()
    K = FunctionOperator(lambda x: w * x.cumsum(-1), (3,))
    assert torch.autograd.gradcheck(
        lambda w, y: FunctionOperator(lambda x: w * x.cumsum(-1), (3,)).adjoint(y), (w, y)
    )
    first, second = K.adjoint(y), K.adjoint(2 * y)  # the kept graph serves twice
    assert_close(second, 2 * first)
    first.sum().backward()
    second.sum().backward()
    with torch.no_grad():
        assert not K.adjoint(y).requires_grad


def test_an_operator_with_a_kept_graph_can_be_copied() -> None:
    K = 2.0 * FunctionOperator(differences, (4,))
    y = randn(3)
    expected = K.adjoint(y)
    assert_close(copy.deepcopy(K).adjoint(y), expected)
    assert_close(pickle.loads(pickle.dumps(K)).adjoint(y), expected)


def test_sparse_products_differentiate_to_any_order() -> None:
    for K in (sparse(4, 3), sparse(4, 3, complex)):
        x = randn(2, 3, dtype=K.dtype_in).requires_grad_()
        assert torch.autograd.gradcheck(K.forward, (x,))
        assert torch.autograd.gradgradcheck(K.forward, (x,))
        assert torch.autograd.gradcheck(K.adjoint, (randn(2, 4, dtype=K.dtype_in).requires_grad_(),))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_sparse_products_under_functorch() -> None:
    K, x = sparse(4, 3), randn(5, 3)
    assert_close(torch.func.vmap(K.forward)(x), K(x))
    assert_close(torch.func.jacrev(K.forward)(x[0]), as_dense(K))
    assert_close(torch.func.jvp(K.forward, (x[0],), (x[1],))[1], K(x[1]))


def test_real_sparse_matrix_takes_complex_vectors() -> None:
    K, x = sparse(4, 3), randn(2, 3, dtype=C)
    assert_close(K(x), x @ as_dense(K).mT.to(C))
    K = SparseMatrix(K.matrix, C)
    assert_close(K.adjoint(K(x)), gram(K)(x))


def test_data_with_batch_dimensions() -> None:
    A, d, x = randn(5, 3, 4), randn(5, 4), randn(4)
    K = Matrix(A) @ Diagonal(d, (4,))
    assert_close(K(x), torch.stack([A[i] @ (d[i] * x) for i in range(5)]))
    y = K(x)
    assert_close(K.adjoint(y), torch.stack([d[i] * (A[i].T @ y[i]) for i in range(5)]))
    for question in (as_sparse,):
        with pytest.raises(ValueError, match="batch"):
            question(Matrix(A))


def test_algebra_simplifies_and_checks_shapes() -> None:
    A = Matrix(randn(3, 4))
    assert A @ Identity((4,)) is A and Identity((3,)) @ A is A and A.T.T is A
    with pytest.raises(ValueError, match="compose"):
        A @ A
    with pytest.raises(ValueError, match="add"):
        A + Identity((4,))
    with pytest.raises(ValueError, match="stack"):
        Stacked((A, Identity((3,))))
    with pytest.raises(ValueError, match="Diagonal"):
        randn(4) * A
    with pytest.raises(ValueError, match="broadcast"):
        Diagonal(randn(3), (4,))
    with pytest.raises(IndexError, match=r"0\.\.2"):
        Gather(torch.tensor([3]), (3,))
    with pytest.raises(ValueError, match="2 dimensions"):
        Matrix(randn(3))
    with pytest.raises(TypeError):
        A @ randn(4)


@pytest.mark.parametrize("K", REAL_LINEAR, ids=["irfft", "real", "imag", "conj"])
def test_real_linear_maps_have_no_complex_matrix(K: LinearOperator) -> None:
    with pytest.raises(ValueError, match="only over the reals"):
        as_sparse(K)


def test_stacked_splits_its_results() -> None:
    K = Stacked((FunctionOperator(differences, (3, 4)), Identity((3, 4))))
    x = randn(2, 3, 4)
    first, second = K.split(K(x))
    assert_close(first, differences(x))
    assert_close(second, x)


def test_probing_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys.modules["cvxprox.operators.as_sparse"], "CHUNK_ENTRIES", 30)
    K = FunctionOperator(differences, (3, 4))
    assert_close(torch.from_numpy(as_sparse(K).toarray()), probe(K))


def test_sparse_entries_differentiate_in_entries_and_arguments() -> None:
    K = entries(4, 3)
    values, x, y = randn(K.values.numel()).requires_grad_(), randn(2, 3), randn(4)
    x, y = x.requires_grad_(), y.requires_grad_()
    for product, argument in ((LinearOperator.forward, x), (LinearOperator.adjoint, y)):
        name = product.__name__

        def image(values: torch.Tensor, argument: torch.Tensor, name: str = name) -> torch.Tensor:
            return getattr(SparseEntries(K.matrix, values), name)(argument)

        assert torch.autograd.gradcheck(image, (values, argument), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(image, (values, argument), check_fwd_over_rev=True)


def test_sparse_entries_ask_questions_with_gradients() -> None:
    K = entries(4, 4)
    values, weight = K.values.clone().requires_grad_(), randn(4).abs()
    for question in (as_dense, diagonal, lambda K: weighted_column_norms(K, weight)):
        (dense,) = torch.autograd.grad(question(SparseEntries(K.matrix, values)).square().sum(), values)
        matrix = as_dense(K).requires_grad_()
        (expected,) = torch.autograd.grad(question(Matrix(matrix)).square().sum(), matrix)
        row, column = K.matrix.tocoo().coords
        assert_close(dense, expected[row, column])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_sparse_entries_under_functorch() -> None:
    K, x = entries(4, 3), randn(5, 3)
    many = randn(5, K.values.numel())
    assert_close(torch.func.vmap(K.forward)(x), K(x))
    images = torch.func.vmap(lambda values: SparseEntries(K.matrix, values).forward(x[0]))(many)
    assert_close(images, torch.stack([SparseEntries(K.matrix, values)(x[0]) for values in many]))
    assert_close(torch.func.jacrev(K.forward)(x[0]), as_dense(K))


def test_sparse_entries_freeze_to_their_present_numbers() -> None:
    K = SparseEntries(sparse(4, 3).matrix, randn(sparse(4, 3).matrix.nnz).requires_grad_())
    frozen, x = K.frozen(), randn(3)
    assert type(frozen) is SparseMatrix and not frozen(x).requires_grad
    assert_close(frozen(x), K(x))
    assert_close(copy.copy(K)(x), K(x))
    with pytest.raises(ValueError, match="one real value for each"):
        SparseEntries(K.matrix, randn(1))
