"""`cvxprox.compile`: a problem as a reusable solver that is a torch module."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import cvxpy as cp
import torch
from torch import Tensor

from cvxprox.layers.modes import Mode
from cvxprox.layers.module import ProblemModule
from cvxprox.layers.schedule import Given, Levels
from cvxprox.layers.solves import Values
from cvxprox.layers.tensors import check_inputs
from cvxprox.options import Callback, Options


class CompiledSolver(ProblemModule):
    """A problem, compiled once and solved for many data; made by `cvxprox.compile`.

    Parameters of the module are the learnable parts of the problem. Calling it is `solve`.
    """

    def solve(
        self,
        values: Mapping[cp.Parameter | str, Any] | None = None,
        *,
        x0: Mapping[cp.Variable, Any] | Tensor | None = None,
        rhos: Levels | None = None,
        sigmas: Levels | None = None,
        max_iter: int | None = None,
        callback: Callback | None = None,
    ) -> Tensor | dict[cp.Variable, Tensor]:
        """Solve for tensors in the place of parameters.

        Parameters
        ----------
        values : mapping of Parameter or name to Tensor, optional
            Of the shape of the parameter, or that after batch dimensions, ``(*batch, *shape)``; batch
            dimensions of several tensors broadcast. Other parameters have their own value. Arrays and
            numbers are made tensors.
        x0 : mapping of Variable to Tensor, or Tensor, optional
            Where to start; a tensor where there is one variable.
        rhos : float, Tensor or sequence, optional
            Factors of the penalties: one for all iterations or one for each. Gradients reach tensors if the
            mode unrolls.
        sigmas : float, Tensor or sequence, optional
            Noise levels of denoisers, likewise, in the units of the data.
        max_iter : int, optional
            Iterations at most; the length of `rhos` or `sigmas` if omitted and these are sequences.
        callback : callable, optional
            ``callback(iteration, residuals, x)``; returning True stops.

        Returns
        -------
        Tensor or dict of Variable to Tensor
            Of shape ``(*batch, *variable.shape)``, in the type and on the device of the tensors given.
            Samples without a solution are NaN, see `failed` and `status`.

        Raises
        ------
        ValueError, TypeError
            If a tensor does not fit its parameter or the others, or there is no such parameter.
        """
        return self(values, x0=x0, rhos=rhos, sigmas=sigmas, max_iter=max_iter, callback=callback)

    def forward(
        self,
        values: Mapping[cp.Parameter | str, Any] | None = None,
        *,
        x0: Mapping[cp.Variable, Any] | Tensor | None = None,
        rhos: Levels | None = None,
        sigmas: Levels | None = None,
        max_iter: int | None = None,
        callback: Callback | None = None,
    ) -> Tensor | dict[cp.Variable, Tensor]:
        """See `solve`."""
        changes: dict[str, Any] = {"max_iter": max_iter, "callback": callback}
        changes = {name: value for name, value in changes.items() if value is not None}
        if rhos is not None or sigmas is not None:
            changes["schedule"] = Given(rhos, sigmas)
        given = {self._parameter(key): as_tensor(value) for key, value in (values or {}).items()}
        variables = self.problem.variables()
        start = {} if x0 is None else self._start(x0)
        if start:
            self._check_batch(start, check_inputs(given).batch)
        found, _ = self.solution(given, changes, ([v.id for v in variables], []), start)
        return found[0] if len(found) == 1 else dict(zip(variables, found, strict=True))

    def _parameter(self, key: cp.Parameter | str) -> cp.Parameter:
        parameters = self.problem.parameters()
        named = [p for p in parameters if (p.name() == key if isinstance(key, str) else p is key)]
        if len(named) == 1:
            return named[0]
        names = [p.name() for p in parameters]
        wanted = key if isinstance(key, str) else key.name()
        if named:
            raise ValueError(f"{len(named)} parameters have the name {wanted!r}; give the parameter itself.")
        close = difflib.get_close_matches(wanted, names, n=1)
        hint = f" Did you mean `{close[0]}`?" if close and close[0] != wanted else ""
        raise ValueError(
            f"the problem has no parameter `{wanted}`.{hint} Its parameters are {', '.join(names) or 'none'}."
        )

    def _start(self, x0: Mapping[cp.Variable, Any] | Tensor) -> Values:
        variables = self.problem.variables()
        if isinstance(x0, Tensor):
            if len(variables) != 1:
                names = ", ".join(v.name() for v in variables)
                raise ValueError(
                    f"x0 is one tensor and the variables are {names}; give a dict {{variable: tensor}}."
                )
            x0 = {variables[0]: x0}
        known = {v.id: v for v in variables}
        start = {}
        for v, value in x0.items():
            if v.id not in known:
                raise ValueError(f"x0 has a value for `{v.name()}`, which is not a variable of the problem.")
            tensor = as_tensor(value).detach()
            if tensor.dim() < v.ndim or tuple(tensor.shape[tensor.dim() - v.ndim :]) != v.shape:
                raise ValueError(
                    f"x0 of `{v.name()}` has the shape {tuple(tensor.shape)}; expected {v.shape}."
                )
            start[v.id] = tensor
        return start

    def _check_batch(self, start: Values, batch: tuple[int, ...]) -> None:
        for v in self.problem.variables():
            own = tuple(start[v.id].shape[: start[v.id].dim() - v.ndim]) if v.id in start else ()
            try:
                fits = torch.broadcast_shapes(own, batch) == batch
            except RuntimeError:
                fits = False
            if not fits:
                raise ValueError(
                    f"x0 of `{v.name()}` has batch dimensions {own}; those of the data are {batch}."
                )


def compile(
    problem: cp.Problem, method: str = "admm", differentiation: Mode = None, gp: bool = False, **options: Any
) -> CompiledSolver:
    """A problem as a solver that is a torch module.

    Parameters
    ----------
    problem : cvxpy.Problem
    method : str
        The algorithm, as in `cvxprox.Options`.
    differentiation : str or Differentiation, optional
        How solutions are differentiated: "kkt", "implicit", "deq", "unroll", "jfb", "shine", or an instance
        of a class of `cvxprox.differentiation`. "kkt" by default, and "implicit" for problems that are not
        convex, with denoisers for example.
    gp : bool
        Whether it is a geometric program.
    **options
        As documented in `cvxprox.Options`. On device "auto" solves run where the tensors are.

    Raises
    ------
    ValueError
        If an option is wrong or the problem has integer variables.

    Examples
    --------
    >>> import cvxpy as cp, cvxprox, torch
    >>> x, y = cp.Variable(3, name="x"), cp.Parameter(3, name="y")
    >>> solver = cvxprox.compile(cp.Problem(cp.Minimize(cp.sum_squares(x - y) + cp.norm1(x))))
    >>> data = torch.tensor([[2.0, 0.1, -1.0], [0.0, 3.0, 0.2]])
    >>> solver.solve({y: data}).shape
    torch.Size([2, 3])
    """
    return CompiledSolver(
        problem, Options().with_changes({"algorithm": method, **options}), differentiation, gp
    )


def as_tensor(value: Any) -> Tensor:
    """A tensor as it is; arrays and numbers in double precision."""
    if isinstance(value, Tensor):
        return value
    tensor = torch.as_tensor(value)
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
