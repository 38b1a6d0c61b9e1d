"""The registry that gives every affine CVXPY atom its torch equivalent."""

from __future__ import annotations

import functools
from collections.abc import Callable

from cvxpy.atoms.atom import Atom
from torch import Tensor

from cvxprox.errors import ReductionError

TorchFunction = Callable[..., Tensor]


@functools.singledispatch
def torch_operator(atom: Atom) -> TorchFunction:
    """The torch function of an atom: it maps the tensors of the atom's arguments to the atom's value.

    Argument `i` arrives with shape ``(*batch, *atom.args[i].shape)``, in C order, and the result has
    shape ``(*batch, *atom.shape)``. Batch dimensions of the arguments broadcast against each other,
    and may be absent on some (a constant beside a batch of variables). The function must be
    differentiable by autograd in every argument.

    A new atom is added in one place::

        @torch_operator.register(MyAtom)
        def _(atom):
            return lambda x: my_torch_function(x, atom.some_option)

    Nothing else is needed. Linear operators subtract the function's value at zero, so an offset
    inside the atom does no harm; registering the atom with `linearity` saves this subtraction.

    Raises
    ------
    ReductionError
        If no torch equivalent is known for the atom.
    """
    raise ReductionError(
        f"no torch equivalent is known for the atom `{type(atom).__name__}` in the expression `{atom}`. "
        "Rewrite the expression with CVXPY's own affine atoms, or register a function of the tensors of its "
        "arguments with `@cvxprox.torch_operator.register`."
    )
