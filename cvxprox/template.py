"""One model, many shapes."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np

Signature = tuple[tuple[str, tuple[int, ...], bool], ...]


class Template:
    """A model that is built once for every shape of its data.

    Parameters
    ----------
    build : callable
        Takes one `cvxpy.Parameter` for every array, under the names of the arguments, and returns
        the `cvxpy.Problem`.
    cached : int
        Problems that are kept, the latest used ones. Each keeps its compiled program and its warm
        start.

    Examples
    --------
    >>> import cvxpy as cp, numpy as np
    >>> @Template
    ... def smooth(y):
    ...     x = cp.Variable(y.shape, name="x")
    ...     return cp.Problem(cp.Minimize(cp.sum_squares(x - y) + cp.sum_squares(cp.diff(x))))
    >>> for size in (3, 4, 3):
    ...     problem = smooth(y=np.ones(size))
    ...     _ = problem.solve(solver="NABLA_ADMM")
    >>> len(smooth.problems)
    2
    """

    def __init__(self, build: Callable[..., cp.Problem], cached: int = 8) -> None:
        self.build = build
        self.cached = cached
        self.problems: OrderedDict[Signature, cp.Problem] = OrderedDict()
        self.names = tuple(inspect.signature(build).parameters)
        self.__doc__ = build.__doc__ or type(self).__doc__

    def __call__(self, **data: object) -> cp.Problem:
        """The problem for arrays of these shapes, with their values in its parameters.

        Raises
        ------
        TypeError
            If an array is missing or has no parameter in the model.
        """
        if set(data) != set(self.names):
            raise TypeError(
                f"the template {self.build.__name__!r} takes arrays for {', '.join(self.names)}; "
                f"it was given {', '.join(data) or 'none'}."
            )
        arrays = {name: np.asarray(data[name]) for name in self.names}
        signature = tuple((name, a.shape, np.iscomplexobj(a)) for name, a in arrays.items())
        problem = self.problems.get(signature) or self._built(arrays)
        self.problems[signature] = problem
        self.problems.move_to_end(signature)
        while len(self.problems) > self.cached:
            self.problems.popitem(last=False)
        for parameter in problem.parameters():
            if parameter.name() in arrays:
                parameter.value = arrays[parameter.name()]
        return problem

    def solve(
        self, solver: str = "NABLA_ADMM", *, options: dict[str, Any] | None = None, **data: object
    ) -> cp.Problem:
        """The problem for these arrays, solved; `options` go to its ``solve``."""
        problem = self(**data)
        problem.solve(solver=solver, **(options or {}))
        return problem

    def _built(self, arrays: dict[str, np.ndarray]) -> cp.Problem:
        parameters = {
            name: cp.Parameter(a.shape, name=name, complex=np.iscomplexobj(a)) for name, a in arrays.items()
        }
        return self.build(**parameters)
